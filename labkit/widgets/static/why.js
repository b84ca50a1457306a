// The scheduler's table: a button per pod of late, and what every plugin said of every node.
//
// `state` is what labkit.widgets.why.WhyPanel keeps; a button sends {pod: "NAMESPACE/NAME"}, or {pod: ""} for the newest.

const parts = () => ({ passed: gettext("✓ passed"), rejected: gettext("✗ rejected"), "not asked": gettext("– not asked"), "": gettext("not known") });

class Why extends ButtonPanel {
  constructor(model, root, name) {
    super(model, root, name, "labkit-scheduler");
    this.pods = make("div", { class: "pods", role: "group", "aria-label": gettext("Pods of late") });
    this.caption = make("h4", {});
    this.why = make("p", { class: "why", role: "status", "aria-live": "polite" });
    this.scores = make("table", {});
    this.reasons = make("ul", {});
    this.filters = make("table", {});
    this.more = make("details", {}, make("summary", {}, gettext("What each filter said")), make("div", { class: "window" }, this.filters));
    const table = make("div", { class: "table" }, this.caption, this.why, make("div", { class: "window" }, this.scores), this.reasons, this.more);
    this.begin(this.title, this.trouble, make("div", { class: "both" }, this.pods, table));
  }

  take() {
    const state = this.model.get("state");
    this.takeWords(state, state.title);
    redraw(this.pods, this.button("", gettext("The newest"), gettext("follow it"), state.newest), ...state.pods.map((each) => this.pod(each, state.newest)));
    this.set(this.caption, state.caption);
    this.set(this.why, state.why);
    this.fill(this.scores, state.nodes, state.scores, gettext("Filters, then scores times their weight, and the sum"));
    this.reasons.replaceChildren(...state.reasons.map((reason) => make("li", {}, reason)));
    this.fill(this.filters, state.nodes, state.filters.map(filterWords), gettext("Every filter, in order"));
    this.more.hidden = state.filters.length === 0;
  }

  pod({ pod, node, shown: present }, newest) {
    const short = pod.replace(/^default\//, "");
    const button = this.button(pod, short, node ? `→ ${node}` : gettext("no node"), present && !newest);
    button.classList.toggle("shown", present);
    return button;
  }

  button(pod, name, words, pressed) {
    const inner = [make("span", { class: "name" }, name), make("span", { class: "way" }, words)];
    return make("button", { type: "button", "data-key": `pod-${pod}`, "aria-pressed": String(pressed), onclick: () => this.ask({ pod }) }, ...inner);
  }

  fill(table, nodes, lines, caption) {
    table.hidden = lines.length === 0;
    const heads = nodes.map(({ name, chosen }) => make("th", { scope: "col", "data-chosen": String(chosen) }, name, chosen ? make("span", { class: "mark" }, gettext("✓ chosen")) : null));
    const body = lines.map(({ name, cells }) => make("tr", { "data-sum": String(name === "sum") }, make("th", { scope: "row" }, ...humps(lineName(name))), ...cells.map((cell, at) => score(cell, nodes[at].chosen))));
    table.replaceChildren(
      make("caption", { class: "unseen" }, caption),
      make("thead", {}, make("tr", {}, make("td", {}), ...heads)),
      make("tbody", {}, ...body),
    );
  }
}

/** The lines that are no plugin's have names in the reader's language. */
const lineName = (name) => ({ filters: gettext("filters"), sum: gettext("sum") })[name] ?? name;

/** A plugin's name may break before a capital letter. */
const humps = (name) => name.split(/(?=[A-Z])/).flatMap((part, at) => (at ? [make("wbr"), part] : [part]));

const filterWords = ({ name, cells }) => ({ name, cells: cells.map(({ text }) => ({ text: parts()[text] ?? text, part: null })) });

/** A score has a bar below its text: how much it is of the most that it can be. */
function score({ text, part }, chosen) {
  const cell = make("td", { "data-chosen": String(chosen), "data-score": part !== null }, text);
  if (part !== null) cell.append(make("span", { class: "bar", "aria-hidden": "true", style: `--part: ${(100 * part).toFixed(1)}%` }));
  return cell;
}

export default { render: shown(Why) };
