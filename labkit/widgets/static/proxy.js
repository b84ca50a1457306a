// kube-proxy: a button per mode, how every node is, and the steps of the last switch.
//
// `state` is what labkit.widgets.proxy.ProxyPanel keeps; a button sends {press: MODE, force: BOOL}.

const MARKS = { started: "▸", finished: "✓", failed: "✗" };
const stateOf = (state) => ({ started: gettext("started"), finished: gettext("finished"), failed: gettext("failed") })[state] ?? state;

class KubeProxy extends ButtonPanel {
  constructor(model, root, name) {
    super(model, root, name, "labkit-proxy");
    this.recorded = make("p", { class: "recorded" });
    this.modes = make("div", { class: "modes", role: "group" });
    this.unable = make("div", { class: "unable" });
    this.switch = make("h4", {});
    this.steps = make("tbody", {});
    this.stepTable = make("table", { class: "steps" }, make("thead", { class: "unseen" }, make("tr", {}, ...[gettext("State"), gettext("Step"), gettext("Seconds"), gettext("What there was to see")].map(columnHead))), this.steps);
    this.begin(
      this.title,
      this.recorded,
      this.modes,
      this.unable,
      this.said,
      this.trouble,
      this.picture,
      this.twin,
      this.switch,
      this.stepTable,
    );
  }

  take() {
    const state = this.model.get("state");
    this.takeCommon(state, gettext("kube-proxy of {title}", { title: state.title }));
    this.modes.setAttribute("aria-label", state.recorded ? gettext("Recorded modes") : gettext("Switch kube-proxy's mode"));
    this.set(this.recorded, state.recorded);
    for (const mode of state.modes) this.button(mode, state.working);
    this.refusals(state);
    this.set(this.switch, state.switch && (state.working ? gettext("Now: {steps}", { steps: state.switch }) : gettext("Last switch: {steps}", { steps: state.switch })));
    this.stepTable.hidden = state.steps.length === 0;
    this.steps.replaceChildren(...state.steps.map(stepRow));
  }

  button({ name, way, present, unable }, working) {
    const held = (this.buttons[name] ??= this.append(name));
    held.setAttribute("aria-pressed", String(present));
    held.querySelector(".name").textContent = present ? `✓ ${name}` : name;
    held.querySelector(".way").textContent = unable ? (present ? gettext("tried nevertheless") : gettext("not here, see below")) : way;
    this.enable(held, !working && !unable);
  }

  append(name) {
    const inner = [make("span", { class: "name" }), make("span", { class: "way" })];
    const button = make("button", { type: "button", "data-key": name, onclick: () => this.ask({ press: name }) }, ...inner);
    this.modes.append(button);
    return button;
  }

  /** Why a mode cannot be had, and, in a lab, a button to try it nevertheless. */
  refusals({ modes, recorded, working }) {
    const refused = modes.filter(({ unable }) => unable);
    const told = JSON.stringify(refused.map(({ name, unable }) => [name, unable]));
    if (this.told !== told) {
      this.told = told;
      this.unable.replaceChildren(...refused.map((mode) => this.refusal(mode, recorded)));
    }
    for (const force of this.unable.querySelectorAll("button")) this.enable(force, !working);
  }

  refusal({ name, unable }, recorded) {
    const id = `labkit-unable-${this.name}-${name}`;
    this.buttons[name].setAttribute("aria-describedby", id);
    const force = make("button", { type: "button", "data-key": `force-${name}`, "aria-describedby": id, onclick: () => this.ask({ press: name, force: true }) });
    force.textContent = gettext("Try {name} anyway", { name });
    const why = make("p", { id }, unable);
    if (recorded) return make("details", {}, make("summary", {}, gettext("Why not {name}?", { name })), why);
    return make("details", {}, make("summary", {}, gettext("Why not {name}, and what to do", { name })), why, force, make("small", {}, gettext("to see what happens; the present mode is put back")));
  }
}

function stepRow({ what, detail, seconds, state }) {
  const mark = make("td", {}, make("span", { "aria-hidden": "true" }, MARKS[state] ?? ""), make("span", { class: "unseen" }, stateOf(state)));
  return make("tr", { "data-state": state }, mark, rowHead(what), make("td", { class: "seconds" }, `${seconds.toFixed(1)} s`), make("td", {}, detail));
}

export default { render: shown(KubeProxy) };
