"""The page in a real browser: by keyboard and by pointer, read aloud, filtered, in light and in dark."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from labkit.flow import API_SERVER, ETCD
from labkit.views import player
from tests.chromium import chromium, needs_chromium
from tests.views import played
from tests.views.flows import Writer, flow_of, on
from tests.views.test_player import HOSTILE
from tests.widgets.axe import violations

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    flow = played.tomcat()
    where = tmp_path_factory.mktemp("player") / "tomcat.html"
    return player.save_html(flow, where, played.story(), played.details(), pictures=played.pictures(flow))


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.goto(file.as_uri())
    yield opened
    opened.close()
    assert wrong == []


def at(page: Page, number: int) -> None:
    expect(page.locator(".evidence .badge")).to_have_text(str(number))
    expect(page.locator(".words")).to_contain_text(f"Hop {number},")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_read_and_reach_all_of_it(page: Page, theme: Literal["light", "dark"], tmp_path: Path) -> None:
    flow = played.tomcat()
    where = tmp_path / "real.html"
    player.save_html(flow, where, played.story(), played.details(), pictures=player.pictures(flow))
    page.goto(where.as_uri())
    page.set_viewport_size({"width": 1400, "height": 3000})
    page.emulate_media(color_scheme=theme)
    page.locator("[data-key=stage]").focus()
    page.keyboard.press("End")
    at(page, 12)
    assert violations(page, ".labkit-player") == []


def test_stepping_by_keyboard_tells_each_hop_and_keeps_the_focus(page: Page) -> None:
    stage = page.locator("[data-key=stage]")
    stage.focus()
    at(page, 1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    at(page, 3)
    live = page.locator(".words[aria-live=polite]")
    expect(live).to_have_text(
        "Step 3. Hop 3, +7.4 ms: API server → deployment-controller: tells of deployment tomcat (inferred)"
    )
    expect(stage).to_be_focused()
    page.keyboard.press("End")
    at(page, 12)
    page.keyboard.press("ArrowRight")  # there is no more
    at(page, 12)
    page.keyboard.press("ArrowLeft")
    at(page, 11)
    page.keyboard.press("Home")
    at(page, 1)
    button = page.get_by_role("button", name="One hop forward")
    button.focus()
    page.keyboard.press("Enter")
    at(page, 2)
    expect(button).to_be_focused()


def test_space_plays_and_pauses(page: Page) -> None:
    page.get_by_label("Speed").select_option("20")
    page.locator("[data-key=stage]").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    at(page, 12)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.get_by_label("Speed").select_option("2")
    page.locator("[data-key=stage]").focus()
    page.keyboard.press("Space")  # again from the start
    expect(page.locator(".words")).to_contain_text("Hop 3,")
    page.keyboard.press("Space")
    held = page.locator(".words").text_content()
    page.wait_for_timeout(150)
    assert page.locator(".words").text_content() == held


def test_real_time_passes_over_idle_stretches(page: Page) -> None:
    page.get_by_label("Speed").select_option("real")
    page.get_by_role("button", name="Play", exact=True).click()
    at(page, 12)


def test_picture_shows_what_was_what_is_and_not_what_will_be(page: Page) -> None:
    page.locator("[data-key=stage]").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    states = page.locator(".stage .hop").evaluate_all(
        "all => Object.fromEntries(all.map(g => [g.dataset.hop, [g.classList[1], getComputedStyle(g).display]]))"
    )
    past, now, later = ["past", "inline"], ["now", "inline"], ["next", "none"]
    assert states == {str(n): past if n < 5 else now if n == 5 else later for n in range(1, 13)}
    lit = page.locator(".stage [data-lit]").evaluate_all("all => all.map(g => g.dataset.actor)")
    assert sorted(lit) == ["etcd", "kube-apiserver"]


@pytest.mark.parametrize("width", [900, 1200, 1440])
def test_the_smallest_words_of_the_picture_can_be_read(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    sizes = page.locator(".stage svg text").evaluate_all(
        "all => all.map(text => parseFloat(text.getAttribute('font-size')) * text.getScreenCTM().a)"
    )
    assert min(sizes) >= 11


def test_a_pod_comes_and_goes_and_those_who_share_a_box_light_it(browser: Browser, tmp_path: Path) -> None:
    flow = flow_of(50, 50)
    writer = Writer([*flow.hops])
    names = list(flow.pods)
    gone = writer.hop("persist", (API_SERVER, ETCD), "remove", f"pods/{names[0]}", 9000)
    writer.hop("request", (on("kubelet", "node-49"), API_SERVER), "patch", f"pods/{names[48]}/status", 9001)
    flow = dataclasses.replace(flow, hops=tuple(writer.hops))
    file = player.save_html(flow, tmp_path / "many.html", pictures=player.pictures(flow))
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(file.as_uri())
    pod = page.locator(f".stage [data-pods='{names[0]}']")
    expect(pod).to_be_hidden()
    page.locator("[data-key=stage]").focus()
    page.keyboard.press("End")
    at(page, gone + 1)
    expect(pod).to_be_hidden()
    expect(page.locator(".stage [data-lit][data-actor*='kubelet/node-49']")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    at(page, gone - 1)
    expect(pod).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(pod).to_be_hidden()
    page.close()


def test_a_click_on_an_arrow_a_row_a_step_or_the_axis_reads_its_evidence(page: Page) -> None:
    page.locator("[data-key=stage]").focus()
    page.keyboard.press("End")
    page.locator(".stage .hop[data-hop='4'] path").dispatch_event("click")
    at(page, 4)
    page.get_by_role("button", name="Table").click()
    page.get_by_role("button", name="Hop 8", exact=True).click()
    at(page, 8)
    expect(page.locator("tr[aria-current]")).to_have_attribute("data-hop", "8")
    expect(page.get_by_role("button", name="Hop 8", exact=True)).to_be_focused()
    page.get_by_role("button", name="A person runs kubectl").click()
    at(page, 1)
    expect(page.locator("[aria-current=step]")).to_contain_text("A person runs kubectl")
    box = page.locator(".axis input").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] - 10, box["y"] + 10)
    at(page, 12)


def test_evidence_has_spans_differences_etcd_and_the_raw_event(page: Page) -> None:
    evidence = page.get_by_role("region", name="Evidence of the present hop")
    expect(evidence.locator(".spans li")).to_have_count(6)
    expect(evidence).to_contain_text("9,200 µs")
    expect(evidence.locator(".changes")).to_contain_text("spec.strategy.type")
    expect(evidence).to_contain_text("/registry/deployments/default/kubectl")
    raw = evidence.locator("pre")
    expect(raw).to_be_hidden()
    evidence.get_by_text("Audit event").click()
    expect(raw).to_contain_text('"verb": "create"')
    bars = evidence.locator(".spans i").evaluate_all("all => all.map(bar => bar.getBoundingClientRect().width)")
    assert bars[0] / bars[3] == pytest.approx(9200 / 3100, rel=0.05)


def test_cause_leads_back(page: Page) -> None:
    page.locator("[data-key=stage]").focus()
    page.keyboard.press("End")
    page.get_by_role("button", name="hop 11", exact=True).click()
    at(page, 11)
    expect(page.get_by_role("button", name="hop 10", exact=True)).to_be_focused()


def test_filters_hide_in_the_picture_on_the_axis_and_when_stepping(page: Page) -> None:
    page.get_by_label("Hide noise").check()
    expect(page.locator(".count")).to_have_text("1 of 10")
    expect(page.locator(".tick")).to_have_count(10)
    page.get_by_text("Actors").click()
    page.get_by_label("etcd (2)").uncheck()
    expect(page.locator(".count")).to_have_text("1 of 8")
    page.locator("[data-key=stage]").focus()
    page.keyboard.press("ArrowRight")
    at(page, 3)
    page.keyboard.press("End")
    at(page, 11)
    expect(page.locator(".stage .hop[data-hop='2']")).to_be_hidden()
    page.get_by_role("button", name="Table").click()
    expect(page.locator("tbody tr:visible")).to_have_count(8)


def test_a_name_with_markup_does_nothing(browser: Browser, tmp_path: Path) -> None:
    flow = played.tomcat(HOSTILE)
    file = player.save_html(
        flow, tmp_path / "hostile.html", played.story(), played.details(HOSTILE), pictures=played.pictures(flow)
    )
    page = browser.new_page()
    dialogs: list[str] = []

    def said(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", said)
    page.goto(file.as_uri())
    page.get_by_role("button", name="Table").click()
    expect(page.locator("tr[data-hop='4']")).to_contain_text(f"creates pod {HOSTILE.splitlines()[0]}")
    page.get_by_role("button", name="Swim lanes").click()
    assert page.locator("main script, main img").count() == 0
    assert dialogs == []
    page.close()


def test_a_picture_with_a_script_loses_it(browser: Browser, tmp_path: Path) -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" onload="alert(1)"><script>alert(2)</script>'
        '<a href="javascript:alert(3)"><text>x</text></a><foreignObject/><rect onclick="alert(4)"/></svg>'
    )
    file = player.save_html(played.tomcat(), tmp_path / "scripted.html", pictures={"architecture": svg})
    page = browser.new_page()
    page.goto(file.as_uri())
    inside = page.locator(".stage svg").evaluate(
        "svg => [svg, ...svg.querySelectorAll('*')].map(e => e.outerHTML).join()"
    )
    assert not any(word in inside for word in ("script", "on", "foreign", "href"))
    page.close()


@pytest.mark.parametrize("width", [480, 900, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_leaves_the_page_and_text_has_contrast(browser: Browser, file: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    low = page.evaluate(_CONTRAST)
    assert low >= 4.5
    page.close()


# The lowest contrast of any text against the paper that the player declares (WCAG 2.2, 1.4.3).
_CONTRAST = """() => {
  const channels = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = color => channels(color)
    .map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (!/, 0\\)$/.test(color)) return color;
    }
  };
  const own = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  const all = [...document.querySelectorAll("#player *:not(svg *)")];
  const texts = all.filter(element => element.checkVisibility() && own(element));
  return Math.min(...texts.map(element => {
    const pair = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  }));
}"""
