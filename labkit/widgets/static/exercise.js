// An exercise: its question, a field or choices for the answer, a button, and the verdict with its evidence.
//
// `state` is what labkit.widgets.exercise.ExercisePanel keeps; the button sends {check: ANSWER}, a text or a list.

class Exercise extends ButtonPanel {
  constructor(model, root, name) {
    super(model, root, name, "labkit-panel");
    root.classList.add("labkit-exercise");
    const { question } = model.get("state");
    this.asked = make("p", { class: "question", id: `labkit-question-${name}` }, question);
    this.button = make("button", { type: "submit", "data-key": "check" }, gettext("Check"));
    this.attempts = make("span", { class: "attempts" });
    this.form = make("form", { onsubmit: (event) => this.submit(event) }, this.inputs(), make("div", { class: "buttons" }, this.button, this.attempts));
    this.evidence = make("ul", {});
    this.why = make("div", { class: "why" }, make("p", {}, gettext("Evidence")), this.evidence);
    // One region for both, so that a screen reader tells the verdict and its evidence in one go.
    for (const attribute of ["role", "aria-live"]) this.said.removeAttribute(attribute);
    this.verdict = make("div", { class: "verdict", role: "status", "aria-live": "polite", "aria-atomic": "true" }, this.said, this.why);
    this.begin(this.title, this.asked, this.form, this.verdict);
  }

  /** What to answer with; nothing where something is to be done on the cluster. */
  inputs() {
    const { field, choices, several } = this.model.get("state");
    const asked = `labkit-question-${this.name}`;
    if (field) return make("div", { class: "fields" }, make("label", {}, field, make("input", { type: "text", autocomplete: "off", spellcheck: "false", "aria-describedby": asked, "data-key": "answer" })));
    if (!choices.length) return "";
    const type = several ? "checkbox" : "radio";
    const input = ([value], index) => make("input", { type, name: `labkit-choice-${this.name}`, value, "data-key": `choice-${index}` });
    return make("div", { class: "choices", role: several ? "group" : "radiogroup", "aria-labelledby": asked }, ...choices.map((each, index) => make("label", {}, input(each, index), each[1])));
  }

  submit(event) {
    event.preventDefault();
    if (this.model.get("state").working) return;
    const text = this.form.querySelector("input[type=text]");
    const chosen = [...this.form.querySelectorAll("input:checked")].map((input) => input.value);
    this.ask({ check: text ? text.value : chosen });
  }

  take() {
    const { title, said, failed, working, attempts, right, evidence } = this.model.get("state");
    this.root.setAttribute("aria-label", title);
    this.set(this.title, title);
    this.set(this.said, said);
    this.said.classList.toggle("failed", failed);
    this.set(this.attempts, attempts ? (attempts === 1 ? gettext("1 attempt") : gettext("{attempts} attempts", { attempts })) : "");
    this.verdict.dataset.right = String(right);
    if (this.told !== evidence.join("\n")) {
      this.told = evidence.join("\n");
      this.evidence.replaceChildren(...evidence.map((line) => make("li", {}, line)));
    }
    this.why.hidden = !evidence.length;
    // It stays a button that has the focus: one that is disabled would lose it.
    this.button.setAttribute("aria-disabled", String(working));
    this.root.setAttribute("aria-busy", String(working));
  }
}

export default { render: shown(Exercise) };
