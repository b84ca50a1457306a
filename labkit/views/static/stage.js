// The picture or the table in which the present hop is lit: earlier hops are past, later ones are not there yet.

const views = () => ({ architecture: gettext("Architecture"), lanes: gettext("Swim lanes"), table: gettext("Table") });
const NAMES = 264; // pixels: the lanes' names, which stay in sight

class Stage {
  /** @param pick called with the number of the hop that was pressed */
  constructor(pick) {
    this.view = "architecture";
    this.theme = "light";
    this.pictures = {};
    this.root = make("div", { class: "stage", role: "group", tabindex: 0, "data-key": "stage", onscroll: () => this.along() });
    this.root.addEventListener("click", (event) => {
      const element = event.target.closest("[data-hop]");
      if (element) pick(Number(element.dataset.hop));
    });
    this.tabs = make("div", { class: "tabs", role: "group", "aria-label": gettext("Picture") });
    for (const [view, label] of Object.entries(views())) {
      const press = () => {
        this.show(view);
        this.at(this.hop);
      };
      this.tabs.append(make("button", { type: "button", "data-key": view, "aria-pressed": "false", onclick: press }, label));
    }
  }

  take(data) {
    this.data = data;
    this.hop = undefined;
    this.pictures = {};
    this.marked = { table: null };
    this.table = null; // made when it is first asked for
    for (const view of ["architecture", "lanes"]) {
      this.pictures[view] = data.pictures[view] ? withoutHeading(picture(data.pictures[view])) : null;
      this.marked[view] = this.pictures[view] && byHop(this.pictures[view]);
    }
    this.paint(this.theme);
  }

  paint(theme) {
    this.theme = theme;
    for (const svg of Object.values(this.pictures)) if (svg) svg.dataset.theme = theme;
  }

  /** Show these hops alone. */
  filter(shown) {
    this.shown = new Set(shown.map((hop) => hop.number));
    for (const view of Object.keys(this.marked)) this.hideFiltered(view);
  }

  hideFiltered(view) {
    for (const element of new Set([...(this.marked[view]?.values() ?? [])].flat())) {
      if (!element.classList.contains("pod")) element.toggleAttribute("data-out", !hopsOf(element).some((number) => this.shown.has(number)));
    }
  }

  show(view = this.view) {
    this.view = view;
    if (view === "table" && !this.table) {
      this.table = hopTable(this.data);
      this.marked.table = byHop(this.table);
      this.hideFiltered("table");
    }
    for (const tab of this.tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.key === view));
    const shown = view === "table" ? this.table : this.pictures[view];
    this.root.dataset.view = view;
    this.root.setAttribute("aria-label", views()[view]);
    this.root.scrollLeft = 0;
    this.root.replaceChildren(shown ?? make("p", { class: "quiet" }, gettext("There is no such picture of this flow.")));
  }

  /** Light the present hop in what is shown. */
  at(hop) {
    this.hop = hop;
    const marked = this.marked[this.view];
    if (!marked) return;
    const number = hop?.number ?? 0;
    const present = (marked.get(number) ?? []).filter((element) => hopsOf(element).includes(number));
    if (this.view === "table") {
      this.row?.removeAttribute("aria-current");
      [this.row] = present;
      this.row?.setAttribute("aria-current", "true");
    } else {
      this.color(marked, number);
      this.pictures[this.view].dataset.step = number;
      for (const element of present) lift(element);
      this.lightActors();
    }
    if (present[0]) reveal(this.root, present[0], this.view === "lanes" ? NAMES : 0);
  }

  /** Tell a picture's hops which are past, now and next: only those that changed since it was last lit are touched. */
  color(marked, at) {
    const before = marked.at ?? -1;
    const [low, high] = before < 0 ? [1, this.data.hops.length] : [Math.min(before, at), Math.max(before, at)];
    for (let number = low; number <= high; number += 1) {
      for (const element of marked.get(number) ?? []) {
        element.classList.remove("past", "now", "next", "gone");
        element.classList.add(stateOf(element, at));
      }
    }
    marked.at = at;
  }

  lightActors() {
    const pair = this.hop ? [this.hop.from, this.hop.to].map((place) => this.data.actors[place].id) : [];
    for (const element of this.pictures[this.view].querySelectorAll("[data-actor]")) {
      const sitting = element.dataset.actor.split(" "); // those of many nodes share a box
      element.toggleAttribute("data-lit", pair.some((id) => sitting.includes(id)));
    }
  }

  /** Keep the names of the lanes in sight while the lanes scroll. */
  along() {
    this.root.style.setProperty("--along", `${this.root.scrollLeft}px`);
  }
}

function hopTable({ title, actors, hops }) {
  const head = [gettext("Hop"), "+ms", gettext("From"), gettext("To"), gettext("What"), gettext("Kind"), gettext("Seen"), gettext("Evidence")];
  const rows = hops.map((hop) => {
    const button = make("button", { type: "button", "data-key": `row-${hop.number}`, "aria-label": gettext("Hop {number}", { number: hop.number }) }, String(hop.number));
    const cells = [button, hop.start.toFixed(1), actors[hop.from].name, actors[hop.to].name, hop.what, kindId(hop.kind), seenAs(hop), hop.evidence[0] ?? ""];
    return make("tr", { "data-hop": hop.number, "data-noise": hop.noise }, ...cells.map((cell) => make("td", {}, cell)));
  });
  return make(
    "table",
    { class: "hops" },
    make("caption", {}, title),
    make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows),
  );
}

/** Return the elements that a hop changes: a Map from its number to a list. */
function byHop(root) {
  const found = new Map();
  for (const element of root.querySelectorAll("[data-hop]")) {
    for (const number of [...hopsOf(element), ...(element.dataset.until ? [Number(element.dataset.until)] : [])]) {
      if (!found.has(number)) found.set(number, []);
      found.get(number).push(element);
    }
  }
  return found;
}

/** Return the numbers of the hops that an element stands for. */
function hopsOf(element) {
  return (element.dataset.hops ?? element.dataset.hop).split(" ").map(Number);
}

/** Return what an element is at a hop; a pod is gone from the hop on that removed it. */
function stateOf(element, at) {
  const numbers = hopsOf(element);
  if (numbers.includes(at)) return "now";
  if (numbers[0] > at) return "next";
  return Number(element.dataset.until ?? Infinity) <= at ? "gone" : "past";
}

/** Bring an arrow above all other arrows, still below what is painted after them. */
function lift(element) {
  if (!element.classList.contains("hop")) return;
  const arrows = element.parentNode.querySelectorAll(":scope > .hop");
  const last = arrows[arrows.length - 1];
  if (last !== element) last.after(element);
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
