// Deploying an application: a form, a button per command, and the pods on their nodes.
//
// `state` is what labkit.widgets.deploy.DeployPanel keeps; a button sends {do, name, image, replicas, port}.

const fields = () => [
  ["name", gettext("Name"), { type: "text", value: "tomcat" }],
  ["image", gettext("Image"), { type: "text" }],
  ["replicas", gettext("Replicas"), { type: "number", min: 0, max: 100, value: 1 }],
  ["port", gettext("Port"), { type: "number", min: 1, max: 65535, value: 8080 }],
];
const buttons = () => [
  ["deploy", gettext("Deploy"), ({ exists }) => !exists],
  ["scale", gettext("Scale"), ({ exists }) => exists],
  ["expose", gettext("Expose"), ({ exists, service }) => exists && !service],
  ["open", gettext("Open"), ({ service }) => Boolean(service)],
  ["delete", gettext("Delete"), ({ exists }) => exists],
];

class Deploy extends ButtonPanel {
  constructor(model, root, name) {
    super(model, root, name, "labkit-deploy");
    this.fields = {};
    this.form = make("form", { class: "fields", onsubmit: (event) => this.submit(event) });
    this.bar = make("div", { class: "buttons", role: "group", "aria-label": gettext("What to do") });
    this.link = make("p", { class: "link" });
    this.summary = make("h4", { "aria-live": "polite" });
    this.addForm();
    this.begin(this.title, this.form, this.bar, this.said, this.link, this.trouble, this.summary, this.picture, this.twin);
  }

  addForm() {
    const state = this.model.get("state");
    const list = `labkit-images-${this.name}`;
    for (const [key, label, attributes] of fields()) {
      const input = make("input", { ...attributes, "data-key": key, autocomplete: "off", list: key === "image" && list });
      if (state[key] !== undefined) input.value = state[key];
      this.fields[key] = input;
      this.form.append(make("label", {}, label, input));
    }
    this.fields.name.addEventListener("change", () => this.model.send({ name: this.fields.name.value }));
    this.form.append(make("datalist", { id: list }, ...state.images.map((image) => make("option", { value: image }))));
    for (const [key, label] of buttons()) {
      this.buttons[key] = make("button", { type: "button", "data-key": `do-${key}`, onclick: () => this.press(key) }, label);
      this.bar.append(this.buttons[key]);
    }
  }

  press(key) {
    const values = Object.entries(this.fields).map(([field, input]) => [field, input.value]);
    this.ask({ do: key, ...Object.fromEntries(values) });
  }

  /** Enter in a field does what can be done first: Deploy, else Scale. */
  submit(event) {
    event.preventDefault();
    const key = ["deploy", "scale"].find((each) => !this.buttons[each].disabled);
    if (key) this.press(key);
  }

  take() {
    const state = this.model.get("state");
    this.takeCommon(state, state.title);
    for (const [key, , possible] of buttons()) this.enable(this.buttons[key], possible(state) && !state.working);
    this.set(this.summary, state.summary + (state.service ? gettext(" · Service at {address}", { address: state.service }) : ""));
    this.offer(state.url);
  }

  /** A link to the application's page; nothing but this machine's own address can become one. */
  offer(url) {
    if (this.offered === url) return;
    this.offered = url;
    this.link.hidden = !/^http:\/\/127\.0\.0\.1:\d+$/.test(url);
    this.link.replaceChildren(this.link.hidden ? "" : make("a", { href: url, target: "_blank", rel: "noopener" }, gettext("Open {url}", { url })));
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

  /** The key does not come to the form, so Enter is answered here. */
  typed(event) {
    if (event.key === "Enter" && event.target.tagName === "INPUT") this.submit(event);
  }
}

export default { render: shown(Deploy) };
