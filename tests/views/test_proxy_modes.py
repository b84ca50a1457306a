"""A Service in kube-proxy's modes as picture, page and text: nothing overlaps, all is escaped, what differs is seen."""

from __future__ import annotations

import dataclasses

import pytest

from labkit.proxy.side_by_side import Entry, ModeComparison, ServiceInMode
from labkit.views import lookup, proxy_modes
from labkit.views.scene import Scene
from tests.proxy import captured
from tests.proxy.test_side_by_side import MODES, comparison, every_service, in_mode
from tests.views.svgs import SVG, inside, overlap, parsed, texts


def rows(scene: Scene, read: bool) -> int:
    return sum(group.kind == "entry" and bool(group.data["read"]) == read for group in scene.groups)


def crowded(seen: ServiceInMode, count: int) -> ServiceInMode:
    """Return the same on a node that has so many Services before it."""
    more = [Entry(f"10.96.{at // 250}.{at % 250}:80/tcp", f"default/s{at}", f"rule {at}") for at in range(count)]
    return dataclasses.replace(seen, entries=(*more, *seen.entries))


@pytest.mark.parametrize("modes", [captured.MODES, MODES], ids=len)
@pytest.mark.parametrize("service", every_service())
def test_no_text_leaves_the_picture_or_covers_another(service: str, modes: tuple[str, ...]) -> None:
    scene = lookup.scene(comparison(service, modes))
    extents = list(texts(scene))
    assert all(inside(extent, scene) for _, extent in extents)
    for at, (text, extent) in enumerate(extents):
        for other, second in extents[at + 1 :]:
            assert not overlap(extent, second), f"{text!r} covers {other!r}"


def test_iptables_reads_rule_after_rule_and_nftables_one_entry() -> None:
    walking, looking = (crowded(in_mode(mode), 200) for mode in captured.MODES)
    place = walking.position
    assert place is not None
    assert place > 200
    scene = lookup.scene(ModeComparison("shop/web", (walking,), ()))
    assert f"{place}: yes" in [text for text, _ in texts(scene)]
    assert any(text.startswith("… 1") and text.endswith(" more") for text, _ in texts(scene))
    assert lookup.cost(walking) == f"{place} rules to find the Service, 1 to 3 to choose"
    assert rows(scene, read=True) > 5
    assert rows(lookup.scene(ModeComparison("shop/web", (looking,), ())), read=True) == 2
    assert lookup.cost(looking) == "1 look-up to find the Service, 1 to choose"


def test_ipvs_reads_one_entry_too() -> None:
    seen = crowded(in_mode("ipvs"), 200)
    assert rows(lookup.scene(ModeComparison("shop/web", (seen,), ())), read=True) == 2
    assert lookup.cost(seen) == "1 look-up to find the Service, the scheduler chooses"
    assert "scheduler rr: one step" in [
        text for text, _ in texts(lookup.scene(ModeComparison("shop/web", (seen,), ())))
    ]


def test_a_service_without_endpoints_is_turned_away() -> None:
    found = comparison("shop/empty")
    assert "turned away" in [text for text, _ in texts(lookup.scene(found))]
    assert "Who is turned away?" in proxy_modes.to_text(found)


def test_the_page_has_every_rule_and_says_what_was_not_seen() -> None:
    found = comparison()
    page, text = proxy_modes.to_html(found), proxy_modes.to_text(found)
    for seen in found.seen:
        for rule in seen.about("choice"):
            assert rule in text
    assert "&quot;shop/web" in page
    assert "33%" in text
    for said in (page, text):
        assert "Nobody has seen it in ipvs mode yet: labkit proxy mode ipvs" in said
        assert "from master" in said
    assert '<th scope="col">nftables</th>' in page


def test_no_text_of_a_rule_becomes_markup() -> None:
    seen = in_mode("iptables")
    (port,) = seen.rules.ports[:1]
    evil = dataclasses.replace(port, service="<b>", rules=("-A <script>alert(1)</script>",))
    bad = dataclasses.replace(seen, rules=dataclasses.replace(seen.rules, ports=(evil,)), source="<i>")
    page = proxy_modes.to_html(ModeComparison("<u>", (bad,), ()))
    for tag in ("<script", "<b>", "<i>", "<u>"):
        assert tag not in page
    assert parsed(lookup.to_svg(ModeComparison("<u>", (bad,), ()))).tag == f"{SVG}svg"
