// Tokens and joining: a table of tokens, a form that makes one, and one by which a machine joins.
//
// `state` is what labkit.widgets.join.JoinPanel keeps; a button sends {do, ttl}, {do, token} or {do, node, token}.

class Join extends ButtonPanel {
  constructor(model, root, name) {
    super(model, root, name, "labkit-join");
    const state = model.get("state");
    this.ttl = make("input", { type: "text", value: "24h", autocomplete: "off", "data-key": "ttl" });
    this.node = make("input", { type: "text", value: state.node, autocomplete: "off", "data-key": "node" });
    this.token = make("select", { "data-key": "token" });
    this.columns = make("tr", {});
    this.tokens = make("tbody", {});
    this.summary = make("h4", { "aria-live": "polite" });
    this.phases = make("p", { class: "said", role: "status", "aria-live": "polite" });
    const table = make("table", { class: "tokens", "aria-label": gettext("Tokens") }, make("thead", {}, this.columns), this.tokens);
    this.picture.setAttribute("tabindex", "0"); // it scrolls, so it can be scrolled by keys
    this.picture.setAttribute("role", "group");
    this.picture.setAttribute("aria-label", gettext("How the machine joined"));
    this.begin(
      this.title,
      table,
      this.form("create", gettext("Create token"), [gettext("Lives for"), this.ttl]),
      this.form("join", gettext("Join"), [gettext("Machine"), this.node], [gettext("With token"), this.token]),
      this.said,
      this.phases,
      this.trouble,
      this.summary,
      this.picture,
      this.twin,
    );
  }

  form(key, label, ...fields) {
    this.buttons[key] = make("button", { type: "submit", "data-key": `do-${key}` }, label);
    const labels = fields.map(([words, field]) => make("label", {}, words, field));
    return make("form", { class: "fields", onsubmit: (event) => this.submit(event, key) }, ...labels, this.buttons[key]);
  }

  submit(event, key) {
    event.preventDefault();
    if (this.buttons[key].disabled) return;
    this.ask({ do: key, ttl: this.ttl.value, node: this.node.value, token: this.token.value });
  }

  take() {
    const state = this.model.get("state");
    this.takeCommon(state, state.title);
    this.set(this.phases, state.phases);
    this.set(this.summary, state.summary);
    this.picture.hidden = this.twin.hidden = !state.picture;
    this.columns.replaceChildren(...state.columns.map(columnHead), make("th", { scope: "col" }, gettext("delete")));
    this.list(state.tokens);
    for (const button of [...Object.values(this.buttons), ...this.deletes]) this.enable(button, !state.working);
  }

  /** Rows that did not change stay, and with them the focus. */
  list(tokens) {
    const listed = JSON.stringify(tokens.map(([id]) => id));
    if (this.listed !== listed) {
      this.listed = listed;
      this.deletes = tokens.map(([id]) => this.deleting(id));
      const chosen = this.token.value;
      const options = [["", gettext("a new one")], ...tokens.map(([id]) => [id, id])];
      this.token.replaceChildren(...options.map(([value, words]) => make("option", { value, selected: value === chosen }, words)));
      redraw(this.tokens, ...tokens.map(([id, ...cells], place) => make("tr", {}, rowHead(id), ...cells.map((cell) => make("td", {}, cell)), make("td", {}, this.deletes[place]))));
    }
    tokens.forEach(([, left], place) => this.set(this.tokens.rows[place].cells[1], left));
  }

  deleting(id) {
    const ask = () => this.ask({ do: "delete", token: id });
    return make("button", { type: "button", "data-key": `delete-${id}`, "aria-label": gettext("Delete token {id}", { id }), onclick: ask }, gettext("Delete"));
  }

  /** The key does not come to the form, so Enter is answered here. */
  typed(event) {
    if (event.key === "Enter" && event.target.tagName === "INPUT") this.submit(event, event.target === this.ttl ? "create" : "join");
  }
}

export default { render: shown(Join) };
