// What is shown of a flow: whose hops, and whether those that move nothing.

class Filters {
  /** @param changed called when the reader has chosen */
  constructor(changed) {
    this.changed = changed;
    this.hidden = new Set(); // ids of actors
    this.quiet = false;
    this.list = make("div", { class: "menu" });
    this.count = make("span", {});
    const choose = (event) => this.choose(() => (this.quiet = event.target.checked));
    this.roots = [
      make("details", { class: "filter" }, make("summary", { "data-key": "actors" }, gettext("Actors"), this.count), this.list),
      make("label", { title: gettext("Events and status updates") }, make("input", { type: "checkbox", "data-key": "noise", onchange: choose }), gettext("Hide noise")),
    ];
  }

  fill(data) {
    this.data = data;
    const parties = new Map();
    for (const hop of data.hops) parties.set(hop.party, (parties.get(hop.party) ?? 0) + 1);
    const rows = [...parties].sort(([one], [other]) => one - other).map(([index, count]) => {
      const actor = data.actors[index];
      const choose = (event) => this.choose(() => this.hidden[event.target.checked ? "delete" : "add"](actor.id));
      const box = make("input", { type: "checkbox", "data-key": actor.id, onchange: choose });
      box.checked = !this.hidden.has(actor.id);
      return make("label", { style: paint(actor) }, box, make("i", { class: "swatch" }), `${actor.name} (${count})`);
    });
    redraw(this.list, ...rows);
  }

  choose(change) {
    change();
    this.count.textContent = this.hidden.size ? gettext(" ({count} hidden)", { count: this.hidden.size }) : "";
    this.changed();
  }

  /** Return the hops that are shown. */
  kept() {
    return this.data.hops.filter((hop) => !(this.quiet && hop.noise) && !this.hidden.has(this.data.actors[hop.party].id));
  }
}
