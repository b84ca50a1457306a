// Time from left to right: a tick for each hop that is shown, folded stretches, and the bar by which to seek.

const RANGE = 10000; // the seek bar's steps
const LONG = 0.1; // of the axis: a fold that has room for its words on a narrow page too
const SHORT = 0.06;

class Axis {
  /** @param seek called with a place, 0 to 1 */
  constructor(seek) {
    this.bar = make("input", { type: "range", min: 0, max: RANGE, "data-key": "seek", "aria-label": gettext("Time"), oninput: (event) => seek(event.target.value / RANGE) });
    this.ticks = draw("svg", { class: "ticks", "aria-hidden": "true" });
    this.cursor = draw("line", { class: "cursor", y1: 0, y2: 28 });
    this.root = make("div", { class: "axis" }, this.ticks, this.bar);
  }

  fill(data, shown) {
    const at = (x) => `${(100 * x).toFixed(3)}%`;
    const marks = data.axis.folds.map(({ from, to, ms }) => {
      const fold = draw("g", { class: to - from < LONG ? "fold" : "long fold" }, draw("rect", { x: at(from), width: at(to - from), y: 0, height: 24 }));
      if (to - from > SHORT) fold.append(draw("text", { x: at((from + to) / 2), y: 16 }, gettext("idle {time}", { time: duration(ms) })));
      return fold;
    });
    for (const { x, text } of data.axis.labels) marks.push(draw("text", { class: "time", x: at(x), y: 40 }, text));
    for (const hop of shown) {
      const [top, bottom] = hop.noise ? [16, 24] : hop.kind === "request" ? [2, 24] : [8, 24];
      const where = { x1: at(hop.x), x2: at(hop.x), y1: top, y2: bottom };
      marks.push(draw("line", { class: "tick", ...where, "data-observed": hop.observed, style: paint(data.actors[hop.party]) }));
    }
    this.ticks.replaceChildren(...marks, this.cursor);
  }

  /** Show where the present hop is, or that there is none. */
  at(hop) {
    this.bar.value = Math.round((hop?.x ?? 0) * RANGE);
    this.bar.setAttribute("aria-valuetext", hop ? gettext("hop {number}, {time}", { number: hop.number, time: duration(hop.start) }) : gettext("no hop"));
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, `${100 * (hop?.x ?? 0)}%`);
  }
}
