"""A flow that plays in a browser: the payload that the page is made from, and the page in one HTML file.

The front end (`static/`) is written by hand, needs no other program and no network, and is the same in the file and in
a notebook's panel (`labkit.widgets.flow`).

The payload is plain JSON. Times are milliseconds since the first hop's start:

``version``
    1.
``title``, ``summary``, ``losses``
    What was done, figures of the flow, what its evidence lacks.
``actors``
    ``{id, kind, name, node, color}``; color is a pair, for light and for dark pages.
``hops``
    ``{number, kind, from, to, party, verb, object, start, end, x, code, failed, what, because, observed, rule, cause,
    revision, evidence, noise}``: ``from``, ``to`` and ``party`` are places in ``actors``; the party is the one whose
    filter shows the hop; ``x`` is its place on the axis, 0 to 1; noise is what moves nothing: Events, status reports.
``axis``
    ``{fold, folds, labels}``: stretches without a hop that are longer than ``fold`` ms are drawn as if they were that
    long; ``folds`` says where (``from``, ``to``, 0 to 1) and how many ``ms``; ``labels`` are ``{x, text}``.
``story``
    ``{steps, extra, stop}`` or null: the fields of `labkit.flow.Story`.
``pictures``
    SVG by name: ``architecture``, ``lanes``.
``words``
    The page's texts in the learner's language, by their English; none where that is English.
``details``
    By hop number: a list of sections, each ``{kind, title, open}`` and what its kind has (`labkit.views.sections`).
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from labkit.flow import API_SERVER, Actor, Flow, Hop, Story
from labkit.language import gettext, language
from labkit.views import architecture, lanes, palette, table, words

Json = dict[str, Any]
VERSION = 1
_SCRIPTS = (
    *("dom.js", "evidence.js", "steps.js", "axis.js", "filters.js", "stage.js", "clock.js", "player.js", "panel.js"),
)
_SHORTEST_FOLD = 20.0  # ms
_MARKED = re.compile(r'gettext\(("(?:[^"\\]|\\.)*")')
_LABEL = 0.08  # of the axis: at least so far apart are its labels


def payload(
    flow: Flow,
    story: Story | None = None,
    details: Mapping[int, Sequence[Json]] | None = None,
    *,
    pictures: Mapping[str, str] | None = None,
) -> Json:
    """Return what the page shows, as plain JSON; the same flow gives the same payload.

    Parameters
    ----------
    flow : Flow
        The hops.
    story : Story, optional
        The flow told step by step.
    details : mapping of int to list of sections, optional
        What to show of a hop when it is chosen, by its number.
    pictures : mapping of str to str, optional
        SVG of ``"architecture"`` and ``"lanes"``.
    """
    actors = list({actor.id: actor for hop in flow.hops for actor in (hop.source, hop.target)}.values())
    places = {actor.id: place for place, actor in enumerate(actors)}
    starts = [flow.milliseconds(hop) for hop in flow.hops]
    axis = _Axis(starts)
    hops = [_hop(flow, hop, places, axis) for hop in flow.hops]
    return {
        "version": VERSION,
        "title": flow.action or gettext("Flow of {subject}").format(subject=flow.subject),
        "summary": summary(flow),
        "losses": list(flow.losses),
        "actors": [_actor(actor) for actor in actors],
        "hops": hops,
        "axis": axis.payload(),
        "story": _story(story) if story else None,
        "pictures": dict(pictures or {}),
        "words": translations(script()),
        "details": {str(number): list(sections) for number, sections in (details or {}).items()},
    }


def summary(flow: Flow) -> str:
    """Return a flow's figures in one line."""
    if not flow.hops:
        return gettext("No hops yet")
    observed = sum(hop.observed for hop in flow.hops)
    seconds = (max(hop.end for hop in flow.hops) - flow.hops[0].start).total_seconds()
    return gettext("{count} hops: {observed} observed, {inferred} inferred · {seconds:.2f} s").format(
        count=len(flow.hops), observed=observed, inferred=len(flow.hops) - observed, seconds=seconds
    )


def pictures(flow: Flow, *, prefix: str = "labkit") -> dict[str, str]:
    """Return the pictures of a flow as SVG, by view.

    Parameters
    ----------
    flow : Flow
        What to draw.
    prefix : str
        What the pictures' ids begin with: several players on a page need different ones.
    """
    if not flow.hops:
        return {}
    return {
        "architecture": architecture.to_svg(flow, prefix=f"{prefix}-architecture"),
        "lanes": lanes.to_svg(flow, prefix=f"{prefix}-lanes"),
    }


def script() -> str:
    """Return the front end as one ES module."""
    return "\n".join(static(name) for name in _SCRIPTS)


def translations(script: str) -> dict[str, str]:
    """Return the texts that a script marks by ``gettext("…")`` in the learner's language, by their English."""
    texts = map(json.loads, _MARKED.findall(script))
    return {text: said for text in texts if (said := gettext(text)) != text}


def style() -> str:
    """Return the front end's style sheet."""
    return static("player.css")


def to_html(
    flow: Flow,
    story: Story | None = None,
    details: Mapping[int, Sequence[Json]] | None = None,
    *,
    pictures: Mapping[str, str] | None = None,
) -> str:
    """Return one HTML page that plays the flow with no kernel and no network.

    Where scripts do not run it shows the picture and the table. Its content security policy lets only its own two
    scripts run, known by their hashes, so nothing else in the page can.

    Parameters
    ----------
    flow, story, details, pictures
        As in `payload`.
    """
    data = payload(flow, story, details, pictures=pictures)
    start = 'mount(document.getElementById("player"), JSON.parse(document.getElementById("flow").textContent));'
    code = f"{script()}\n{start}\n"
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    title = html.escape(data["title"])
    return (
        f'<!doctype html>\n<html lang="{language()}">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{_PAGE}{style()}</style>\n</head>\n<body>\n"
        f'<main id="player">{still(flow, pictures=pictures)}</main>\n'
        f'<script type="application/json" id="flow">{embed(data)}</script>\n'
        f'<script type="module">{code}</script>\n</body>\n</html>\n'
    )


def save_html(
    flow: Flow,
    path: Path,
    story: Story | None = None,
    details: Mapping[int, Sequence[Json]] | None = None,
    *,
    pictures: Mapping[str, str] | None = None,
) -> Path:
    """Write the page of `to_html` and return where."""
    path.write_text(to_html(flow, story, details, pictures=pictures), encoding="utf-8")
    return path


def still(flow: Flow, *, pictures: Mapping[str, str] | None = None) -> str:
    """Return the flow as HTML without scripts: the picture as an image, and the table.

    The SVG is the source of an image, not part of the page: so it runs nothing, takes no styles, and stays where
    notebook viewers remove SVG elements from HTML.
    """
    parts = (
        [] if pictures else [f"<p>{html.escape(flow.action or str(flow.subject))}: {html.escape(summary(flow))}</p>"]
    )
    told = html.escape(words.alt_text(flow))
    lanes_told = gettext("The same hops over time, a lane for each component.")
    for name, svg in (pictures or {}).items():
        source = base64.b64encode(svg.encode()).decode()
        described = told if name == "architecture" else lanes_told
        parts.append(f'<img style="max-width:100%" alt="{described}" src="data:image/svg+xml;base64,{source}">')
    if flow.hops:
        parts.append(table.to_html(flow))
    return "".join(parts)


def embed(data: Json) -> str:
    """Return JSON that can stand inside a script element: without ``<``, ``>``, ``&`` (HTML standard, 4.12.1.3)."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


_PAGE = """body { margin: 0; padding: 16px; background: #f5f7fa; font: 14px/20px system-ui, sans-serif; }
#player { max-width: 1600px; margin: 0 auto; }
@media (prefers-color-scheme: dark) { body { background: #0d1116; color: #e7ecf1; } }
@media (max-width: 720px) { body { padding: 0; } }
"""


def static(name: str) -> str:
    """Return a file of the front end."""
    return resources.files("labkit.views").joinpath("static", name).read_text(encoding="utf-8")


def _actor(actor: Actor) -> Json:
    key = palette.paint(actor)
    color = [palette.LIGHT[key], palette.DARK[key]]
    return {"id": actor.id, "kind": actor.kind, "name": actor.name, "node": actor.node, "color": color}


def _hop(flow: Flow, hop: Hop, places: Mapping[str, int], axis: _Axis) -> Json:
    start = flow.milliseconds(hop)
    party = hop.target if hop.source == API_SERVER else hop.source
    return {
        "number": hop.number,
        "kind": hop.kind,
        "from": places[hop.source.id],
        "to": places[hop.target.id],
        "party": places[party.id],
        "verb": hop.verb,
        "object": str(hop.object),
        "start": round(start, 3),
        "end": round(start + (hop.end - hop.start).total_seconds() * 1000, 3),
        "x": axis.place(start),
        "code": hop.code,
        "failed": hop.failed,
        "what": hop.what,
        "because": hop.because,
        "observed": hop.observed,
        "rule": hop.rule,
        "cause": hop.cause,
        "revision": hop.revision,
        "evidence": [str(piece) for piece in hop.evidence],
        "noise": hop.kind == "record" or hop.object.subresource == "status",
    }


def _story(story: Story) -> Json:
    return {
        "steps": [
            {"number": step.number, "title": step.title, "hops": list(step.hops), "seen": step.seen, "note": step.note}
            for step in story.steps
        ],
        "extra": [{"title": more.title, "hops": list(more.hops), "why": more.why} for more in story.extra],
        "stop": {"step": story.stop.step, "why": story.stop.why} if story.stop else None,
    }


class _Axis:
    """Time from left to right, 0 to 1, with long stretches without a hop folded."""

    def __init__(self, starts: Sequence[float]) -> None:
        self._moments = sorted(set(starts)) or [0.0]
        gaps = [after - before for before, after in pairwise(self._moments)]
        self._fold = max(_SHORTEST_FOLD, 4 * statistics.median(gaps)) if gaps else _SHORTEST_FOLD
        self._folded = [0.0]
        for gap in gaps:
            self._folded.append(self._folded[-1] + min(gap, self._fold))
        self._gaps = gaps
        self._place = dict(zip(self._moments, self._folded, strict=True))

    def place(self, moment: float) -> float:
        """Return where the start of a hop is."""
        return round(self._place[moment] / (self._folded[-1] or 1.0), 5)

    def payload(self) -> Json:
        """Return the axis' part of the payload."""
        folds = [
            {"from": self.place(before), "to": self.place(after), "ms": round(gap, 3)}
            for gap, (before, after) in zip(self._gaps, pairwise(self._moments), strict=True)
            if gap > self._fold
        ]
        labels: list[Json] = []
        for moment in self._moments:
            x = self.place(moment)
            if x <= 1 - _LABEL / 2 and (not labels or x >= labels[-1]["x"] + _LABEL):
                labels.append({"x": x, "text": f"+{moment:.0f} ms" if moment < 10_000 else f"+{moment / 1000:.1f} s"})
        return {"fold": round(self._fold, 3), "folds": folds, "labels": labels}
