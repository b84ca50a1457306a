// etcd: keys with a filter, a slider over the versions of one, its value, and what changed.
//
// `state` is what labkit.widgets.etcd.EtcdPanel keeps; the page sends {filter, key, at, against, echo}, and what it has
// sent counts until the state with the same echo comes: a reader who types or slides is not set back.

const NEWEST = "";

class Etcd extends ButtonPanel {
  constructor(model, root, name) {
    super(model, root, name, "labkit-panel");
    root.classList.add("labkit-etcd");
    this.page = Math.random().toString(36).slice(2);
    this.sent = 0;
    this.store = make("p", { class: "store" });
    this.count = make("p", { class: "count", role: "status", "aria-live": "polite" });
    this.filter = make("input", { type: "text", "data-key": "filter", autocomplete: "off", spellcheck: "false", oninput: () => this.say({ filter: this.filter.value }) });
    this.filter.value = model.get("state").filter;
    this.keys = make("select", { size: 20, "data-key": "keys", onchange: () => this.say({ key: this.keys.value }) });
    this.summary = make("h4", { "aria-live": "polite" });
    this.slider = make("input", { type: "range", min: 0, step: 1, "data-key": "at", oninput: () => this.slide() });
    this.ends = make("div", { class: "ends quiet", "aria-hidden": "true" });
    this.against = make("select", { "data-key": "against", onchange: () => this.say({ against: this.against.value === NEWEST ? null : Number(this.against.value) }) });
    this.note = make("p", { class: "quiet" });
    this.changes = make("div", { class: "differ", role: "group", tabindex: 0, "aria-label": gettext("Fields that differ") });
    this.value = make("pre", { role: "group", tabindex: 0, "aria-label": gettext("The value") });
    this.begin(this.title, this.store, this.trouble, this.browser(), make("h4", { class: "written" }, gettext("What was written last")), this.picture, this.twin);
  }

  browser() {
    const keys = make(
      "div",
      { class: "keys" },
      ...this.labelled(gettext("Filter: words that a key has; -word for those that it has not"), this.filter),
      this.count,
      ...this.labelled(gettext("Keys"), this.keys),
    );
    this.shown = make("details", { open: true }, make("summary", { "data-key": "value" }, gettext("The value, without managedFields")), this.value);
    const chosen = make(
      "div",
      { class: "chosen" },
      this.summary,
      ...this.labelled(gettext("Revision of the key"), this.slider),
      this.ends,
      ...this.labelled(gettext("Compared with"), this.against),
      this.note,
      this.changes,
      this.shown,
    );
    return make("div", { class: "browser" }, keys, chosen);
  }

  /** A label beside its control: inside of one, all options of a list would be read as its name. */
  labelled(text, control) {
    control.id = `labkit-etcd-${this.page}-${control.dataset.key}`;
    return [make("label", { for: control.id }, text), control];
  }

  /** Tell the kernel of a choice. */
  say(choice) {
    this.sent += 1;
    this.awaited = `${this.page}-${this.sent}`;
    this.model.send({ ...choice, echo: this.awaited });
  }

  slide() {
    const { versions } = this.model.get("state");
    const place = Number(this.slider.value);
    this.tell(versions, place);
    this.say({ at: place === versions.length - 1 ? null : versions[place][0] }); // at the end it follows what comes
  }

  tell(versions, place) {
    const [revision, what] = versions[place] ?? [gettext("none"), gettext("no version")];
    this.slider.setAttribute("aria-valuetext", gettext("revision {revision}, {what}, {place} of {count}", { revision, what, place: place + 1, count: versions.length }));
  }

  take() {
    const state = this.model.get("state");
    this.takeCommon(state, state.title);
    this.set(this.store, state.store);
    this.set(this.count, state.count);
    this.takeKeys(state);
    this.set(this.summary, state.summary);
    this.takeVersions(state);
    this.set(this.note, state.note);
    this.takeChanges(state);
    if (this.value.textContent !== state.value) this.value.textContent = state.value;
    this.shown.hidden = !state.value;
  }

  /** Whether the kernel has taken in all that this page has said. */
  get answered() {
    const { echo } = this.model.get("state");
    if (echo === this.awaited) this.awaited = undefined;
    return this.awaited === undefined;
  }

  takeKeys({ groups, key, filter }) {
    const told = JSON.stringify(groups);
    if (this.told !== told) {
      this.told = told;
      const top = this.keys.scrollTop;
      this.keys.replaceChildren(...groups.map(([name, members]) => make("optgroup", { label: name || gettext("keys") }, ...members.map(option))));
      this.keys.scrollTop = top;
    }
    if (!this.answered) return;
    this.keys.value = key;
    if (document.activeElement !== this.filter) this.filter.value = filter;
  }

  takeVersions({ versions, at, against }) {
    this.slider.max = Math.max(0, versions.length - 1);
    this.slider.disabled = versions.length < 2;
    this.ends.replaceChildren(...(versions.length > 1 ? [versions[0], versions.at(-1)].map(([revision]) => make("span", {}, String(revision))) : []));
    const told = JSON.stringify(versions);
    if (this.versions !== told) {
      this.versions = told;
      const before = make("option", { value: NEWEST }, gettext("the version before"));
      this.against.replaceChildren(before, ...versions.map(([revision, what]) => make("option", { value: revision }, gettext("revision {revision} ({what})", { revision, what }))));
    }
    if (!this.answered) return;
    this.slider.value = at;
    this.tell(versions, at);
    this.against.value = against === null ? NEWEST : versions[against][0];
  }

  takeChanges({ changes }) {
    const told = JSON.stringify(changes);
    if (this.differ === told) return;
    this.differ = told;
    this.changes.hidden = changes.length === 0;
    this.changes.replaceChildren(changeTable({ rows: changes }));
  }
}

/** A key that is gone is marked by a sign and a word. */
function option([key, name, fate]) {
  return make("option", { value: key, title: key }, fate ? `− ${name} (${fate})` : name);
}

export default { render: shown(Etcd) };
