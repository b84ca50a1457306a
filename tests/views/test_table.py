"""A flow as a table."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from labkit.views.table import HEADINGS, to_html, to_text
from tests.views.flows import flow_of


def test_a_row_for_each_hop() -> None:
    flow = flow_of(1)
    lines = to_text(flow).splitlines()
    assert len(lines) == 2 + len(flow.hops)
    assert lines[0].split() == list(HEADINGS)
    binding = next(line for line in lines if "binds" in line)
    for word in ("scheduler", "API server", "create", "pods/tomcat-5c8-x0000/binding", "201", "to node-01"):
        assert word in binding
    assert binding.endswith(str(flow.hops[11].evidence[0]))
    assert binding.split()[:2] == ["12", "27.6"]


def test_columns_are_aligned_and_lines_are_trimmed() -> None:
    lines = to_text(flow_of(12)).splitlines()
    start = lines[0].index("who")
    assert all(line[start - 2 : start] == "  " and line[start] != " " for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_without_evidence() -> None:
    flow = flow_of(1)
    text = to_text(flow, evidence=False)
    assert "evidence" not in text
    assert str(flow.hops[0].evidence[0]) not in text


def test_html_is_escaped_and_well_formed() -> None:
    flow = flow_of(1, name="<img src=x onerror=alert(1)>&")
    text = to_html(flow)
    assert "<img" not in text
    assert "&lt;img" in text
    table = ET.fromstring(text)  # noqa: S314 - our own text
    assert len(table.findall("./tbody/tr")) == len(flow.hops)
    dimmed = [row for row in table.findall("./tbody/tr") if "opacity" in row.get("style", "")]
    assert len(dimmed) == sum(hop.kind == "record" for hop in flow.hops)
