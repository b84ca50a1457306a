// Nodes and their components: the picture, and in it a real button at each node and at each component.
//
// `state` is what labkit.widgets.nodes.NodesPanel keeps; a button sends {do, node, component}, or {do: "repair"}
// where something of the cluster's own is missing.

class Nodes extends ButtonPanel {
  constructor(model, root, name) {
    super(model, root, name, "labkit-nodes");
    this.layer = make("div", { class: "layer", role: "group", "aria-label": gettext("Stop and start nodes, freeze and thaw components") });
    this.map = make("div", { class: "map" }, this.picture, this.layer);
    this.missing = make("ul", { "aria-label": gettext("What is missing") });
    this.buttons.repair = make("button", { type: "button", "data-key": "repair", onclick: () => this.ask({ do: "repair" }) }, gettext("Repair"));
    this.wrong = make("div", { class: "missing", role: "status" }, this.missing, this.buttons.repair);
    this.begin(this.title, this.said, this.trouble, this.wrong, make("div", { class: "window" }, this.map), this.twin);
  }

  take() {
    const state = this.model.get("state");
    this.takeCommon(state, state.title);
    const [wide, high] = state.size;
    this.map.style.width = `${wide}px`;
    this.map.style.aspectRatio = `${wide} / ${high}`;
    this.takeMissing(state);
    const keys = new Set(state.controls.map((control) => this.control(control, state)));
    for (const key of Object.keys(this.buttons)) if (key !== "repair" && !keys.has(key)) this.forget(key);
  }

  takeMissing({ missing, working }) {
    this.wrong.hidden = missing.length === 0;
    const told = [...this.missing.children].map((line) => line.textContent);
    if (told.join() !== missing.join()) this.missing.replaceChildren(...missing.map((line) => make("li", {}, line)));
    this.enable(this.buttons.repair, !working);
  }

  /** A button keeps its place and the focus while what it does changes with what is seen. */
  control({ node, component, do: does, label, name, able, place: [x, y, w, h] }, { size: [wide, high], working }) {
    const key = `${component}/${node}`;
    const button = (this.buttons[key] ??= this.append(key));
    button.onclick = () => this.ask({ do: does, node, component });
    button.dataset.do = does;
    this.set(button, label);
    button.setAttribute("aria-label", name);
    const percent = { left: x / wide, top: y / high, width: w / wide, height: h / high };
    for (const [side, part] of Object.entries(percent)) button.style[side] = `${(100 * part).toFixed(3)}%`;
    this.enable(button, able && !working);
    return key;
  }

  append(key) {
    const button = make("button", { type: "button", "data-key": key });
    this.layer.append(button);
    return button;
  }

  forget(key) {
    this.buttons[key].remove();
    delete this.buttons[key];
  }
}

export default { render: shown(Nodes) };
