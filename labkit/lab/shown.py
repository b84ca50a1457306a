"""What `lab.proxy` gives to look at: text in a terminal, pictures in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from labkit.proxy.measured import Measurement
from labkit.proxy.packet import PacketPath
from labkit.proxy.side_by_side import ModeComparison

if TYPE_CHECKING:
    import networkx
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, repr=False)
class TracedPacket:
    """The path of a real packet; a notebook shows it as a picture.

    Attributes
    ----------
    path : PacketPath
        What the kernel told of it.
    """

    path: PacketPath

    def __repr__(self) -> str:
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


@dataclass(frozen=True, slots=True, repr=False)
class ComparedModes:
    """A Service in kube-proxy's modes; a notebook shows a picture and a table.

    Attributes
    ----------
    comparison : ModeComparison
        What was read.
    """

    comparison: ModeComparison

    def __repr__(self) -> str:
        """Return the comparison as text."""
        from labkit.views import proxy_modes  # noqa: PLC0415 - most commands need no pictures

        return proxy_modes.to_text(self.comparison)

    def to_svg(self) -> str:
        """Return how each mode finds an endpoint, as a picture."""
        from labkit.views import lookup  # noqa: PLC0415 - most commands need no pictures

        return lookup.to_svg(self.comparison)

    def to_html(self) -> str:
        """Return the picture, and a table of the rules."""
        from labkit.views import proxy_modes  # noqa: PLC0415 - most commands need no pictures

        return proxy_modes.to_html(self.comparison, prefix=f"labkit-lookup-{uuid4().hex[:8]}")

    def _repr_html_(self) -> str:
        return self.to_html()


@dataclass(frozen=True, slots=True, repr=False)
class Measured:
    """What `LabProxy.bench` measured; a notebook shows it as a plot and a table.

    Attributes
    ----------
    measurement : Measurement
        The figures.
    """

    measurement: Measurement

    def __repr__(self) -> str:
        """Return the figures as text."""
        return repr(self.measurement)

    def _repr_html_(self) -> str:
        from labkit.views import measured  # noqa: PLC0415 - takes long to import, and few plot

        return measured.to_html(self.measurement)

    def to_json(self) -> dict[str, Any]:
        """Return plain objects for `json.dumps`."""
        return self.measurement.to_json()

    def figure(self) -> Figure:
        """Return a plot with error bars, as `labkit.views.measured.draw` tells."""
        from labkit.views import measured  # noqa: PLC0415 - takes long to import, and few plot

        return measured.draw(self.measurement)
