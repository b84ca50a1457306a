// Deploying an application: a form, a button per command, and the pods on their nodes.
//
// `state` is what labkit.widgets.deploy.DeployPanel keeps; a button sends {do, name, image, replicas, port}.

const FIELDS = [
  ["name", "Name", { type: "text", value: "tomcat" }],
  ["image", "Image", { type: "text" }],
  ["replicas", "Replicas", { type: "number", min: 0, max: 100, value: 1 }],
  ["port", "Port", { type: "number", min: 1, max: 65535, value: 8080 }],
];
const BUTTONS = [
  ["deploy", "Deploy", ({ exists }) => !exists],
  ["scale", "Scale", ({ exists }) => exists],
  ["expose", "Expose", ({ exists, service }) => exists && !service],
  ["open", "Open", ({ service }) => Boolean(service)],
  ["delete", "Delete", ({ exists }) => exists],
];

class Deploy {
  constructor(model, root, name) {
    Object.assign(this, { model, root, name, fields: {}, buttons: {} });
    root.classList.add("labkit-panel");
    root.setAttribute("role", "region");
    this.title = make("h3", {});
    this.form = make("form", { class: "fields", onsubmit: (event) => this.submit(event) });
    this.bar = make("div", { class: "buttons", role: "group", "aria-label": "What to do" });
    this.said = make("p", { class: "said", role: "status", "aria-live": "polite" });
    this.link = make("p", { class: "link" });
    this.trouble = make("p", { class: "trouble", role: "status", "aria-live": "polite" });
    this.summary = make("h4", { "aria-live": "polite" });
    this.picture = make("div", { class: "picture" });
    this.headings = make("tr", {});
    this.rows = make("tbody", {});
    const table = make("table", {}, make("thead", {}, this.headings), this.rows);
    this.addForm();
    const twin = make("details", {}, make("summary", {}, "The same as a table"), table);
    root.replaceChildren(this.title, this.form, this.bar, this.said, this.link, this.trouble, this.summary, this.picture, twin);
    this.onKey = (event) => this.key(event);
    window.addEventListener("keydown", this.onKey, true); // before JupyterLab, which would run or leave the cell
    this.unwatchTheme = watchTheme((theme) => {
      root.dataset.theme = theme;
      this.paintPicture();
    });
    this.take();
    model.send({ look: true });
  }

  addForm() {
    const state = this.model.get("state");
    const list = `labkit-images-${this.name}`;
    for (const [key, label, attributes] of FIELDS) {
      const input = make("input", { ...attributes, "data-key": key, autocomplete: "off", list: key === "image" && list });
      if (state[key] !== undefined) input.value = state[key];
      this.fields[key] = input;
      this.form.append(make("label", {}, label, input));
    }
    this.fields.name.addEventListener("change", () => this.model.send({ name: this.fields.name.value }));
    this.form.append(make("datalist", { id: list }, ...state.images.map((image) => make("option", { value: image }))));
    for (const [key, label] of BUTTONS) {
      this.buttons[key] = make("button", { type: "button", "data-key": `do-${key}`, onclick: () => this.press(key) }, label);
      this.bar.append(this.buttons[key]);
    }
  }

  press(key) {
    const values = Object.entries(this.fields).map(([field, input]) => [field, input.value]);
    this.model.send({ do: key, ...Object.fromEntries(values) });
  }

  /** Enter in a field does what can be done first: Deploy, else Scale. */
  submit(event) {
    event.preventDefault();
    const key = ["deploy", "scale"].find((each) => !this.buttons[each].disabled);
    if (key) this.press(key);
  }

  take() {
    const state = this.model.get("state");
    this.root.setAttribute("aria-label", state.title);
    this.set(this.title, state.title);
    for (const [key, , possible] of BUTTONS) this.enable(this.buttons[key], possible(state) && !state.working);
    this.set(this.said, state.said);
    this.said.classList.toggle("failed", state.failed);
    this.set(this.trouble, state.trouble);
    this.set(this.summary, state.summary + (state.service ? ` · Service at ${state.service}` : ""));
    this.offer(state.url);
    if (this.drawn !== state.picture) {
      this.drawn = state.picture;
      this.picture.replaceChildren(picture(state.picture) ?? "");
      this.paintPicture();
    }
    this.headings.replaceChildren(...state.headings.map((text) => make("th", { scope: "col" }, text)));
    this.rows.replaceChildren(...state.rows.map(([head, ...cells]) => make("tr", {}, make("th", { scope: "row" }, head), ...cells.map((cell) => make("td", {}, cell)))));
    this.root.toggleAttribute("aria-busy", state.working);
  }

  /** A link to the application's page; nothing but this machine's own address can become one. */
  offer(url) {
    if (this.offered === url) return;
    this.offered = url;
    this.link.hidden = !/^http:\/\/127\.0\.0\.1:\d+$/.test(url);
    this.link.replaceChildren(this.link.hidden ? "" : make("a", { href: url, target: "_blank", rel: "noopener" }, `Open ${url}`));
  }

  /** A text that did not change is not set again: a screen reader would read it again. */
  set(element, text) {
    if (element.textContent !== text) element.textContent = text;
    element.hidden = !text;
  }

  /** A button that is not to be pressed loses the focus; the field before it gets none, the next possible button does. */
  enable(button, enabled) {
    const held = document.activeElement === button;
    button.disabled = !enabled;
    if (held && !enabled) this.left = true;
    if (!this.left || ![document.body, null].includes(document.activeElement)) return;
    const next = Object.values(this.buttons).find((each) => !each.disabled);
    if (next && !this.model.get("state").working) {
      next.focus({ preventScroll: true });
      this.left = false;
    }
  }

  paintPicture() {
    this.picture?.firstElementChild?.setAttribute("data-theme", this.root.dataset.theme);
  }

  /** A notebook would take these for its own commands. */
  key(event) {
    if (!this.root.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!(event.shiftKey && event.key === "Enter")) event.stopPropagation();
    if (event.key === "Enter" && event.target.tagName === "INPUT") this.submit(event);
  }

  destroy() {
    this.model.send({ look: false });
    this.unwatchTheme();
    window.removeEventListener("keydown", this.onKey, true);
  }
}

function render({ model, el }) {
  const root = make("div", {});
  const name = model.get("still");
  el.append(root);
  const panel = new Deploy(model, root, name);
  // While the panel is here, the still of the same, which is for when no kernel runs, is not shown.
  el.append(make("style", {}, `#labkit-still-${name} { display: none; }`));
  const changed = () => panel.take();
  model.on("change:state", changed);
  return () => {
    model.off("change:state", changed);
    panel.destroy();
  };
}

export default { render };
