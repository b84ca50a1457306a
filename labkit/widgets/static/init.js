// kubeadm init: which phase is next, a button that runs it and one that runs all that are left, and what each one did.
//
// `state` is what labkit.widgets.init.InitPanel keeps; the page sends {press: "next"} and {press: "all"}.

class Init extends ButtonPanel {
  constructor(model, root, name) {
    super(model, root, name, "labkit-init");
    this.about = make("p", { "aria-live": "polite" });
    this.next = this.button("next");
    this.all = this.button("all");
    this.set(this.all, gettext("Run all that are left"));
    const buttons = make("div", { class: "buttons" }, this.next, this.all);
    this.begin(this.title, this.about, buttons, this.said, this.trouble, this.picture, this.twin);
  }

  button(press) {
    return make("button", { type: "button", "data-key": press, onclick: () => this.ask({ press }) });
  }

  take() {
    const state = this.model.get("state");
    this.takeCommon(state, state.title);
    this.set(this.about, state.about);
    this.set(this.next, state.next ? gettext("Run {phase}", { phase: state.next }) : "");
    this.twin.hidden = !state.rows.length;
    for (const button of [this.next, this.all]) this.enable(button, Boolean(state.next) && !state.working);
  }
}

export default { render: shown(Init) };
