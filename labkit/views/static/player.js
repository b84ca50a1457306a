// The player: one page of a flow, in an HTML file of its own and in a notebook's panel alike.
//
// `data` is what labkit.views.player.payload makes. What the page shows follows from `data` and from `this.at`, the
// number of the present hop.

const REST = 120; // ms without a step until the evidence is redrawn

class Player {
  /**
   * @param root the element to fill
   * @param data the payload
   * @param ask called with a hop's number and the player when its details are not here; `answer` brings them
   */
  constructor(root, data, { ask = null } = {}) {
    Object.assign(this, { root, ask, at: 0, place: 0, timer: 0 });
    this.details = new Map(); // by what a hop is, so that they outlast its number
    this.asked = new Map(); // what has been asked of Python, by number
    speak(data.words);
    this.build();
    this.unwatchTheme = watchTheme((theme) => {
      this.root.dataset.theme = theme;
      this.stage.paint(theme);
    });
    this.take(data);
    this.go(this.shown[0]?.number ?? 0);
  }

  // --- the page, made once -----------------------------------------------------------------------------------------

  build() {
    this.title = make("h2", {});
    this.summary = make("p", { class: "quiet" });
    this.trouble = make("p", { class: "trouble", role: "status", "aria-live": "polite" });
    this.steps = new Steps((number) => this.go(number));
    this.stage = new Stage((number) => this.jump(number));
    this.filters = new Filters(() => {
      this.filter();
      this.go(this.at);
    });
    this.evidence = make("section", { class: "evidence", "aria-label": gettext("Evidence of the present hop"), tabindex: 0 });
    this.now = make("p", { class: "words", role: "status", "aria-live": "polite" });
    this.axis = new Axis((x) => this.seek(x));
    this.clock = new Clock((due) => this.forward(due), () => this.played());
    this.count = make("span", { class: "count" });
    this.root.classList.add("labkit-player");
    this.root.setAttribute("role", "region");
    this.onKey = (event) => this.key(event);
    // Before JupyterLab, which takes keys while they are on their way down to us (@lumino/commands).
    window.addEventListener("keydown", this.onKey, true);
    const tools = make("div", { class: "tools" }, this.stage.tabs, ...this.filters.roots);
    const player = make("section", { class: "player", "aria-label": gettext("Player") }, this.now, this.axis.root, this.controls());
    this.root.replaceChildren(
      make("header", {}, make("div", { class: "heading" }, this.title, this.summary, this.trouble), tools),
      make("div", { class: "body" }, this.steps.root, this.stage.root, player, this.evidence),
    );
  }

  controls() {
    const button = (key, label, press) =>
      make("button", { type: "button", "data-key": key, "aria-label": label, title: label, onclick: press }, icon(key));
    this.playButton = button("play", gettext("Play"), () => this.toggle());
    return make(
      "div",
      { class: "controls", role: "group", "aria-label": gettext("Player") },
      button("first", gettext("First hop"), () => this.end(-1)),
      button("back", gettext("One hop back"), () => this.step(-1)),
      this.playButton,
      button("forward", gettext("One hop forward"), () => this.step(1)),
      button("last", gettext("Last hop"), () => this.end(1)),
      this.clock.choice,
      this.count,
    );
  }

  destroy() {
    this.clock.pause();
    clearTimeout(this.timer);
    this.unwatchTheme();
    window.removeEventListener("keydown", this.onKey, true);
    this.root.replaceChildren();
  }

  // --- the flow, taken once or again and again -----------------------------------------------------------------------

  /** Show another state of the flow; the reader stays at the hop they were at, or with the newest if at the end. */
  update(data) {
    const present = this.hop(this.at);
    const atEnd = this.at === (this.shown.at(-1)?.number ?? 0);
    this.take(data);
    const same = present && this.shown.find((hop) => hop.kind === present.kind && hop.evidence[0] === present.evidence[0] && hop.to === present.to);
    this.go(atEnd && !this.clock.playing ? (this.shown.at(-1)?.number ?? 0) : (same ?? this.shown[0])?.number ?? 0);
  }

  take(data) {
    this.data = data;
    for (const [number, detail] of Object.entries(data.details)) this.details.set(identity(data.hops[number - 1]), detail);
    this.root.setAttribute("aria-label", gettext("Flow: {title}", { title: data.title }));
    this.root.classList.toggle("plain", !data.story);
    this.title.textContent = data.title;
    this.summary.textContent = [data.summary, ...data.losses].join(" · ");
    if (this.trouble.textContent !== (data.trouble ?? "")) this.trouble.textContent = data.trouble;
    this.trouble.hidden = !data.trouble;
    this.steps.fill(data.story);
    this.filters.fill(data);
    this.stage.take(data);
    this.filter();
    this.stage.show();
  }

  filter() {
    this.shown = this.filters.kept();
    this.stage.filter(this.shown);
    this.axis.fill(this.data, this.shown);
  }

  // --- where we are --------------------------------------------------------------------------------------------------

  hop(number) {
    return this.data.hops[number - 1];
  }

  /** Make a hop the present one; if it is filtered out, the nearest one before it, else the first. */
  go(number) {
    this.place = Math.max(0, lastUpTo(this.shown, (hop) => hop.number <= number));
    const hop = this.shown[this.place];
    this.at = hop?.number ?? 0;
    this.stage.at(hop);
    this.axis.at(hop);
    this.steps.at(this.at);
    this.count.textContent = hop ? gettext("{place} of {count}", { place: this.place + 1, count: this.shown.length }) : gettext("no hops");
    this.now.setAttribute("aria-live", this.clock.playing && !this.clock.slow ? "off" : "polite");
    this.now.textContent = hop ? this.words(hop) : gettext("No hop is shown: the filters hide all of them.");
    clearTimeout(this.timer);
    if (this.clock.playing) this.timer = setTimeout(() => this.tell(), REST);
    else this.tell();
  }

  words(hop) {
    const [from, to] = [hop.from, hop.to].map((place) => this.data.actors[place].name);
    const step = this.steps.numberOf(hop.number);
    const told = gettext("Hop {number}, +{time}: {from} → {to}: {what} ({seen})", { number: hop.number, time: duration(hop.start), from, to, what: hop.what, seen: seenAs(hop) });
    return step ? gettext("Step {step}. {told}", { step, told }) : told;
  }

  /** Show the present hop's evidence; ask Python for what is not here. */
  tell() {
    const hop = this.hop(this.at);
    if (!hop) return redraw(this.evidence);
    let detail = this.details.get(identity(hop));
    if (detail === undefined && !this.ask) detail = null;
    const told = [hop.number, identity(hop), detail];
    if (this.told?.every((part, place) => part === told[place])) return;
    this.told = told;
    const open = new Map([...this.evidence.querySelectorAll("details")].map((part) => [part.firstChild.textContent, part.open]));
    redraw(this.evidence, ...evidencePane(hop, this.data, detail, (number) => this.go(number)));
    for (const part of this.evidence.querySelectorAll("details")) part.open = open.get(part.firstChild.textContent) ?? part.open;
    if (detail !== undefined) return;
    this.asked.set(hop.number, identity(hop));
    this.ask(hop.number, this);
  }

  /** Take the details of a hop that was asked for, or null if none came; who is busy may still send them. */
  answer(number, detail) {
    const asked = this.asked.get(number);
    if (asked === undefined) return;
    if (detail !== null) this.asked.delete(number);
    this.details.set(asked, detail);
    if (!this.clock.playing) this.tell();
  }

  // --- moving --------------------------------------------------------------------------------------------------------

  /** Go where the reader chose: playing ends. */
  jump(number) {
    this.clock.pause();
    this.go(number);
  }

  step(by) {
    this.jump(this.shown[Math.min(this.shown.length - 1, Math.max(0, this.place + by))]?.number ?? 0);
  }

  end(which) {
    this.jump((which < 0 ? this.shown[0] : this.shown.at(-1))?.number ?? 0);
  }

  seek(x) {
    const after = this.shown.findIndex((hop) => hop.x >= x);
    const right = after < 0 ? this.shown.length - 1 : after;
    const left = Math.max(0, right - 1);
    this.go((x - this.shown[left]?.x < this.shown[right]?.x - x ? this.shown[left] : this.shown[right])?.number ?? 0);
  }

  toggle() {
    if (this.clock.playing) return this.clock.pause();
    if (this.place >= this.shown.length - 1) this.go(this.shown[0]?.number ?? 0);
    this.clock.play();
  }

  /** Go on by as many hops as have come due and return what remains; in real time, what is folded is passed over. */
  forward(due) {
    let place = this.place;
    while (place < this.shown.length - 1) {
      const gap = Math.min(this.shown[place + 1].start - this.shown[place].start, this.data.axis.fold);
      const cost = this.clock.real ? gap : 1;
      if (due < cost) break;
      due -= cost;
      place += 1;
    }
    if (place !== this.place) this.go(this.shown[place].number);
    return place >= this.shown.length - 1 ? null : due;
  }

  /** Say on the button that playing began or ended. */
  played() {
    const [label, sign] = this.clock.playing ? [gettext("Pause"), "pause"] : [gettext("Play"), "play"];
    this.playButton.replaceChildren(icon(sign));
    this.playButton.title = label;
    this.playButton.setAttribute("aria-label", label);
    if (!this.clock.playing) this.go(this.at);
  }

  /** Keys without Ctrl or Alt stay in the player: a notebook would take them for its own commands. */
  key(event) {
    if (!this.root.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && event.key === "Enter") return; // "run the cell"
    event.stopPropagation();
    const keys = { ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1), Home: () => this.end(-1), End: () => this.end(1) };
    if (!event.target.closest("select, summary, button, input:not([type=range])")) keys[" "] = () => this.toggle();
    const act = keys[event.key];
    if (!act || event.target.matches("select, pre, .wide")) return;
    event.preventDefault();
    act();
  }
}

/** Return what a hop is, whatever number it has: more evidence makes it another one. */
function identity(hop) {
  return `${hop.kind} ${hop.to} ${hop.evidence.join(" ")}`;
}

/** Return the last index whose element passes; elements that pass come first. -1 if none does. */
function lastUpTo(list, passes) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (passes(list[middle])) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export function mount(root, data, options) {
  return new Player(root, data, options);
}
