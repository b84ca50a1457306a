"""What was measured of kube-proxy's modes as a matplotlib figure: both axes logarithmic, with error bars.

On such axes what does not depend on the number of Services is level, and what grows with it climbs.
"""

from __future__ import annotations

import base64
import html
import io
import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from labkit.language import gettext
from labkit.proxy.measured import Measurement
from labkit.views.palette import LIGHT
from labkit.views.scene import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = (
    ("rules", 1.0, "rules on the node"),
    ("program_all", 1.0, "time to program all (s)"),
    ("program_one", 1.0, "one more Service answers after (s)"),
    ("last", 1e6, "connect to the first (dotted) and\nthe last Service (µs)"),
    ("cpu", 1.0, "processor time for all (s)"),
    ("memory", 1.0, "kube-proxy's memory (MB)"),
)
_COLOURS = {"iptables": LIGHT["client"], "nftables": LIGHT["deployment"], "ipvs": LIGHT["scheduler"]}
_MARKERS = {"iptables": "o", "nftables": "s", "ipvs": "^"}
_LINE = 150  # characters of the caption


def draw(measurement: Measurement) -> Figure:
    """Return the figures as six plots over the number of Services, the machine below them.

    Parameters
    ----------
    measurement : Measurement
        What to plot; each point is a mean, each bar its standard deviation.
    """
    figure = Figure(figsize=(12, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    for each, (name, factor, label) in zip(axes.flat, _PANELS, strict=True):
        for mode in dict.fromkeys(run.mode for run in measurement.runs):
            _curve(each, measurement, mode, name, factor, label=mode)
            if name == "last":
                _curve(each, measurement, mode, "first", factor, dotted=True)
        each.set_title(label, fontsize=11)
        _scale(each, sorted({services for _, services in measurement.groups}))
        each.grid(visible=True, which="major", color=LIGHT["line"], linewidth=0.6)
        each.spines[["top", "right"]].set_visible(False)
    axes.flat[0].legend(frameon=False)
    caption = textwrap.fill(plain(measurement.caption()), _LINE)
    figure.supxlabel(caption, fontsize=8, color=LIGHT["quiet"], x=0.01, ha="left", parse_math=False)
    return figure


def to_html(measurement: Measurement) -> str:
    """Return the plot as a picture inside of HTML, and below it the table.

    Parameters
    ----------
    measurement : Measurement
        What to show.
    """
    file = io.BytesIO()
    draw(measurement).savefig(file, format="png", dpi=100)
    picture = base64.b64encode(file.getvalue()).decode()
    what = gettext("Plots of what the table says. {caption}").format(caption=measurement.caption())
    image = f'<img alt="{html.escape(plain(what))}" style="max-width:100%" src="data:image/png;base64,{picture}">'
    return f"{image}{measurement._repr_html_()}"


def _scale(axes: Axes, sizes: Sequence[int]) -> None:
    """Make both axes logarithmic and readable; at least a decade is shown, so that a small difference looks small."""
    axes.set(xscale="log", yscale="log", xlabel="Services")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = axes.get_ylim()
    if high < 10 * low:
        margin = math.sqrt(10 * low / high)
        axes.set_ylim(low / margin, high * margin)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:,g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _curve(
    axes: Axes, measurement: Measurement, mode: str, name: str, factor: float, *, label: str = "", dotted: bool = False
) -> None:
    sizes = [services for each, services in measurement.groups if each == mode]
    found = [measurement.figure(mode, services, name) for services in sizes]
    if not any(each.mean for each in found):
        return  # ipvs has servers in place of rules, and a logarithm of 0 there is not
    # A bar that reached 0 or below could not be drawn on a logarithmic axis.
    low = [factor * min(each.deviation, 0.99 * each.mean) for each in found]
    high = [factor * each.deviation for each in found]
    axes.errorbar(
        sizes,
        [factor * each.mean for each in found],
        yerr=(low, high),
        color=_COLOURS[mode],
        marker=_MARKERS[mode],
        linestyle=":" if dotted else "-",
        markersize=5,
        capsize=3,
        fillstyle="none" if dotted else "full",
        label=label or None,
    )
