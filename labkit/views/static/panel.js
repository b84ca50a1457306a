// The notebook's panel (anywidget.dev).

const PATIENCE = 5000; // ms until a kernel that does not answer is taken for gone

/** Ask for a hop's details; a kernel that is gone gives none. */
function askPython(model, player, number) {
  model.send({ ask: number });
  setTimeout(() => player.answer(number, null), PATIENCE);
}

/** `flow` is the payload; details are asked from Python while there is one. */
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
