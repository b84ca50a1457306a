// Playing: hop after hop at a steady pace, or as long after each other as they really were.

const paces = () => [
  ["0.5", gettext("1 hop in 2 s")],
  ["1", gettext("1 hop/s")],
  ...["2", "5", "20"].map((number) => [number, gettext("{number} hops/s", { number })]),
  ["real", gettext("real time")],
];

class Clock {
  /**
   * @param forward called with how much has come due, hops or ms in real time; returns what remains of it, or null at the end
   * @param changed called when playing begins or ends
   */
  constructor(forward, changed) {
    Object.assign(this, { forward, changed, playing: false, pace: "1", frame: 0 });
    this.choice = make("select", { "data-key": "pace", "aria-label": gettext("Speed"), onchange: (event) => (this.pace = event.target.value) });
    this.choice.append(...paces().map(([value, label]) => make("option", { value }, label)));
    this.choice.value = this.pace;
  }

  get real() {
    return this.pace === "real";
  }

  /** Whether a reader can follow each hop. */
  get slow() {
    return this.pace === "0.5" || this.pace === "1";
  }

  play() {
    this.playing = true;
    this.changed();
    let last = performance.now();
    let due = 0;
    const tick = (time) => {
      due += ((time - last) / 1000) * (this.real ? 1000 : Number(this.pace));
      last = time;
      due = this.forward(due);
      if (due === null) this.pause();
      else this.frame = requestAnimationFrame(tick);
    };
    this.frame = requestAnimationFrame(tick);
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    cancelAnimationFrame(this.frame);
    this.changed();
  }
}
