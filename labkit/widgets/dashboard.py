"""The panels of a lab in one: what one does, and what comes of it, beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

import anywidget
import ipywidgets
import traitlets

from labkit.language import gettext
from labkit.widgets._panel import Panel
from labkit.widgets.flow import FlowPanel, LiveFlow


class Chooser(anywidget.AnyWidget):
    """What chooses a tab by clicks and keys where ipywidgets' own tab bar does not; it is not to be seen.

    Attributes
    ----------
    chosen : int
        The place of the tab that was chosen last.
    """

    _esm = resources.files("labkit.widgets").joinpath("static", "tabs.js").read_text("utf-8")
    chosen = traitlets.Int(0).tag(sync=True)


class Dashboard:
    """Panels as tabs; what one tab has stands below each other.

    Parameters
    ----------
    tabs : mapping of str to sequence of Panel or LiveFlow
        The panels of each tab, by its title.

    Attributes
    ----------
    panels : mapping of str to sequence of Panel or LiveFlow
        The same.
    tabs : ipywidgets.Tab
        What shows them.
    """

    def __init__(self, tabs: Mapping[str, Sequence[Panel | LiveFlow]]) -> None:
        self.panels = tabs
        boxes = [
            ipywidgets.VBox([_widget(panel) for panel in panels], layout={"grid_gap": "16px"})
            for panels in tabs.values()
        ]
        chooser = Chooser()
        boxes[0].children = (chooser, *boxes[0].children)
        self.tabs = ipywidgets.Tab(boxes, titles=tuple(map(gettext, tabs)), selected_index=0)
        self._link = ipywidgets.jslink((chooser, "chosen"), (self.tabs, "selected_index"))  # by the page: at once

    def start(self) -> None:
        """Show what changes from now on."""
        for panel in self._all:
            panel.start()

    def stop(self) -> None:
        """Show what is new once more and follow no longer; the panels stay."""
        for panel in self._all:
            panel.stop()

    @property
    def _all(self) -> list[Panel | LiveFlow]:
        return [panel for panels in self.panels.values() for panel in panels]

    def _ipython_display_(self) -> None:
        from IPython.display import publish_display_data  # noqa: PLC0415 - only a notebook has it at hand

        for panel in self._all:
            _widget(panel).display_still()
        data = ipywidgets.Widget._repr_mimebundle_(self.tabs)
        data["text/plain"] = gettext("The same as live panels: they show where a kernel runs.")
        publish_display_data(data)  # type: ignore[no-untyped-call]
        self.start()


def _widget(panel: Panel | LiveFlow) -> Panel | FlowPanel:
    return panel.panel if isinstance(panel, LiveFlow) else panel
