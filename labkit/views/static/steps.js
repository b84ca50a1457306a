// The steps of the textbook, and where reality has more: each leads to its first hop.

class Steps {
  /** @param go called with a hop's number */
  constructor(go) {
    this.go = go;
    this.root = make("nav", { class: "steps", "aria-label": gettext("Steps of the textbook") });
    this.keys = new Map(); // by a hop's number: the step that it is part of
  }

  fill(story) {
    this.keys.clear();
    this.present = null;
    if (!story) return redraw(this.root);
    const steps = story.steps.map((step) => {
      const stopped = story.stop?.step === step.number;
      return this.item(`step-${step.number}`, String(step.number), step.title, step.seen, [stopped && story.stop.why, step.note], step.hops, stopped);
    });
    const extra = story.extra.map((more, index) => this.item(`extra-${index}`, "+", more.title, "", [more.why], more.hops, false));
    redraw(this.root, make("ol", {}, ...steps), extra.length ? make("h3", {}, gettext("Where reality has more")) : "", make("ol", {}, ...extra));
  }

  item(key, number, title, seen, notes, hops, stopped) {
    for (const hop of hops) if (!this.keys.has(hop)) this.keys.set(hop, key);
    const said = stopped ? gettext("stopped here") : seenWords(seen);
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
  }

  /** Return the number of the textbook's step that a hop is part of; nothing if reality has more. */
  numberOf(hop) {
    return this.keys.get(hop)?.match(/^step-(\d+)/)?.[1];
  }

  /** Mark a hop's step as the present one. */
  at(hop) {
    this.mark(this.keys.get(hop));
  }

  /** Mark a step as the present one and unfold its note. */
  mark(key) {
    if (key === this.present) return;
    this.present = key;
    for (const item of this.root.querySelectorAll("li")) {
      const present = item.dataset.step === key;
      item.classList.toggle("present", present);
      if (present) item.firstChild.setAttribute("aria-current", "step");
      else item.firstChild.removeAttribute("aria-current");
      if (present) reveal(this.root, item);
    }
  }
}

/** Return how a step was seen, for people. */
function seenWords(seen) {
  return { observed: gettext("observed"), inferred: gettext("inferred"), "not seen": gettext("not seen") }[seen] ?? seen;
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
  return numbers.length === 1 ? gettext("hop {number}", { number: numbers[0] }) : gettext("hops {numbers}", { numbers: shown.join(", ") });
}
