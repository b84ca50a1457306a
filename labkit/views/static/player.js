// The player: one page of a flow, in an HTML file of its own and in a notebook's panel alike.
//
// `data` is what labkit.views.player.payload makes. What the page shows follows from `data` and from `this.at`, the
// number of the present hop: earlier hops are past, later ones are not there yet.

const VIEWS = { architecture: "Architecture", lanes: "Swim lanes", table: "Table" };
const PACES = [["0.5", "1 hop in 2 s"], ["1", "1 hop/s"], ["2", "2 hops/s"], ["5", "5 hops/s"], ["20", "20 hops/s"], ["real", "real time"]];
const RANGE = 10000; // the seek bar's steps
const PATIENCE = 5000; // ms until a kernel that does not answer is taken for gone
const REST = 120; // ms without a step until the evidence is redrawn

class Player {
  /**
   * @param root the element to fill
   * @param data the payload
   * @param ask called with a hop's number and the player when its details are not here; `answer` brings them
   */
  constructor(root, data, { ask = null } = {}) {
    Object.assign(this, { root, ask, at: 0, view: "architecture", pace: "1", playing: false, timer: 0, frame: 0 });
    this.hiddenActors = new Set();
    this.details = new Map(); // by what a hop is, so that they outlast its number
    this.asked = new Map(); // what has been asked of Python, by number
    this.quiet = false;
    this.build();
    this.watchTheme();
    this.take(data);
    this.go(this.shown[0]?.number ?? 0);
  }

  // --- the page, made once -----------------------------------------------------------------------------------------

  build() {
    const button = (key, label, sign, press) =>
      make("button", { type: "button", "data-key": key, "aria-label": label, title: label, onclick: press }, icon(sign));
    this.title = make("h2", {});
    this.summary = make("p", { class: "quiet" });
    this.tabs = make("div", { class: "tabs", role: "group", "aria-label": "Picture" });
    for (const [view, label] of Object.entries(VIEWS)) {
      this.tabs.append(make("button", { type: "button", "data-key": view, "aria-pressed": "false", onclick: () => this.show(view) }, label));
    }
    this.actorList = make("div", { class: "menu" });
    this.actorCount = make("span", {});
    const noise = make("input", { type: "checkbox", "data-key": "noise", onchange: (event) => this.hideNoise(event.target.checked) });
    const tools = make(
      "div",
      { class: "tools" },
      this.tabs,
      make("details", { class: "filter" }, make("summary", { "data-key": "actors" }, "Actors", this.actorCount), this.actorList),
      make("label", { title: "Events and status updates" }, noise, "Hide noise"),
    );
    this.steps = make("nav", { class: "steps", "aria-label": "Steps of the textbook" });
    this.stage = make("div", { class: "stage", tabindex: 0, "data-key": "stage", onclick: (event) => this.pick(event), onscroll: () => this.along() });
    this.evidence = make("section", { class: "evidence", "aria-label": "Evidence of the present hop", tabindex: 0 });
    this.now = make("p", { class: "words", role: "status", "aria-live": "polite" });
    this.playButton = button("play", "Play", "play", () => this.toggle());
    this.paceChoice = make("select", { "data-key": "pace", "aria-label": "Speed", onchange: (event) => (this.pace = event.target.value) });
    this.paceChoice.append(...PACES.map(([value, label]) => make("option", { value }, label)));
    this.paceChoice.value = this.pace;
    this.count = make("span", { class: "count" });
    const controls = make(
      "div",
      { class: "controls", role: "group", "aria-label": "Player" },
      button("first", "First hop", "first", () => this.end(-1)),
      button("back", "One hop back", "back", () => this.step(-1)),
      this.playButton,
      button("forward", "One hop forward", "forward", () => this.step(1)),
      button("last", "Last hop", "last", () => this.end(1)),
      this.paceChoice,
      this.count,
    );
    this.seekBar = make("input", { type: "range", min: 0, max: RANGE, "data-key": "seek", "aria-label": "Time", oninput: (event) => this.seek(event.target.value / RANGE) });
    this.ticks = draw("svg", { class: "ticks", "aria-hidden": "true" });
    this.player = make("section", { class: "player", "aria-label": "Player" }, this.now, make("div", { class: "axis" }, this.ticks, this.seekBar), controls);
    this.root.classList.add("labkit-player");
    this.root.setAttribute("role", "region");
    this.onKey = (event) => this.key(event);
    // Before JupyterLab, which takes keys while they are on their way down to us (@lumino/commands).
    window.addEventListener("keydown", this.onKey, true);
    this.table = make("table", { class: "hops" });
    this.pictures = {};
    this.root.replaceChildren(
      make("header", {}, make("div", { class: "heading" }, this.title, this.summary), tools),
      make("div", { class: "body" }, this.steps, this.stage, this.player, this.evidence),
    );
  }

  watchTheme() {
    this.darkness = matchMedia("(prefers-color-scheme: dark)");
    this.onTheme = () => {
      const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
      let dark = this.darkness.matches;
      if (jpThemeLight !== undefined) dark = jpThemeLight === "false";
      else if (vscodeThemeKind !== undefined) dark = /dark|^vscode-high-contrast$/.test(vscodeThemeKind);
      this.root.dataset.theme = dark ? "dark" : "light";
      for (const svg of Object.values(this.pictures)) if (svg) svg.dataset.theme = this.root.dataset.theme;
    };
    this.darkness.addEventListener("change", this.onTheme);
    this.bodyWatch = new MutationObserver(this.onTheme);
    this.bodyWatch.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind"] });
    this.onTheme();
  }

  destroy() {
    this.pause();
    clearTimeout(this.timer);
    this.darkness.removeEventListener("change", this.onTheme);
    this.bodyWatch.disconnect();
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
    this.at = -1; // nothing of the new pictures is marked yet
    this.go(atEnd && !this.playing ? (this.shown.at(-1)?.number ?? 0) : (same ?? this.shown[0])?.number ?? 0);
  }

  take(data) {
    this.data = data;
    for (const [number, detail] of Object.entries(data.details)) this.details.set(identity(data.hops[number - 1]), detail);
    this.step_ = null;
    this.root.setAttribute("aria-label", `Flow: ${data.title}`);
    this.title.textContent = data.title;
    this.summary.textContent = [data.summary, ...data.losses].join(" · ");
    this.marked = {};
    for (const view of ["architecture", "lanes"]) {
      this.pictures[view] = data.pictures[view] ? withoutHeading(picture(data.pictures[view])) : null;
      this.marked[view] = this.pictures[view] && byHop(this.pictures[view]);
    }
    this.onTheme();
    this.fillSteps();
    this.fillActors();
    this.marked.table = null;
    this.filter();
    this.show(this.view);
  }

  fillSteps() {
    this.stepOf = new Map();
    const item = (key, number, title, seen, notes, hops, stopped) => {
      for (const hop of hops) if (!this.stepOf.has(hop)) this.stepOf.set(hop, key);
      const said = stopped ? "stopped here" : seen;
      const press = () => (hops.length ? this.go(hops[0]) : this.mark(key));
      return make(
        "li",
        { "data-step": key, "data-seen": seen, "data-stopped": stopped },
        make(
          "button",
          { type: "button", "data-key": key, onclick: press },
          make("span", { class: "number", "aria-hidden": "true" }, number),
          make("span", { class: "title" }, title),
          make("span", { class: "seen" }, [said, hops.length ? ranges(hops) : ""].filter(Boolean).join(" · ")),
        ),
        ...notes.filter(Boolean).map((note) => make("p", { class: "note" }, note)),
      );
    };
    const story = this.data.story;
    this.root.classList.toggle("plain", !story);
    if (!story) return redraw(this.steps);
    const steps = story.steps.map((step) => {
      const stopped = story.stop?.step === step.number;
      return item(`step-${step.number}`, String(step.number), step.title, step.seen, [stopped && story.stop.why, step.note], step.hops, stopped);
    });
    const extra = story.extra.map((more, index) => item(`extra-${index}`, "+", more.title, "", [more.why], more.hops, false));
    redraw(this.steps, make("ol", {}, ...steps), extra.length ? make("h3", {}, "Where reality has more") : "", make("ol", {}, ...extra));
  }

  fillActors() {
    const parties = new Map();
    for (const hop of this.data.hops) parties.set(hop.party, (parties.get(hop.party) ?? 0) + 1);
    const rows = [...parties].sort(([one], [other]) => one - other).map(([index, count]) => {
      const actor = this.data.actors[index];
      const box = make("input", { type: "checkbox", "data-key": actor.id, onchange: (event) => this.hideActor(actor.id, !event.target.checked) });
      box.checked = !this.hiddenActors.has(actor.id);
      return make("label", { style: paint(actor) }, box, make("i", { class: "swatch" }), `${actor.name} (${count})`);
    });
    redraw(this.actorList, ...rows);
  }

  fillTable() {
    const head = ["Hop", "+ms", "From", "To", "What", "Kind", "Seen", "Evidence"];
    const rows = this.data.hops.map((hop) =>
      make(
        "tr",
        { "data-hop": hop.number, "data-noise": hop.noise },
        make("td", {}, make("button", { type: "button", "data-key": `row-${hop.number}`, "aria-label": `Hop ${hop.number}` }, String(hop.number))),
        make("td", {}, hop.start.toFixed(1)),
        ...[this.data.actors[hop.from].name, this.data.actors[hop.to].name, hop.what, hop.kind, hop.observed ? "observed" : "inferred", hop.evidence[0] ?? ""].map((text) => make("td", {}, text)),
      ),
    );
    redraw(this.table, make("caption", {}, this.data.title), make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...rows));
    this.marked.table = byHop(this.table);
  }

  fillAxis() {
    const at = (x) => `${(100 * x).toFixed(3)}%`;
    const marks = this.data.axis.folds.map(({ from, to, ms }) =>
      draw("g", { class: "fold" }, draw("rect", { x: at(from), width: at(to - from), y: 0, height: 24 }), draw("text", { x: at((from + to) / 2), y: 16 }, `idle ${duration(ms)}`)),
    );
    for (const { x, text } of this.data.axis.labels) marks.push(draw("text", { class: "time", x: at(x), y: 40 }, text));
    this.tick = new Map();
    for (const hop of this.shown) {
      const actor = this.data.actors[hop.party];
      const [top, bottom] = hop.noise ? [16, 24] : hop.kind === "request" ? [2, 24] : [8, 24];
      const line = draw("line", { class: "tick", x1: at(hop.x), x2: at(hop.x), y1: top, y2: bottom, "data-hop": hop.number, "data-observed": hop.observed, style: paint(actor) });
      this.tick.set(hop.number, line);
      marks.push(line);
    }
    this.cursor = draw("line", { class: "cursor", y1: 0, y2: 28 });
    this.ticks.replaceChildren(...marks, this.cursor);
  }

  // --- filters -------------------------------------------------------------------------------------------------------

  hideActor(id, hidden) {
    this.hiddenActors[hidden ? "add" : "delete"](id);
    this.filter();
    this.go(this.at);
  }

  hideNoise(hidden) {
    this.quiet = hidden;
    this.filter();
    this.go(this.at);
  }

  filter() {
    const kept = (hop) => !(this.quiet && hop.noise) && !this.hiddenActors.has(this.data.actors[hop.party].id);
    this.shown = this.data.hops.filter(kept);
    for (const view of Object.keys(this.marked)) this.hideFiltered(view);
    this.actorCount.textContent = this.hiddenActors.size ? ` (${this.hiddenActors.size} hidden)` : "";
    this.fillAxis();
  }

  hideFiltered(view) {
    const numbers = new Set(this.shown.map((hop) => hop.number));
    const elements = new Set([...(this.marked[view]?.values() ?? [])].flat());
    for (const element of elements) element.toggleAttribute("data-out", !hopsOf(element).some((number) => numbers.has(number)));
  }

  // --- where we are --------------------------------------------------------------------------------------------------

  hop(number) {
    return this.data.hops[number - 1];
  }

  /** Make a hop the present one; if it is filtered out, the nearest one before it, else the first. */
  go(number) {
    const place = Math.max(0, lastUpTo(this.shown, (hop) => hop.number <= number));
    const hop = this.shown[place];
    this.at = hop?.number ?? 0;
    this.place = place;
    for (const view of ["architecture", "lanes", "table"]) if (view === this.view) this.light(view);
    this.count.textContent = hop ? `${place + 1} of ${this.shown.length}` : "no hops";
    this.now.setAttribute("aria-live", this.playing && this.pace !== "0.5" && this.pace !== "1" ? "off" : "polite");
    this.now.textContent = hop ? this.words(hop) : "No hop is shown: the filters hide all of them.";
    this.seekBar.value = Math.round((hop?.x ?? 0) * RANGE);
    this.seekBar.setAttribute("aria-valuetext", hop ? `hop ${hop.number}, ${duration(hop.start)}` : "no hop");
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, `${100 * (hop?.x ?? 0)}%`);
    this.mark(this.stepOf.get(this.at));
    clearTimeout(this.timer);
    if (this.playing) this.timer = setTimeout(() => this.tell(), REST);
    else this.tell();
  }

  words(hop) {
    const { name: from } = this.data.actors[hop.from];
    const { name: to } = this.data.actors[hop.to];
    const step = this.stepOf.get(hop.number)?.match(/^step-(\d+)/);
    return `${step ? `Step ${step[1]}. ` : ""}Hop ${hop.number}, +${duration(hop.start)}: ${from} → ${to}: ${hop.what} (${hop.observed ? "observed" : "inferred"})`;
  }

  /** Light the present hop in a picture or in the table. */
  light(view) {
    const marked = this.marked[view];
    if (!marked) return;
    const present = marked.get(this.at) ?? [];
    if (view === "table") {
      this.row?.removeAttribute("aria-current");
      [this.row] = present;
      this.row?.setAttribute("aria-current", "true");
    } else {
      this.colorHops(marked);
      this.pictures[view].dataset.step = this.at;
      for (const element of present) lift(element);
      this.lightActors(view);
    }
    if (present[0]) reveal(this.stage, present[0], view === "lanes" ? 264 : 0);
  }

  /** Tell a picture's hops which are past, now and next: only those that changed since it was last lit are touched. */
  colorHops(marked) {
    const before = marked.at ?? -1;
    const [low, high] = before < 0 ? [1, this.data.hops.length] : [Math.min(before, this.at), Math.max(before, this.at)];
    for (let number = low; number <= high; number += 1) {
      for (const element of marked.get(number) ?? []) {
        const numbers = hopsOf(element);
        const state = numbers.includes(this.at) ? "now" : numbers[0] < this.at ? "past" : "next";
        element.classList.remove("past", "now", "next");
        element.classList.add(state);
      }
    }
    marked.at = this.at;
  }

  /** Keep the names of the lanes in sight while the lanes scroll. */
  along() {
    this.stage.style.setProperty("--along", `${this.stage.scrollLeft}px`);
  }

  lightActors(view) {
    const hop = this.hop(this.at);
    const pair = new Set(hop ? [this.data.actors[hop.from].id, this.data.actors[hop.to].id] : []);
    for (const element of this.pictures[view].querySelectorAll("[data-actor]")) element.toggleAttribute("data-lit", pair.has(element.dataset.actor));
  }

  /** Mark a step of the textbook as the present one and unfold its note. */
  mark(key) {
    if (key === this.step_) return;
    this.step_ = key;
    for (const item of this.steps.querySelectorAll("li")) {
      const present = item.dataset.step === key;
      item.classList.toggle("present", present);
      if (present) item.firstChild.setAttribute("aria-current", "step");
      else item.firstChild.removeAttribute("aria-current");
      if (present) reveal(this.steps, item);
    }
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

  /** Take the details of a hop that was asked for, or null if there are none. */
  answer(number, detail) {
    const asked = this.asked.get(number);
    if (asked === undefined) return;
    this.asked.delete(number);
    this.details.set(asked, detail);
    if (!this.playing) this.tell();
  }

  show(view) {
    this.view = view;
    if (view === "table" && !this.marked.table) {
      this.fillTable();
      this.hideFiltered("table");
    }
    for (const tab of this.tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.key === view));
    const shown = view === "table" ? this.table : this.pictures[view];
    this.stage.dataset.view = view;
    this.stage.setAttribute("aria-label", VIEWS[view]);
    this.stage.scrollLeft = 0;
    this.stage.replaceChildren(shown ?? make("p", { class: "quiet" }, "There is no such picture of this flow."));
    this.light(view);
  }

  // --- moving --------------------------------------------------------------------------------------------------------

  step(by) {
    this.pause();
    this.go(this.shown[Math.min(this.shown.length - 1, Math.max(0, this.place + by))]?.number ?? 0);
  }

  end(which) {
    this.pause();
    this.go((which < 0 ? this.shown[0] : this.shown.at(-1))?.number ?? 0);
  }

  seek(x) {
    const after = this.shown.findIndex((hop) => hop.x >= x);
    const right = after < 0 ? this.shown.length - 1 : after;
    const left = Math.max(0, right - 1);
    this.go((x - this.shown[left]?.x < this.shown[right]?.x - x ? this.shown[left] : this.shown[right])?.number ?? 0);
  }

  toggle() {
    if (this.playing) return this.pause();
    if (this.place >= this.shown.length - 1) this.go(this.shown[0]?.number ?? 0);
    this.playing = true;
    this.labelPlay();
    let last = performance.now();
    let due = 0; // hops, or ms in real time, that have come due and not been shown
    const tick = (time) => {
      due += ((time - last) / 1000) * (this.pace === "real" ? 1000 : Number(this.pace));
      last = time;
      due = this.advance(due);
      if (this.place >= this.shown.length - 1) this.pause();
      else this.frame = requestAnimationFrame(tick);
    };
    this.frame = requestAnimationFrame(tick);
  }

  /** Go on by as many hops as have come due and return what remains; in real time, what is folded is passed over. */
  advance(due) {
    let place = this.place;
    while (place < this.shown.length - 1) {
      const gap = Math.min(this.shown[place + 1].start - this.shown[place].start, this.data.axis.fold);
      const cost = this.pace === "real" ? gap : 1;
      if (due < cost) break;
      due -= cost;
      place += 1;
    }
    if (place !== this.place) this.go(this.shown[place].number);
    return due;
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    cancelAnimationFrame(this.frame);
    this.labelPlay();
    this.go(this.at);
  }

  labelPlay() {
    const label = this.playing ? "Pause" : "Play";
    this.playButton.replaceChildren(icon(this.playing ? "pause" : "play"));
    this.playButton.title = label;
    this.playButton.setAttribute("aria-label", label);
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

  pick(event) {
    const element = event.target.closest("[data-hop]");
    if (!element) return;
    this.pause();
    this.go(Number(element.dataset.hop));
  }
}

/** Return what a hop is, whatever number it has: more evidence makes it another one. */
function identity(hop) {
  return `${hop.kind} ${hop.to} ${hop.evidence.join(" ")}`;
}

/** Return the elements of each hop: a Map from its number to a list. */
function byHop(root) {
  const found = new Map();
  for (const element of root.querySelectorAll("[data-hop]")) {
    for (const number of hopsOf(element)) found.set(number, [...(found.get(number) ?? []), element]);
  }
  return found;
}

/** Cut off a picture's heading, which the page has already. */
function withoutHeading(svg) {
  const lines = [...(svg?.querySelectorAll(".heading text") ?? [])].map((text) => Number(text.getAttribute("y")));
  if (!lines.length) return svg;
  const cut = Math.max(...lines);
  const [x, y, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  svg.setAttribute("viewBox", `${x} ${y + cut} ${width} ${height - cut}`);
  svg.setAttribute("height", height - cut);
  return svg;
}

/** Return the numbers of the hops that an element stands for. */
function hopsOf(element) {
  return (element.dataset.hops ?? element.dataset.hop).split(" ").map(Number);
}

/** Bring an arrow above all other arrows, still below what is painted after them. */
function lift(element) {
  const arrows = element.parentNode.querySelectorAll(":scope > .hop");
  const last = arrows[arrows.length - 1];
  if (last !== element) last.after(element);
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

/** 3, 4, 5, 9 as "hops 3–5, 9". */
function ranges(numbers) {
  const parts = [];
  for (const number of numbers) {
    const last = parts.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  const shown = parts.slice(0, 3).map(([first, last]) => (first === last ? first : `${first}–${last}`));
  if (parts.length > 3) shown.push("…");
  return `${numbers.length === 1 ? "hop" : "hops"} ${shown.join(", ")}`;
}

export function mount(root, data, options) {
  return new Player(root, data, options);
}

/** Ask for a hop's details; a kernel that is gone gives none. */
function askPython(model, player, number) {
  model.send({ ask: number });
  setTimeout(() => player.answer(number, null), PATIENCE);
}

/** The notebook's panel (anywidget.dev): `flow` is the payload; details are asked from Python while there is one. */
function render({ model, el }) {
  const root = make("div", {});
  el.append(root);
  const ask = model.get("live") ? (number, player) => askPython(model, player, number) : null;
  const player = mount(root, model.get("flow"), { ask });
  // While the panel is here, the still of the same flow, which is for when no kernel runs, is not shown.
  el.append(make("style", {}, `#labkit-still-${model.get("still")} { display: none; }`));
  const changed = () => player.update(model.get("flow"));
  const told = (message) => "detail" in message && player.answer(message.hop, message.detail);
  model.on("change:flow", changed);
  model.on("msg:custom", told);
  model.send({ ready: model.get("edition") });
  return () => {
    model.off("change:flow", changed);
    model.off("msg:custom", told);
    player.destroy();
  };
}

export default { render };
