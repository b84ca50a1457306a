"""A scene as SVG: real text, colours by style sheet for light and dark pages, the same scene gives the same text.

A hop is ``<g class="hop" data-hop="7" data-hops="7" data-kind="request" data-observed="true">``; its class is also
``past``, ``now`` or ``next`` in a picture of one step, and ``<svg data-step="7">`` says which. So a page can step
through the picture of the whole flow by setting those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from labkit.views.palette import DARK, LIGHT
from labkit.views.scene import Group, Path, Rect, Scene, Shape, Text, plain

_FAMILY = "'Inter', 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
_RULES = """
{s}{font-family:{family};background:var(--paper);color:var(--ink)}
{s} text{fill:var(--ink);stroke:none}
{s} .paper{fill:var(--paper)}
{s} .frame>:not(text){fill:var(--ground);stroke:var(--line)}
{s} .box{fill:var(--paper);stroke:var(--c);stroke-width:2}
{s} .pod>.pod{fill:var(--paper);stroke:var(--faint)}
{s} .axis{fill:none;stroke:var(--line)}
{s} .fold{fill:var(--ground);stroke:none}
{s} .bar{fill:var(--c);opacity:.35}
{s} .line{fill:none;stroke:var(--c);stroke-width:1.5}
{s}.architecture .line{shape-rendering:crispEdges}
{s} .head{fill:var(--c);stroke:none}
{s} .mark,{s} .over{fill:var(--paper);stroke:var(--c);stroke-width:1.5}
{s} text.quiet,{s} text.summary,{s} text.label,{s} text.object{fill:var(--quiet)}
{s} text.again{fill:var(--quiet);paint-order:stroke;stroke:var(--paper);stroke-width:4px}
{s} .frame .quiet{font-weight:600}
{s} [data-kind=record] text{fill:var(--quiet)}
{s} .over,{s} .overnumber,{s} .label,{s} .object,{s} .cross{display:none}
{s}[data-step] .edge{display:none}
{s} .next{display:none}
{s} .past{--c:var(--faint)}
{s} .past .line{stroke-width:1}
{s} .past .mark{stroke-width:1}
{s} .past text{fill:var(--quiet);font-weight:400}
{s} .now[data-kind=record]{--c:var(--quiet)}
{s} [data-lit]>.box{stroke-width:4}
{s} .now .line{stroke-width:3}
{s} .now .cross{display:inline;fill:none;stroke:var(--c);stroke-width:3}
{s} .now .bar{opacity:1}
{s} .now .mark,{s} .now .over{display:inline;fill:var(--c);stroke:var(--c);stroke-width:2.5}
{s} .now .number,{s} .now .overnumber{display:inline;fill:var(--paper)}
{s} .now .label{font-weight:700}
{s} .now .label,{s} .now .object{display:inline;fill:var(--ink);paint-order:stroke;stroke:var(--paper);stroke-width:4px}
"""


def write(scene: Scene, prefix: str) -> str:
    """Return a scene as an SVG document that can also stand inside of HTML.

    Parameters
    ----------
    scene : Scene
        What to draw.
    prefix : str
        What the ids begin with: letters, digits, hyphens and underscores.
    """
    step = "" if scene.step is None else f' data-step="{scene.step}"'
    size = f'width="{_n(scene.width)}" height="{_n(scene.height)}" viewBox="0 0 {_n(scene.width)} {_n(scene.height)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{prefix}" class="labkit-flow {scene.view}" {size} role="img" '
        f'aria-labelledby="{prefix}-title" aria-describedby="{prefix}-desc"{step}>',
        f'<title id="{prefix}-title">{_text(scene.title)}</title>',
        f'<desc id="{prefix}-desc">{_text(scene.description)}</desc>',
        f"<style>{_style(prefix)}</style>",
    ]
    for group in scene.groups:
        lines += _group(group)
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _style(prefix: str) -> str:
    """Return the style sheet, whose rules are for this picture alone.

    JupyterLab marks its theme on the body by ``data-jp-theme-light``, VS Code by ``data-vscode-theme-kind``; a page
    may choose by ``data-theme`` on the picture. Else what the reader's system prefers counts.
    """
    own = f"#{prefix}"
    light, dark = (";".join(f"--{key}:{value}" for key, value in palette.items()) for palette in (LIGHT, DARK))
    paints = "".join(f"{own} .c-{key}{{--c:var(--{key})}}" for key in LIGHT)
    themes = (
        f"{own}{{{light}}}"
        f"@media (prefers-color-scheme:dark){{{own}{{{dark}}}}}"
        f"[data-jp-theme-light=true] {own},[data-vscode-theme-kind$=light] {own},{own}[data-theme=light]{{{light}}}"
        f"[data-jp-theme-light=false] {own},[data-vscode-theme-kind$=dark] {own},{own}[data-theme=dark]{{{dark}}}"
    )
    return f"\n{themes}\n{paints}{_RULES.replace('{s}', own).replace('{family}', _FAMILY)}"


def _group(group: Group) -> Iterator[str]:
    classes = " ".join(part for part in (group.kind, group.state, f"c-{group.paint}") if part)
    title = f"<title>{_text(group.title)}</title>" if group.title else ""
    yield f'<g class="{classes}"{_data(group.data)}>{title}'
    for shape in group.shapes:
        yield _shape(shape)
    yield "</g>"


def _shape(shape: Shape) -> str:
    if isinstance(shape, Rect):
        where = f'x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}"'
        return f'<rect class="{shape.role}" {where} rx="{_n(shape.radius)}"/>'
    if isinstance(shape, Path):
        end = "Z" if shape.closed else ""
        drawn = "".join(f"M{'L'.join(f'{_n(x)} {_n(y)}' for x, y in piece)}{end}" for piece in shape.pieces)
        dashes = ' stroke-dasharray="6 4"' if shape.dashed else ""
        return f'<path class="{shape.role}" d="{drawn}"{dashes}/>'
    return _line(shape)


def _line(text: Text) -> str:
    anchor = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
    bold = ' font-weight="700"' if text.bold else ""
    where = f'x="{_n(text.x)}" y="{_n(text.y)}" font-size="{_n(text.size)}"'
    return f'<text class="{text.role}" {where}{anchor}{bold}>{_text(text.text)}</text>'


def _data(data: Mapping[str, str]) -> str:
    return "".join(f" data-{key}={quoteattr(plain(value))}" for key, value in data.items())


def _text(text: str) -> str:
    return escape("\n".join(plain(line) for line in text.split("\n")))


def _n(value: float) -> str:
    """Return a length with at most two digits behind the point, and none that say nothing."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
