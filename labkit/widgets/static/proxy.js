// kube-proxy: a button per mode, how every node is, and the steps of the last switch.
//
// `state` is what labkit.widgets.proxy.ProxyPanel keeps; a button sends {press: MODE, force: BOOL}, and
// the page {look: true} when it begins and {look: false} when it ends.

const MARKS = { started: "▸", finished: "✓", failed: "✗" };

class KubeProxy {
  constructor(model, root, name) {
    Object.assign(this, { model, root, name });
    root.classList.add("labkit-proxy");
    root.setAttribute("role", "region");
    this.title = make("h3", {});
    this.recorded = make("p", { class: "recorded" });
    this.modes = make("div", { class: "modes", role: "group" });
    this.unable = make("div", { class: "unable" });
    this.said = make("p", { class: "said", role: "status", "aria-live": "polite" });
    this.trouble = make("p", { class: "trouble", role: "status", "aria-live": "polite" });
    this.picture = make("div", { class: "picture" });
    this.rows = make("tbody", {});
    this.headings = make("tr", {});
    this.switch = make("h4", {});
    this.steps = make("tbody", {});
    this.stepTable = make("table", { class: "steps" }, make("thead", { class: "unseen" }, make("tr", {}, ...["State", "Step", "Seconds", "What there was to see"].map(columnHead))), this.steps);
    this.buttons = {};
    root.replaceChildren(
      this.title,
      this.recorded,
      this.modes,
      this.unable,
      this.said,
      this.trouble,
      this.picture,
      make("details", {}, make("summary", {}, "The same as a table"), make("table", {}, make("thead", {}, this.headings), this.rows)),
      this.switch,
      this.stepTable,
    );
    this.onKey = (event) => this.key(event);
    window.addEventListener("keydown", this.onKey, true); // before JupyterLab, which would run or leave the cell
    this.unwatchTheme = watchTheme((theme) => {
      root.dataset.theme = theme;
      this.paintPicture();
    });
    this.take();
    model.send({ look: true });
  }

  take() {
    const state = this.model.get("state");
    const title = `kube-proxy of ${state.title}`;
    this.root.setAttribute("aria-label", title);
    this.modes.setAttribute("aria-label", state.recorded ? "Recorded modes" : "Switch kube-proxy's mode");
    this.set(this.title, title);
    this.set(this.recorded, state.recorded);
    for (const mode of state.modes) this.button(mode, state.working);
    this.refusals(state);
    this.set(this.said, state.said);
    this.said.classList.toggle("failed", state.failed);
    this.set(this.trouble, state.trouble);
    if (this.drawn !== state.picture) {
      this.drawn = state.picture;
      this.picture.replaceChildren(picture(state.picture) ?? "");
      this.paintPicture();
    }
    this.headings.replaceChildren(...state.headings.map(columnHead));
    this.rows.replaceChildren(...state.rows.map(([head, ...cells]) => make("tr", {}, rowHead(head), ...cells.map((cell) => make("td", {}, cell)))));
    this.set(this.switch, state.switch && `${state.working ? "Now" : "Last switch"}: ${state.switch}`);
    this.stepTable.hidden = state.steps.length === 0;
    this.steps.replaceChildren(...state.steps.map(stepRow));
    this.root.toggleAttribute("aria-busy", state.working);
  }

  /** A text that did not change is not set again: a screen reader would read it again. */
  set(element, text) {
    if (element.textContent !== text) element.textContent = text;
    element.hidden = !text;
  }

  button({ name, way, present, unable }, working) {
    const held = (this.buttons[name] ??= this.append(name));
    held.setAttribute("aria-pressed", String(present));
    held.querySelector(".name").textContent = present ? `✓ ${name}` : name;
    held.querySelector(".way").textContent = unable ? (present ? "tried nevertheless" : "not here, see below") : way;
    this.enable(held, !working && !unable);
  }

  append(name) {
    const inner = [make("span", { class: "name" }), make("span", { class: "way" })];
    const button = make("button", { type: "button", "data-key": name, onclick: () => this.model.send({ press: name }) }, ...inner);
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
    const force = make("button", { type: "button", "data-key": `force-${name}`, "aria-describedby": id, onclick: () => this.model.send({ press: name, force: true }) });
    force.textContent = `Try ${name} anyway`;
    const why = make("p", { id }, unable);
    if (recorded) return make("details", {}, make("summary", {}, `Why not ${name}?`), why);
    return make("details", {}, make("summary", {}, `Why not ${name}, and what to do`), why, force, make("small", {}, "to see what happens; the present mode is put back"));
  }

  /** A button that is not to be pressed loses the focus; it gets it back unless the reader has gone elsewhere. */
  enable(button, enabled) {
    if (!enabled && document.activeElement === button) this.left = button.dataset.key;
    button.disabled = !enabled;
    if (!enabled || this.left !== button.dataset.key) return;
    if ([document.body, null, button].includes(document.activeElement)) button.focus({ preventScroll: true });
    this.left = undefined;
  }

  paintPicture() {
    this.picture?.firstElementChild?.setAttribute("data-theme", this.root.dataset.theme);
  }

  /** A notebook would take these for its own commands. */
  key(event) {
    if (!this.root.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!(event.shiftKey && event.key === "Enter")) event.stopPropagation();
  }

  destroy() {
    this.unwatchTheme();
    window.removeEventListener("keydown", this.onKey, true);
  }
}

const columnHead = (text) => make("th", { scope: "col" }, text);
const rowHead = (text) => make("th", { scope: "row" }, text);

function stepRow({ what, detail, seconds, state }) {
  const mark = make("td", {}, make("span", { "aria-hidden": "true" }, MARKS[state] ?? ""), make("span", { class: "unseen" }, state));
  return make("tr", { "data-state": state }, mark, rowHead(what), make("td", { class: "seconds" }, `${seconds.toFixed(1)} s`), make("td", {}, detail));
}

function render({ model, el }) {
  const root = make("div", {});
  const name = model.get("still");
  el.append(root);
  const panel = new KubeProxy(model, root, name);
  // While the panel is here, the still of the same, which is for when no kernel runs, is not shown.
  el.append(make("style", {}, `#labkit-still-${name} { display: none; }`));
  const changed = () => panel.take();
  model.on("change:state", changed);
  return () => {
    model.off("change:state", changed);
    panel.destroy();
    model.send({ look: false });
  };
}

export default { render };
