// The evidence of the chosen hop: what it was, and below it one section for each kind of evidence.

/** Return the pane's content. `detail` is a list of sections, or undefined while Python is being asked. */
function evidencePane(hop, data, detail, go) {
  const [source, target] = [data.actors[hop.from], data.actors[hop.to]];
  const facts = [
    [gettext("Object"), hop.object],
    [gettext("Verb"), hop.code == null ? hop.verb : gettext("{verb}, answered {code}", { verb: hop.verb, code: hop.code })],
    [gettext("Time"), gettext("+{start}, for {length}", { start: duration(hop.start), length: duration(hop.end - hop.start) })],
    [gettext("In this flow"), hop.because],
    [gettext("Led to by"), hop.cause && make("button", { type: "button", "data-key": "cause", onclick: () => go(hop.cause) }, gettext("hop {number}", { number: hop.cause }))],
    [gettext("Rule"), hop.rule],
    [gettext("etcd revision"), hop.revision],
    [gettext("Evidence"), hop.evidence.join("\n")],
  ];
  if (!hop.observed) facts[2] = [gettext("Time"), gettext("between +{start} and +{end}", { start: duration(hop.start), end: duration(hop.end) })];
  return [
    make("h3", {}, make("span", { class: "badge", "data-observed": hop.observed, style: paint(source) }, String(hop.number)), `${source.name} → ${target.name}`),
    make("p", { class: "what" }, hop.what),
    make(
      "p",
      { class: "marks" },
      make("span", { class: "mark", "data-observed": hop.observed }, seenAs(hop)),
      make("span", {}, kindOf(hop)),
      hop.failed ? make("span", { class: "refused" }, gettext("✗ refused")) : "",
    ),
    factList(facts),
    ...(detail ?? []).map(section),
    detail === undefined ? make("p", { class: "quiet" }, gettext("Asking for the details …")) : "",
    detail === null ? make("p", { class: "quiet" }, gettext("There are no more details of this hop here.")) : "",
  ].filter((part) => part !== "");
}

const kindOf = (hop) =>
  ({
    request: gettext("request"),
    persist: gettext("stored in etcd"),
    notify: gettext("notice to a watcher"),
    runtime: gettext("call of the container runtime"),
    record: gettext("Event, a record that moves nothing"),
  })[hop.kind];

/** A kind of hop in one word. */
const kindId = (kind) =>
  ({ request: gettext("request"), persist: gettext("persist"), notify: gettext("notify"), runtime: gettext("runtime"), record: gettext("record") })[kind];

const seenAs = (hop) => (hop.observed ? gettext("observed") : gettext("inferred"));

function paint(actor) {
  return `--actor: ${actor.color[0]}; --actor-dark: ${actor.color[1]}`;
}

function factList(rows) {
  const list = make("dl", {});
  for (const [name, value] of rows) {
    if (value != null && value !== "") list.append(make("dt", {}, name), make("dd", {}, value instanceof Node ? value : String(value)));
  }
  return list;
}

function section(part) {
  const body = { facts: () => factList(part.rows), changes: changeTable, spans: spanBars, table: plainTable, text: rawText }[part.kind](part);
  return make("details", { open: part.open, "data-section": part.kind }, make("summary", { "data-key": `section ${part.title}` }, part.title), part.note ? make("p", { class: "quiet" }, part.note) : "", body);
}

function rawText(part) {
  return make("pre", { role: "group", tabindex: 0, "aria-label": part.title }, part.text);
}

function plainTable({ head, rows }) {
  return make(
    "div",
    { class: "wide", tabindex: 0 },
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, ...head.map((cell) => make("th", { scope: "col" }, String(cell))))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, String(cell)))))),
    ),
  );
}

/** The span tree as nested bars over the root's time; numbers are microseconds. */
function spanBars({ total, rows }) {
  const list = make("ol", { class: "spans" });
  for (const [depth, name, service, start, length, note] of rows) {
    const left = Math.min(99, (100 * start) / total);
    const width = Math.min(100 - left, (100 * length) / total);
    list.append(
      make(
        "li",
        { style: `--depth: ${depth}`, title: note },
        make("span", { class: "name" }, name, make("small", {}, service)),
        make("span", { class: "length" }, `${length.toLocaleString("en")} µs`),
        make("span", { class: "bar", "aria-hidden": "true" }, make("i", { style: `left: ${left}%; width: ${width}%` })),
      ),
    );
  }
  return list;
}
