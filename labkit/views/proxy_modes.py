"""A Service in kube-proxy's modes, side by side: as text, and as HTML with the picture of the look-up above."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence

from labkit.language import columns, filled, gettext, gettext_noop
from labkit.proxy.model import Mode
from labkit.proxy.side_by_side import ASPECTS, ModeComparison, ServiceInMode
from labkit.views import lookup

_OPEN = 6  # so many rules are seen at once; more are a click away
# Notebooks have styles of their own for tables: these count more.
_STYLE = """
div.labkit-modes{font:14px/20px system-ui,"Segoe UI","DejaVu Sans",sans-serif;max-width:1100px}
div.labkit-modes svg{max-width:100%;height:auto;display:block}
div.labkit-modes table{border-collapse:collapse;width:100%;table-layout:fixed;margin:8px 0;font-size:14px}
div.labkit-modes table th,div.labkit-modes table td{text-align:left!important;vertical-align:top;padding:6px 8px;
white-space:normal;border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent)}
div.labkit-modes table thead th:first-child{width:17%}
div.labkit-modes table tbody th{font-weight:600}
div.labkit-modes table caption{text-align:left!important;padding:8px}
div.labkit-modes .rule{font:12px/16px ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere;
padding:0 0 6px 12px;text-indent:-12px}
div.labkit-modes summary{cursor:pointer}
"""
_WAYS = {
    "iptables": gettext_noop("reads rules one after another until one matches"),
    "nftables": gettext_noop("looks the address up in a map"),
    "ipvs": gettext_noop("looks the address up in the kernel's load balancer"),
}


def to_text(comparison: ModeComparison) -> str:
    """Return the comparison as plain text: first what differs, then every rule under what it is about.

    Parameters
    ----------
    comparison : ModeComparison
        What to show.
    """
    titles = ["", *(seen.mode for seen in comparison.seen)]
    lines = _aligned([titles, *([title, *cells] for title, cells in _facts(comparison.seen))])
    for aspect, question in ASPECTS.items():
        if any(seen.about(aspect) for seen in comparison.seen):
            lines += ["", gettext(question)]
            for seen in comparison.seen:
                lines.append(f"  {seen.mode}")
                lines += [f"    {rule}" for rule in seen.about(aspect) or (gettext("no rule of its own"),)]
    return "\n".join(
        [gettext("Service {service}").format(service=comparison.service), *lines, *_unseen(comparison.missing)]
    )


def to_html(comparison: ModeComparison, *, prefix: str = "labkit-lookup") -> str:
    """Return the comparison as a piece of HTML; all text is escaped.

    Parameters
    ----------
    comparison : ModeComparison
        What to show.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    seen = comparison.seen
    head = "".join(f'<th scope="col">{_text(each.mode)}</th>' for each in seen)
    rows = [_row(title, (f"<td>{_text(cell)}</td>" for cell in cells)) for title, cells in _facts(seen)]
    for aspect, question in ASPECTS.items():
        if any(each.about(aspect) for each in seen):
            rows.append(_row(gettext(question), (f"<td>{_rules(each.about(aspect))}</td>" for each in seen)))
    notes = "".join(f"<p>{_text(line)}</p>" for line in _unseen(comparison.missing))
    caption = gettext("Service {service} in kube-proxy's modes; each line is a rule as its tool prints it").format(
        service=comparison.service
    )
    return (
        f'<div class="labkit-modes"><style>{_STYLE}</style>{lookup.to_svg(comparison, prefix=prefix)}'
        f'<table><caption>{_text(caption)}</caption><thead><tr><th scope="col"></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{notes}</div>"
    )


def _facts(seen: Sequence[ServiceInMode]) -> Iterator[tuple[str, list[str]]]:
    facts: tuple[tuple[str, Callable[[ServiceInMode], str]], ...] = (
        (gettext("the kernel"), lambda each: gettext(_WAYS[each.mode])),
        (
            gettext("rules"),
            lambda each: gettext("{count} of {total} on the node").format(count=each.count, total=each.total),
        ),
        (gettext("what is read"), lookup.cost),
        (gettext("with 1,000 Services more"), lookup.growth),
        (
            gettext("endpoints"),
            lambda each: ", ".join(f"{end.endpoint} {end.share:.0%}" for end in each.choices) or gettext("none"),
        ),
        (gettext("from"), lambda each: each.source),
    )
    for title, fact in facts:
        yield title, [fact(each) for each in seen]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(filled, row, widths)).rstrip() for row in rows]


def _row(title: str, cells: Iterator[str]) -> str:
    return f'<tr><th scope="row">{_text(title)}</th>{"".join(cells)}</tr>'


def _rules(rules: Sequence[str]) -> str:
    lines = [f'<div class="rule">{_text(rule)}</div>' for rule in rules]
    if not lines:
        return gettext("no rule of its own")
    more = gettext("{count} more").format(count=len(lines) - _OPEN)
    rest = f"<details><summary>{more}</summary>{''.join(lines[_OPEN:])}</details>"
    return "".join(lines[:_OPEN]) + (rest if len(lines) > _OPEN else "")


def _unseen(missing: Sequence[Mode]) -> list[str]:
    return [
        gettext("Nobody has seen it in {mode} mode yet: labkit proxy mode {mode}").format(mode=mode) for mode in missing
    ]


def _text(text: str) -> str:
    return html.escape(text)
