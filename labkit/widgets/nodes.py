"""Nodes as a panel: every component and how it is, with buttons that stop a node or hold a component still."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from labkit.language import gettext, gettext_noop
from labkit.progress import PhaseEvent, Progress
from labkit.views import components_by_node, grid
from labkit.views.components_by_node import ComponentState, NodeSeen
from labkit.widgets._panel import Panel, page, style

_SETTLES = 20.0  # seconds after a button in which components come and go
_LABELS = {
    "stop": gettext_noop("Stop"),
    "start": gettext_noop("Start"),
    "freeze": gettext_noop("Freeze"),
    "thaw": gettext_noop("Thaw"),
}
_DOES: Mapping[ComponentState, str] = {"runs": "freeze", "frozen": "thaw"}


@dataclass(frozen=True, slots=True)
class NodesState:
    """The nodes of a lab as they are seen.

    Attributes
    ----------
    nodes : tuple of NodeSeen
        The control plane first.
    trouble : str
        Why not all is known; empty where all is.
    missing : sequence of str
        What of the cluster's own parts was removed, and what stops without it; a line each.
    """

    nodes: tuple[NodeSeen, ...]
    trouble: str = ""
    missing: Sequence[str] = ()


class NodesSource(Protocol):
    """What the panel shows and drives, see `labkit.lab.nodes_panel`."""

    @property
    def title(self) -> str:
        """Whose nodes: ``"lab 'lab'"``."""

    def look(self) -> NodesState:
        """Return how they are now; never called by two threads at once."""

    def freezable(self, component: str) -> bool:
        """Whether a component can be held still."""

    def stop(self, node: str) -> str:
        """Switch a node off, and return what came of it."""

    def start(self, node: str) -> str:
        """Switch a node on, and return what came of it."""

    def freeze(self, node: str, component: str) -> str:
        """Hold a component still, and return until when."""

    def thaw(self, node: str, component: str) -> str:
        """Let a component go on, and return what came of it."""

    def release(self) -> None:
        """Let go on what was frozen here."""

    def repair(self, progress: Progress) -> str:
        """Bring back what is missing, and return what came of it."""


class NodesPanel(Panel):
    """Every node with its components: who runs, who is held still, and a button at each.

    Parameters
    ----------
    source : NodesSource
        What is shown, and what the buttons drive. What they froze goes on when the panel is closed.

    Attributes
    ----------
    state : dict
        What the page shows, beside what every panel does: ``title``; ``picture``, an SVG, and its ``size``;
        ``headings`` and ``rows`` of the same as a table; ``controls``, the buttons in the picture, each
        ``{node, component, do, label, name, able, place}``; ``missing``, a line per part that was removed; ``trouble``.
    """

    _esm = page("nodes.js")
    _css = style("nodes.css")

    def __init__(self, source: NodesSource) -> None:
        self._source = source
        self._pressed = 0.0
        super().__init__()

    @property
    def busy(self) -> bool:
        """Whether a button was pressed a short time ago."""
        return super().busy or (self._pressed > 0 and time.monotonic() - self._pressed < _SETTLES)

    def look(self) -> None:
        """Look at the nodes' processes, and ask the API server who is Ready."""
        self._seen = self._source.look()

    def shown(self) -> dict[str, Any]:
        """Return what the page shows."""
        nodes = self._seen.nodes
        return {
            "title": gettext("Nodes of {title}").format(title=self._source.title),
            "picture": components_by_node.to_svg(nodes, prefix=f"labkit-nodes-{self.still}"),
            "size": list(components_by_node.size(nodes)),
            "headings": list(map(gettext, components_by_node.HEADINGS)),
            "rows": [list(row) for row in components_by_node.rows(nodes)],
            "controls": self._controls(),
            "missing": list(self._seen.missing),
            "trouble": self._seen.trouble,
        }

    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        """Return what a button stands for.

        ``{"do": "freeze", "node": NODE, "component": COMPONENT}``; ``{"do": "repair"}`` brings back what is missing.
        """
        if message.get("do") == "repair":
            return (gettext("Repairing …"), self._repair) if self._seen.missing else None
        asked = {key: message.get(key) for key in ("do", "node", "component")}
        with self._lock:
            controls = self._controls()
        control = next((each for each in controls if each["able"] and asked.items() <= each.items()), None)
        return None if control is None else (f"{control['name']} …", lambda: self._do(control))

    def begun(self, _message: Mapping[str, Any]) -> None:
        """Look more often from now on."""
        self._pressed = time.monotonic()

    def close(self) -> None:
        """Let go on what was frozen here, and end the panel: nobody would have a button for it any more."""
        self._source.release()
        super().close()

    def _do(self, control: Mapping[str, Any]) -> str:
        node, component = control["node"], control["component"]
        match control["do"]:
            case "stop":
                return self._source.stop(node)
            case "start":
                return self._source.start(node)
            case "freeze":
                return self._source.freeze(node, component)
            case _:
                return self._source.thaw(node, component)

    def _repair(self) -> str:
        return self._source.repair(Progress(self._advance))

    def _advance(self, event: PhaseEvent) -> None:
        """Say how far a repair is."""
        with self._lock:
            self._said = gettext("Repairing: {phase} {detail}").format(phase=event.phase, detail=event.detail).rstrip()

    def _controls(self) -> list[dict[str, Any]]:
        """Return the buttons: one per node, and one per component that can be held still."""
        nodes = self._seen.nodes
        found = []
        places = components_by_node.places(nodes)
        for node in nodes:
            does = "stop" if node.running else "start"
            found.append(_control(node.name, "", does, places[node.name, ""], able=not self._lost))
            for each in node.components:
                if self._source.freezable(each.name):
                    able = each.state in _DOES
                    place = places[node.name, each.name]
                    found.append(_control(node.name, each.name, _DOES.get(each.state, "freeze"), place, able=able))
        return found

    @property
    def _lost(self) -> bool:
        """Whether no node runs, so that none can be started by itself."""
        return not any(node.running for node in self._seen.nodes)

    def still_html(self) -> str:
        """Return the picture and the table."""
        state = self.state
        picture = state["picture"].replace(f"labkit-nodes-{self.still}", f"labkit-nodes-still-{self.still}")
        said = "".join(f'<p style="white-space:pre-wrap">{html.escape(state[key])}</p>' for key in ("trouble", "said"))
        missing = "".join(f"<p>{html.escape(line)}</p>" for line in state["missing"])
        return f"{picture}{grid.table(state['headings'], state['rows'], caption=state['title'])}{missing}{said}"

    def still_text(self) -> str:
        """Return the same as text."""
        table = grid.text(self.state["headings"], self.state["rows"])
        return "\n".join((self.state["title"], table, *self.state["missing"]))


def _control(node: str, component: str, does: str, place: components_by_node.Place, *, able: bool) -> dict[str, Any]:
    label = gettext(_LABELS[does])
    name = f"{label} {node}"
    if component:
        name = gettext("{label} {component} on {node}").format(label=label, component=component, node=node)
    return {
        "node": node,
        "component": component,
        "do": does,
        "label": label,
        "name": name,
        "able": able,
        "place": list(place),
    }
