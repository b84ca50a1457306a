"""VS Code's own widget manager for tests: its published package, in Chromium, in front of a real kernel.

VS Code shows widgets by this package and require.js, and hands it the module of another widget library from the
environment's ``share/jupyter/nbextensions`` (vscode-jupyter, src/webviews/webview-side/ipywidgets). A page of a real
JupyterLab lends the connection to its kernel; nothing else on the page is JupyterLab's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page

from tests.widgets.jupyterlab import TOKEN
from tests.widgets.npm import Package

_ANYWIDGET = Path(sys.prefix, "share/jupyter/nbextensions/anywidget/index.js")

_MANAGER = """
async ({manager, anywidget}) => {
  const url = (source) => URL.createObjectURL(new Blob([source], {type: 'text/javascript'}));
  (await import(url(manager))).activate();
  window.vscIPyWidgets8.load();
  const kernel = await window.jupyterapp.serviceManager.kernels.startNew({name: 'python3'});
  const host = document.createElement('div');
  host.id = 'vscode';
  host.style = 'position: fixed; inset: 0; z-index: 99999; overflow: auto; padding: 16px; background: white';
  document.body.append(host);
  delete document.body.dataset.jpThemeLight;
  const loader = {
    loadWidgetScript: async (name) => {
      if (name !== 'anywidget') throw new Error(`no module ${name}`);
      window.requirejs.config({paths: {anywidget: url(anywidget) + '#'}});
    },
    widgetsRegisteredInRequireJs: new Set(
      ['@jupyter-widgets/controls', '@jupyter-widgets/base', '@jupyter-widgets/output']),
    errorHandler: (className, moduleName, version, error) => { throw error; },
    successHandler: () => {},
  };
  const show = new window.vscIPyWidgets.WidgetManager(kernel, host, loader, () => {}, undefined);
  window.runCell = async (code) => {
    const future = kernel.requestExecute({code});
    const said = [];
    future.onIOPub = async (message) => {
      const {content} = message;
      if (message.header.msg_type === 'error') said.push(content.traceback.join('\\n'));
      const data = content.data ?? {};
      const view = data['application/vnd.jupyter.widget-view+json'];
      if (view) {
        const model = await show.get_model(view.model_id);
        await show.display_view(undefined, await show.create_view(model, {}), {node: host});
      } else if (data['text/html']) {
        const output = document.createElement('div');
        output.innerHTML = data['text/html'];
        host.append(output);
      }
    };
    await future.done;
    return said.join('\\n');
  };
}
"""


MANAGER = Package(
    "@vscode/jupyter-ipywidgets8",
    "1.0.9",
    "9c0680c126bae81427625a8dae4c9edfaa408c8c694a20641002b5d7d77d1ca8",
    "dist/ipywidgets.js",
)
REQUIRE = Package(
    "requirejs", "2.3.7", "31f3330c978fb28684622fe71165dc946432cf0210b2ea8a1ca0233e70f2737d", "require.js"
)


def open_page(page: Page, server: str) -> None:
    """Make a page of a JupyterLab whose application is exposed into an output of VS Code, with a kernel of its own."""
    manager, require = MANAGER.text(), REQUIRE.text()
    page.goto(f"{server}/lab?token={TOKEN}")
    page.wait_for_function("window.jupyterapp?.serviceManager")
    page.add_script_tag(content=require)
    page.evaluate(_MANAGER, {"manager": manager, "anywidget": _ANYWIDGET.read_text()})


def run(page: Page, source: str) -> None:
    """Run a cell; what it shows is on the page then."""
    error = page.evaluate("source => window.runCell(source)", source)
    assert not error, error
