"""The colours of actors, the same in every picture, told apart by people with any kind of colour vision.

Each has a contrast of at least 3 : 1 against white (WCAG 2.2, 1.4.11), and any two stay apart when seen through a
simulation of protanopia, deuteranopia and tritanopia (Machado, Oliveira, Fernandes 2009); the tests measure both.
Colour never tells alone: whatever has one also has its name beside it.
"""

from __future__ import annotations

from labkit.flow import Actor

INK = "#1F2933"  # text, the API server
QUIET = "#52606D"  # second text
FAINT = "#9AA5B1"  # the lines of Events, and of what did nothing
WASH = "#E4E7EB"  # the numbers of Events
LINE = "#CBD2D9"  # frames
GROUND = "#F5F7FA"  # inside of frames
PAPER = "#FFFFFF"

_BY_KIND = {
    "client": "#0077BB",
    "scheduler": "#0B8F6E",
    "kubelet": "#5E4500",
    "api server": INK,
}
_BY_NAME = {
    "deployment-controller": "#D1490B",
    "replicaset-controller": "#8C2981",
}
OTHER = "#7C8894"
ACTORS = (*_BY_KIND.values(), *_BY_NAME.values(), OTHER)


def color(actor: Actor) -> str:
    """Return an actor's colour as ``#RRGGBB``."""
    return _BY_NAME.get(actor.id) or _BY_KIND.get(actor.kind, OTHER)
