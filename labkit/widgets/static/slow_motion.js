// Slow motion: what each component's part is, who is held still and for how long yet, and the two buttons.
//
// `state` is what labkit.widgets.slow_motion.SlowMotionPanel keeps; a button sends {press: "next"} or {press: "all"}.

const STATES = { done: "✓ done", next: "▸ next", later: "" };

class SlowMotion {
  constructor(model, root) {
    Object.assign(this, { model, root });
    root.classList.add("labkit-slow-motion");
    root.setAttribute("role", "region");
    this.title = make("h3", {});
    this.parts = make("tbody", {});
    this.held = make("p", { class: "held" });
    this.said = make("p", { class: "said", role: "status", "aria-live": "polite" });
    const button = (which) => make("button", { type: "button", "data-key": which, onclick: () => model.send({ press: which }) });
    this.buttons = { next: button("next"), all: button("all") };
    this.buttons.all.textContent = "Let everything go on";
    const head = ["", "Textbook's steps", "Who", "What"].map((cell) => make("th", { scope: "col" }, cell || make("span", { "aria-label": "State" })));
    root.replaceChildren(
      this.title,
      make("table", {}, make("thead", {}, make("tr", {}, ...head)), this.parts),
      make("div", { class: "buttons", role: "group", "aria-label": "Slow motion" }, this.buttons.next, this.buttons.all),
      this.said,
      this.held,
    );
    this.onKey = (event) => this.key(event);
    window.addEventListener("keydown", this.onKey, true); // before JupyterLab, which would run or leave the cell
    this.unwatchTheme = watchTheme((theme) => (root.dataset.theme = theme));
    this.take();
    this.timer = setInterval(() => this.count(), 1000);
    model.send({ look: true });
  }

  take() {
    const state = this.model.get("state");
    const now = performance.now() / 1000;
    this.ends = state.held.map(({ name, left }) => [name, now + left]);
    this.root.setAttribute("aria-label", `Slow motion of ${state.name}`);
    this.title.textContent = `Deployment ${state.name} in slow motion`;
    this.parts.replaceChildren(...state.parts.map(partRow));
    this.said.textContent = state.said;
    this.said.classList.toggle("failed", state.failed);
    const upcoming = state.parts.find((part) => part.state === "next");
    this.buttons.next.textContent = upcoming ? `Let ${upcoming.actor} go on` : "All has gone on";
    this.enable("next", !state.working && Boolean(upcoming));
    this.enable("all", !state.working && state.held.length > 0);
    this.root.toggleAttribute("aria-busy", state.working);
    this.count();
  }

  /** A button that is not to be pressed loses the focus; it gets it back unless the reader has gone elsewhere. */
  enable(which, enabled) {
    const button = this.buttons[which];
    if (!enabled && document.activeElement === button) this.left = which;
    button.disabled = !enabled;
    if (enabled && this.left === which && [document.body, null, button].includes(document.activeElement)) button.focus({ preventScroll: true });
    if (enabled && this.left === which) this.left = undefined;
  }

  /** Count down; ask what is true when a time is over. */
  count() {
    const now = performance.now() / 1000;
    const held = this.ends.map(([name, end]) => `${name} (goes on by itself in ${clock(end - now)})`);
    this.held.textContent = held.length ? `Held still: ${held.join(", ")}` : "Nothing is held still.";
    if (!this.ends.some(([, end]) => end <= now)) return;
    this.ends = this.ends.filter(([, end]) => end > now);
    this.model.send({ look: true });
  }

  /** A notebook would take these for its own commands. */
  key(event) {
    if (!this.root.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!(event.shiftKey && event.key === "Enter")) event.stopPropagation();
  }

  destroy() {
    clearInterval(this.timer);
    this.unwatchTheme();
    window.removeEventListener("keydown", this.onKey, true);
  }
}

function partRow({ steps, actor, title, state }) {
  const row = make("tr", { "data-state": state, "aria-current": state === "next" && "step" });
  row.append(...[STATES[state], steps].map((cell) => make("td", {}, cell)), make("th", { scope: "row" }, actor), make("td", {}, title));
  return row;
}

/** 75 seconds as "1:15". */
function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function render({ model, el }) {
  const root = make("div", {});
  el.append(root);
  const panel = new SlowMotion(model, root);
  const changed = () => panel.take();
  model.on("change:state", changed);
  return () => {
    model.off("change:state", changed);
    panel.destroy();
  };
}

export default { render };
