// What panels with buttons have in common: a title, what was said, a picture and its table; keys, theme, begin and end.
//
// `state` is what labkit.widgets._panel.Panel keeps; the page sends {look: true} when it begins and {look: false} when
// it ends.

class ButtonPanel {
  constructor(model, root, name, style) {
    Object.assign(this, { model, root, name, buttons: {} });
    root.classList.add("labkit-panel", style);
    root.setAttribute("role", "region");
    this.title = make("h3", {});
    this.said = make("p", { class: "said", role: "status", "aria-live": "polite" });
    this.trouble = make("p", { class: "trouble", role: "status", "aria-live": "polite" });
    this.picture = make("div", { class: "picture" });
    this.headings = make("tr", {});
    this.rows = make("tbody", {});
    const table = make("table", {}, make("thead", {}, this.headings), this.rows);
    this.twin = make("details", {}, make("summary", {}, gettext("The same as a table")), table);
  }

  /** Show the parts that the panel is made of, and follow what the kernel keeps. */
  begin(...parts) {
    this.root.replaceChildren(...parts);
    this.onKey = (event) => this.key(event);
    window.addEventListener("keydown", this.onKey, true); // before JupyterLab, which would run or leave the cell
    this.unwatchTheme = watchTheme((theme) => {
      this.root.dataset.theme = theme;
      this.paintPicture();
    });
    this.take();
    this.inSight = true;
    this.model.send({ look: true });
    this.sight = new IntersectionObserver((entries) => this.lookIf(entries.at(-1).isIntersecting));
    this.sight.observe(this.root);
  }

  /** Send what a button asks for, and show at once that it was pressed: the kernel may be busy with a cell for long. */
  ask(message) {
    this.model.send(message);
    this.root.classList.add("asked");
    clearTimeout(this.askedFor);
    this.askedFor = setTimeout(() => this.root.classList.remove("asked"), 5000);
  }

  /** Nobody looks at a cluster for a page that is scrolled away or in a tab behind. */
  lookIf(inSight) {
    if (inSight !== this.inSight) this.model.send({ look: inSight });
    this.inSight = inSight;
  }

  /** Show what every panel has of its state. */
  takeCommon(state, title) {
    this.takeWords(state, title);
    this.takePicture(state);
  }

  takeWords(state, title) {
    this.root.setAttribute("aria-label", title);
    this.set(this.title, title);
    this.set(this.said, state.said);
    this.said.classList.toggle("failed", state.failed);
    this.set(this.trouble, state.trouble);
    this.root.setAttribute("aria-busy", String(state.working));
  }

  takePicture(state) {
    if (this.drawn !== state.picture) {
      this.drawn = state.picture;
      this.picture.replaceChildren(picture(state.picture) ?? "");
      this.paintPicture();
    }
    this.headings.replaceChildren(...state.headings.map(columnHead));
    this.rows.replaceChildren(...state.rows.map(([head, ...cells]) => make("tr", {}, rowHead(head), ...cells.map((cell) => make("td", {}, cell)))));
  }

  /** A text that did not change is not set again: a screen reader would read it again. */
  set(element, text) {
    if (element.textContent !== text) element.textContent = text;
    element.hidden = !text;
  }

  /** A button that is not to be pressed loses the focus; it gets it back unless the reader has gone elsewhere. */
  enable(button, enabled) {
    if (!enabled && document.activeElement === button) this.left = button.dataset.key;
    button.disabled = !enabled;
    if (!enabled || this.left !== button.dataset.key) return;
    if ([document.body, null, button].includes(document.activeElement)) button.focus({ preventScroll: true });
    this.left = undefined;
  }

  paintPicture() {
    this.picture.firstElementChild?.setAttribute("data-theme", this.root.dataset.theme);
  }

  /** A notebook would take these for its own commands. */
  key(event) {
    if (!this.root.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!(event.shiftKey && event.key === "Enter")) event.stopPropagation();
    this.typed(event);
  }

  /** What a panel does with a key of its own; most do nothing. */
  typed() {}

  destroy() {
    clearTimeout(this.askedFor);
    this.sight.disconnect();
    this.lookIf(false);
    this.unwatchTheme();
    window.removeEventListener("keydown", this.onKey, true);
  }
}

const columnHead = (text) => make("th", { scope: "col" }, text);
const rowHead = (text) => make("th", { scope: "row" }, text);

/** Return the function by which a notebook shows a kind of panel. */
function shown(Kind) {
  return ({ model, el }) => {
    speak(model.get("words"));
    const root = make("div", {});
    const name = model.get("still");
    el.append(root);
    const panel = new Kind(model, root, name);
    // While the panel is here, the still of the same, which is for when no kernel runs, is not shown.
    el.append(make("style", {}, `#labkit-still-${name} { display: none; }`));
    const changed = () => {
      root.classList.remove("asked");
      panel.take();
    };
    model.on("change:state", changed);
    return () => {
      model.off("change:state", changed);
      panel.destroy();
    };
  };
}
