// A dashboard's tab is chosen by a click on it, and by arrow keys.
//
// ipywidgets' own tab bar does so, too, but not in a notebook that is opened again while its kernel runs: JupyterLab 4.6
// and Notebook 7.6 attach what stands in their cells in an order in which the bar never hears of it, and then it listens
// to nothing. `chosen` is what labkit.widgets.dashboard.Chooser keeps; the page itself passes it on to the tabs.

const TAB = ".lm-TabBar-tab";
const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

function render({ model, el }) {
  el.style.display = "none";
  const place = (event) => {
    const bar = el.closest(".widget-tab")?.querySelector(":scope > .lm-TabBar");
    const tabs = [...(bar?.querySelectorAll(TAB) ?? [])];
    return [tabs, tabs.indexOf(event.target.closest?.(TAB))];
  };
  const choose = (chosen) => {
    model.set("chosen", chosen);
    model.save_changes();
  };
  const onClick = (event) => {
    const [, clicked] = place(event);
    if (clicked >= 0) choose(clicked);
  };
  const onKey = (event) => {
    const [tabs, from] = place(event);
    if (from < 0 || !(event.key in STEPS)) return;
    event.preventDefault();
    event.stopPropagation(); // the bar's own would go one further
    const to = (from + STEPS[event.key] + tabs.length) % tabs.length;
    choose(to);
    tabs[to].focus();
  };
  document.addEventListener("click", onClick, true);
  window.addEventListener("keydown", onKey, true); // before JupyterLab, which would leave the cell
  return () => {
    document.removeEventListener("click", onClick, true);
    window.removeEventListener("keydown", onKey, true);
  };
}

export default { render };
