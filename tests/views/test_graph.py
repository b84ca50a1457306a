"""The picture: drawn without a window, real text, words for those who do not see it, the same every time."""

from __future__ import annotations

import io
import itertools
import sys
from pathlib import Path
from subprocess import run
from xml.etree import ElementTree as ET

import pytest

from labkit.views.graph import alt_text, draw, save_svg, to_svg
from tests.views.flows import flow_of

SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - our own text


@pytest.mark.parametrize(("pods", "nodes"), [(1, 2), (3, 2), (7, 3), (50, 50)])
def test_no_text_leaves_the_page_or_covers_another(pods: int, nodes: int) -> None:
    figure = draw(flow_of(pods, nodes))
    figure.savefig(io.BytesIO(), format="png")
    width, height = figure.get_size_inches() * figure.dpi
    extents = [(text.get_text(), text.get_window_extent()) for text in figure.axes[0].texts]
    for text, extent in extents:
        assert extent.x0 >= 0, text
        assert extent.x1 <= width, text
        assert extent.y0 >= 0, text
        assert extent.y1 <= height, text
    for (one, first), (other, second) in itertools.combinations(extents, 2):
        assert not first.overlaps(second), (one, other)


def test_svg_has_real_text_and_words_for_those_who_do_not_see_it() -> None:
    flow = flow_of(1)
    svg = to_svg(flow)
    root = ET.fromstring(svg)  # noqa: S314 - our own text
    assert root.get("role") == "img"
    title, description = root[0], root[1]
    assert (title.tag, description.tag) == (f"{SVG}title", f"{SVG}desc")
    assert title.text == "What happened when deployment tomcat was created"
    assert "scheduler binds pod tomcat-5c8-x0000 to node-01" in (description.text or "")
    for word in ("kubectl", "etcd", "scheduler", "kubelet", "create pods/binding", "master · control plane"):
        assert word in words(svg)
    for hop in flow.hops:
        assert str(hop.number) in words(svg)


def test_the_same_flow_gives_the_same_svg() -> None:
    flow = flow_of(3)
    assert to_svg(flow) == to_svg(flow)


def test_markup_and_formulas_in_names_stay_text() -> None:
    flow = flow_of(1, name="<script>$x^2$")
    svg = to_svg(flow)
    assert "<script" not in svg
    assert "What happened when deployment <script>$x^2$ was created" in words(svg)


def test_fifty_pods_are_listed_by_kind() -> None:
    text = words(to_svg(flow_of(50)))
    assert any("create pods, 50 times until" in line for line in text)
    assert len(text) < 150


def test_nodes_drawn_as_one_are_not_called_by_one_name() -> None:
    assert "47 kubelets" in words(to_svg(flow_of(50, 50)))


def test_the_alternative_text_tells_every_request() -> None:
    flow = flow_of(2)
    assert all(f"{hop.number}. {hop.source.name} {hop.what}" in alt_text(flow) for hop in flow.requests)


def test_saving(tmp_path: Path) -> None:
    path = save_svg(flow_of(1), tmp_path / "flow.svg")
    assert ET.fromstring(path.read_text(encoding="utf-8")).tag == f"{SVG}svg"  # noqa: S314


def test_drawing_never_loads_pyplot() -> None:
    code = (
        "import sys; from labkit.views.graph import to_svg; from tests.views.flows import flow_of; "
        "to_svg(flow_of(1)); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0
