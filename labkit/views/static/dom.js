// Building blocks of the page: every text is set as text, so nothing that a cluster calls itself can become markup.

/** Make an element: attributes by name, `on…` functions as listeners, children as nodes or as text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child != null && child !== ""));
  return element;
}

const WORDS = {}; // texts in the reader's language, by their English

/** Take the reader's language from Python, which has the catalogue. */
function speak(words) {
  Object.assign(WORDS, words);
}

/** Return a text in the reader's language, with its {fields} filled in. */
function gettext(text, fields = {}) {
  return (WORDS[text] ?? text).replace(/\{(\w+)\}/g, (field, name) => fields[name] ?? field);
}

const SVG = "http://www.w3.org/2000/svg";

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

// What a picture may hold. Pictures come from our own Python, which escapes; this is the second lock on that door.
const DRAWING = new Set(
  ("svg g path line polyline polygon rect circle ellipse text tspan title desc defs marker style use clipPath " +
    "linearGradient stop pattern").split(" "),
);

/** Read an SVG text and return its element, with no script, link or listener in it; null if it is no SVG. */
function picture(text) {
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (root.localName !== "svg" || root.namespaceURI !== SVG) return null;
  return clean(document.importNode(root, true));
}

function clean(root) {
  for (const element of [root, ...root.querySelectorAll("*")]) {
    if (!DRAWING.has(element.localName)) {
      element.remove();
      continue;
    }
    for (const { name, value } of [...element.attributes]) {
      const outward = /(^|:)href$/i.test(name) && !value.startsWith("#");
      if (/^on/i.test(name) || outward) element.removeAttribute(name);
    }
  }
  return root;
}

/** Redraw what is inside `box` and put the focus back to the control with the same key. */
function redraw(box, ...children) {
  const held = box.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  box.replaceChildren(...children);
  if (held !== undefined) box.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

/** Scroll `box`, and nothing around it, until `element` is in sight; what is left of `margin` pixels is covered. */
function reveal(box, element, margin = 0) {
  const inner = element.getBoundingClientRect();
  const outer = box.getBoundingClientRect();
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top + 8;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 8;
  const [left, right] = [outer.left + margin, outer.right];
  if (inner.left < left || inner.right > right) box.scrollLeft += inner.left - left - (right - left) / 4;
}

/** Milliseconds for people: 0.42 ms, 7.3 ms, 128 ms, 12.5 s. */
function duration(ms) {
  if (ms >= 10000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 100) return `${ms.toFixed(0)} ms`;
  return `${ms.toFixed(ms < 1 ? 2 : 1)} ms`;
}

/** Changes as pairs of lines, "−" what was and "+" what is: told apart by sign, not by colour alone. */
function changeTable({ rows }) {
  const list = make("dl", { class: "changes" });
  for (const [path, before, after] of rows) {
    list.append(make("dt", {}, path));
    if (before !== null) list.append(make("dd", { class: "before" }, make("span", { role: "img", "aria-label": gettext("was") }, "−"), ` ${before}`));
    if (after !== null) list.append(make("dd", { class: "after" }, make("span", { role: "img", "aria-label": gettext("is") }, "+"), ` ${after}`));
  }
  return list;
}

// The signs on the player's buttons, drawn on 16 by 16 because few systems have letters for them.
const SIGNS = {
  first: "M3 3h2v10H3zM13 3v10L6 8z",
  back: "M11 3v10L4 8z",
  play: "M4 2v12l9-6z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  forward: "M5 3v10l7-5z",
  last: "M11 3h2v10h-2zM3 3v10l7-5z",
};

function icon(sign) {
  return draw("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, draw("path", { d: SIGNS[sign], fill: "currentColor" }));
}

/** Call `apply` with "light" or "dark", now and when that changes, and return what ends it. JupyterLab and VS Code mark theirs on the body. */
function watchTheme(apply) {
  const darkness = matchMedia("(prefers-color-scheme: dark)");
  const look = () => {
    const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
    let dark = darkness.matches;
    if (jpThemeLight !== undefined) dark = jpThemeLight === "false";
    else if (vscodeThemeKind !== undefined) dark = /dark|^vscode-high-contrast$/.test(vscodeThemeKind);
    apply(dark ? "dark" : "light");
  };
  const body = new MutationObserver(look);
  body.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind"] });
  darkness.addEventListener("change", look);
  look();
  return () => {
    body.disconnect();
    darkness.removeEventListener("change", look);
  };
}
