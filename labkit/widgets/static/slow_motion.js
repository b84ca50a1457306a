// Slow motion: what each component's part is, who is held still and for how long yet, and the two buttons.
//
// `state` is what labkit.widgets.slow_motion.SlowMotionPanel keeps; a button sends {press: "next"} or {press: "all"}.

const states = () => ({ done: gettext("✓ done"), next: gettext("▸ next"), later: "" });

class SlowMotion extends ButtonPanel {
  constructor(model, root, name) {
    super(model, root, name, "labkit-slow-motion");
    this.parts = make("tbody", {});
    this.held = make("p", { class: "held" });
    for (const key of ["next", "all"]) this.buttons[key] = make("button", { type: "button", "data-key": key, onclick: () => this.ask({ press: key }) });
    this.buttons.all.textContent = gettext("Let everything go on");
    const head = [make("span", { class: "unseen" }, gettext("State")), gettext("Textbook's steps"), gettext("Who"), gettext("What")].map(columnHead);
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...head)), this.parts);
    const bar = make("div", { class: "buttons", role: "group", "aria-label": gettext("Slow motion") }, this.buttons.next, this.buttons.all);
    this.begin(this.title, table, bar, this.said, this.trouble, this.held);
    this.timer = setInterval(() => this.count(), 1000);
  }

  take() {
    const state = this.model.get("state");
    this.takeWords(state, state.title);
    const now = performance.now() / 1000;
    this.ends = state.held.map(({ name, left }) => [name, now + left]);
    this.parts.replaceChildren(...state.parts.map(partRow));
    const upcoming = state.parts.find((part) => part.state === "next");
    this.set(this.buttons.next, upcoming ? gettext("Let {actor} go on", { actor: upcoming.actor }) : gettext("All has gone on"));
    this.enable(this.buttons.next, !state.working && Boolean(upcoming));
    this.enable(this.buttons.all, !state.working && state.held.length > 0);
    this.count();
  }

  /** Count down; what is true is told again every few seconds. */
  count() {
    const now = performance.now() / 1000;
    const held = this.ends.filter(([, end]) => end > now).map(([name, end]) => gettext("{name} (goes on by itself in {time})", { name, time: clock(end - now) }));
    this.held.textContent = held.length ? gettext("Held still: {names}", { names: held.join(", ") }) : gettext("Nothing is held still.");
  }

  destroy() {
    clearInterval(this.timer);
    super.destroy();
  }
}

function partRow({ steps, actor, title, state }) {
  const row = make("tr", { "data-state": state, "aria-current": state === "next" && "step" });
  row.append(...[states()[state], steps].map((cell) => make("td", {}, cell)), make("th", { scope: "row" }, actor), make("td", {}, title));
  return row;
}

/** 75 seconds as "1:15". */
function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export default { render: shown(SlowMotion) };
