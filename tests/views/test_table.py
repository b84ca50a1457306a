"""A flow as a table."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree as ET

import pytest

from labkit.flow import Flow
from labkit.views.table import COMPACT, HEADINGS, NARROW, rows, to_html, to_text
from tests.views.flows import flow_of


def test_a_row_for_each_hop() -> None:
    flow = flow_of(1)
    lines = to_text(flow).splitlines()
    assert len(lines) == 2 + len(flow.hops)
    assert lines[0].split() == list(HEADINGS)
    binding = next(line for line in lines if "binds" in line)
    for word in ("scheduler", "API server", "create", "pods/tomcat-5c8-x0000/binding", "201", "to node-01", "observed"):
        assert word in binding
    assert binding.endswith(str(flow.hops[11].evidence[0]))
    assert binding.split()[:2] == ["12", "27.6"]


@pytest.mark.parametrize("columns", [HEADINGS, COMPACT, NARROW])
def test_the_mark_of_what_was_inferred_is_in_every_set_of_columns(columns: tuple[str, ...]) -> None:
    flow = flow_of(1)
    known = columns.index("known")
    assert [row[known] == "observed" for row in rows(flow, columns)] == [hop.observed for hop in flow.hops]
    assert {"#", "+ms", "who", "what"} <= set(columns) <= set(HEADINGS)


def test_a_hop_names_the_one_that_led_to_it() -> None:
    flow = flow_of(1)
    after = HEADINGS.index("after")
    assert [row[after] for row in rows(flow)] == ["", *(str(hop.cause) for hop in flow.hops[1:])]


def test_columns_are_aligned_and_lines_are_trimmed() -> None:
    lines = to_text(flow_of(12)).splitlines()
    start = lines[0].index("who")
    assert all(line[start - 2 : start] == "  " and line[start] != " " for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_a_cell_breaks_no_line_and_commands_no_terminal() -> None:
    flow = _saying("one\ntwo\x1b[2J" + "x" * 300)
    lines = to_text(flow, COMPACT).splitlines()
    assert len(lines) == 2 + len(flow.hops)
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines)) < 200


def test_html_is_escaped_and_well_formed() -> None:
    flow = _saying("<img src=x onerror=alert(1)>&\x00")
    text = to_html(flow)
    assert "<img" not in text
    assert "&lt;img" in text
    table = ET.fromstring(text)  # noqa: S314 - our own text
    assert len(table.findall("./tbody/tr")) == len(flow.hops)
    assert all(row[0].get("scope") == "row" for row in table.findall("./tbody/tr"))
    dimmed = [row for row in table.findall("./tbody/tr") if "opacity" in row.get("style", "")]
    assert len(dimmed) == sum(hop.kind == "record" for hop in flow.hops)


def _saying(what: str) -> Flow:
    flow = flow_of(1)
    return dataclasses.replace(flow, hops=(dataclasses.replace(flow.hops[0], what=what), *flow.hops[1:]))
