"""A flow as a table: in a terminal as text, in a notebook as HTML."""

from __future__ import annotations

import html

from labkit.flow import Flow

HEADINGS = ("#", "+ms", "who", "to", "verb", "object", "code", "what", "evidence")
_RIGHT = {"#", "+ms", "code"}


def rows(flow: Flow) -> list[tuple[str, ...]]:
    """Return a row for each hop, with a cell for each of `HEADINGS`."""
    return [
        (
            str(hop.number),
            f"{flow.milliseconds(hop):.1f}",
            hop.source.name,
            hop.target.name,
            hop.verb,
            str(hop.object),
            "" if hop.code is None else str(hop.code),
            hop.what,
            " ".join(map(str, hop.evidence)),
        )
        for hop in flow.hops
    ]


def to_text(flow: Flow, *, evidence: bool = True) -> str:
    """Return the flow as a table of plain text, no line with blanks at its end.

    Parameters
    ----------
    flow : Flow
        What to show.
    evidence : bool
        Whether to show the audit ids; without them lines are 38 characters shorter.
    """
    lines = [row if evidence else row[:-1] for row in (HEADINGS, *rows(flow))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(
            cell.rjust(width) if heading in _RIGHT else cell.ljust(width)
            for heading, cell, width in zip(HEADINGS, line, widths, strict=False)
        ).rstrip()
        for line in lines
    ]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


def to_html(flow: Flow) -> str:
    """Return the flow as an HTML table; Events are dimmed, and every cell is escaped."""
    head = "".join(f'<th scope="col" style="text-align:left">{heading}</th>' for heading in HEADINGS)
    body = []
    for hop, row in zip(flow.hops, rows(flow), strict=True):
        style = ' style="opacity:.6"' if hop.kind == "record" else ""
        cells = "".join(
            f'<td style="text-align:{"right" if heading in _RIGHT else "left"}">{html.escape(cell)}</td>'
            for heading, cell in zip(HEADINGS, row, strict=True)
        )
        body.append(f"<tr{style}>{cells}</tr>")
    caption = html.escape(f"What {flow.subject} caused, by the API server's audit log")
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
