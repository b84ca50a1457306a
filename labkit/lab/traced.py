"""A packet that was followed, as one looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.proxy.packet import PacketPath

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, slots=True)
class TracedPacket:
    """The path of a real packet; a notebook shows it as a picture.

    Attributes
    ----------
    path : PacketPath
        What the kernel told of it.
    """

    path: PacketPath

    def __str__(self) -> str:
        """Return the path as text."""
        from labkit.views import packet  # noqa: PLC0415 - most commands need no pictures

        return packet.to_text(self.path)

    def to_svg(self) -> str:
        """Return the path as a picture."""
        from labkit.views import packet  # noqa: PLC0415 - most commands need no pictures

        return packet.to_svg(self.path)

    def to_graph(self) -> networkx.MultiDiGraph:
        """Return the path as a graph, as `labkit.views.packet.to_graph` tells."""
        from labkit.views import packet  # noqa: PLC0415 - most commands need no pictures

        return packet.to_graph(self.path)

    def _repr_html_(self) -> str:
        return self.to_svg()
