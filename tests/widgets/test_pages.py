"""The pages of panels alone in a browser: hostile names, a page out of sight, motion, a narrow window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from labkit.flow import EvidenceId
from labkit.flow.attempts import Attempt, SchedulingDecision, Score, Verdict
from labkit.progress import Progress
from labkit.views.components_by_node import ComponentSeen, NodeSeen
from labkit.widgets._panel import Panel
from labkit.widgets.flow import FlowPanel
from labkit.widgets.init import InitPanel
from labkit.widgets.nodes import NodesPanel, NodesState
from labkit.widgets.why import Decisions, WhyPanel
from tests.chromium import needs_chromium
from tests.views import played
from tests.widgets.axe import violations
from tests.widgets.phases import Phases

pytestmark = needs_chromium

HOSTILE = '<img src=x onerror="window.broken = true">"]</script>'
NODES = (
    NodeSeen(HOSTILE, "control plane", running=True, ready=None, components=(ComponentSeen("etcd", "frozen", 3),)),
    NodeSeen("node-01", "worker", running=False, ready=True, components=(ComponentSeen("kubelet", "off"),)),
)
ATTEMPT = Attempt(
    1,
    datetime(2026, 1, 2, tzinfo=UTC),
    (Verdict(HOSTILE, "rejected", HOSTILE, HOSTILE), Verdict("node-01", "feasible")),
    (Score(HOSTILE, "node-01", 50, 1),),
    {"node-01": 50},
    "node-01",
    HOSTILE,
    (EvidenceId("scheduler", "7"),),
)
_MOUNT = """
async ([source, style, values]) => {
  document.head.append(Object.assign(document.createElement('style'), {textContent: style}));
  const page = (await import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})))).default;
  window.sent = [];
  const calls = {};
  const model = {get: (key) => values[key], on: (what, call) => { calls[what] = call; }, off: () => {}};
  model.send = (message) => window.sent.push(message);
  window.show = (more) => { values.state = {...values.state, ...more}; calls['change:state'](); };
  window.tell = (message) => calls['msg:custom'](message);
  window.end = page.render({model, el: document.body.appendChild(document.createElement('div'))});
}
"""


class Nodes:
    """Nodes of any name."""

    title = HOSTILE

    def __init__(self, *missing: str) -> None:
        self.missing = missing

    def look(self) -> NodesState:
        return NodesState(NODES, HOSTILE, self.missing)

    def freezable(self, component: str) -> bool:
        return component == "etcd"

    def stop(self, node: str) -> str:
        return node

    start = stop

    def freeze(self, node: str, component: str) -> str:
        return node + component

    thaw = freeze

    def release(self) -> None:
        """Nothing is held."""

    def repair(self, progress: Progress) -> str:
        with progress.phase("everything"):
            self.missing = ()
        return "Repaired."


class Pods:
    """One pod of any name."""

    title = HOSTILE

    def look(self) -> Decisions:
        return Decisions([SchedulingDecision(HOSTILE, (ATTEMPT,))], HOSTILE)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_page(viewport={"width": 900, "height": 700}, color_scheme="light") as page:
        page.set_content("<!doctype html><title>Panels</title>")
        yield page
        assert not page.evaluate("window.broken")


def mount(page: Page, panel: Panel | FlowPanel) -> None:
    values = {name: getattr(panel, name) for name in ("state", "flow", "live", "edition") if panel.has_trait(name)}
    page.evaluate(_MOUNT, [panel._esm, panel._css, {**values, "still": "page"}])
    panel.close()


PANELS: dict[str, Callable[[], Panel]] = {
    "nodes": lambda: NodesPanel(Nodes()),
    "why": lambda: WhyPanel(Pods()),
    "init": lambda: InitPanel(Phases(HOSTILE), title=HOSTILE),
}


@pytest.mark.parametrize("kind", PANELS)
def test_what_a_cluster_calls_itself_is_text(page: Page, kind: str) -> None:
    panel = PANELS[kind]()
    assert HOSTILE not in panel.still_html()
    assert HOSTILE in panel.still_text()
    mount(page, panel)
    root = page.locator(".labkit-panel")
    expect(root.locator("h3")).to_contain_text(HOSTILE)
    expect(root.locator("table").first).to_contain_text(HOSTILE)
    expect(root.locator("img")).to_have_count(0)
    assert violations(page, ".labkit-panel") == []


def test_a_button_says_what_it_stands_for_and_keeps_the_focus(page: Page) -> None:
    mount(page, NodesPanel(Nodes()))
    page.get_by_role("button", name="Start node-01").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("window.sent.at(-1)") == {"do": "start", "node": "node-01", "component": ""}
    page.evaluate("window.show({working: true})")
    expect(page.locator(".labkit-panel button:enabled")).to_have_count(0)
    page.evaluate("window.show({working: false})")
    expect(page.get_by_role("button", name="Start node-01")).to_be_focused()
    expect(page.locator("[data-key='kubelet/node-01']")).to_have_count(0)


def test_what_is_missing_is_listed_with_a_button_that_repairs_it(page: Page) -> None:
    mount(page, NodesPanel(Nodes()))
    expect(page.locator(".missing")).to_be_hidden()
    page.reload()
    page.set_content("<!doctype html><title>Panels</title>")
    mount(page, NodesPanel(Nodes("Missing: DaemonSet kube-proxy. So nothing follows.", HOSTILE)))
    lines = page.get_by_role("list", name="What is missing").get_by_role("listitem")
    expect(lines).to_have_text(["Missing: DaemonSet kube-proxy. So nothing follows.", HOSTILE])
    assert violations(page, ".labkit-panel") == []
    page.get_by_role("button", name="Repair").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("window.sent.at(-1)") == {"do": "repair"}


def test_the_button_repairs_only_what_is_missing() -> None:
    panel = NodesPanel(Nodes(HOSTILE))
    assert HOSTILE in panel.still_text()
    assert HOSTILE not in panel.still_html()
    panel.press({"do": "repair"})
    assert panel.state["working"], "a click is answered at once"
    end = time.monotonic() + 5
    while panel.paint() or panel.state["working"]:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert (panel.state["said"], panel.state["missing"]) == ("Repaired.", [])
    panel.press({"do": "repair"})
    assert not panel._working
    panel.close()


def test_nobody_looks_for_a_page_out_of_sight(page: Page) -> None:
    mount(page, NodesPanel(Nodes()))
    assert page.evaluate("window.sent") == [{"look": True}]
    for style, look in (("display: none", False), ("display: block", True), ("margin-top: 5000px", False)):
        page.evaluate("style => { document.querySelector('.labkit-panel').style = style; }", style)
        page.wait_for_function("look => window.sent.at(-1).look === look", arg=look)
    page.evaluate("window.end()")
    assert page.evaluate("window.sent.map((each) => each.look)") == [True, False, True, False]


def test_what_a_busy_kernel_answers_late_is_shown_nevertheless(page: Page) -> None:
    page.clock.install()
    mount(page, FlowPanel(played.tomcat(), details=lambda _hop: []))
    evidence = page.locator(".evidence")
    expect(evidence).to_contain_text("Asking for the details")
    page.clock.fast_forward(5_000)
    expect(evidence).to_contain_text("There are no more details of this hop here.")
    late = {"kind": "facts", "title": "At last", "open": True, "rows": [["from", "Python"]]}
    page.evaluate("message => window.tell(message)", {"hop": 1, "detail": [late]})
    expect(evidence).to_contain_text("At last")
    expect(evidence).not_to_contain_text("no more details")


def test_a_flow_says_why_there_is_no_more(page: Page) -> None:
    panel = FlowPanel(played.tomcat())
    panel.tell(f"{HOSTILE}\nWhat to do: labkit up")
    mount(page, panel)
    trouble = page.get_by_role("status").filter(has_text="What to do: labkit up")
    expect(trouble).to_have_text(f"{HOSTILE}\nWhat to do: labkit up")
    expect(page.locator(".labkit-player img")).to_have_count(0)
    assert violations(page, ".labkit-player header") == []
    mount(page, FlowPanel(played.tomcat()))
    expect(page.locator(".labkit-player .trouble").last).to_be_hidden()


@pytest.mark.parametrize(("wish", "animation"), [("reduce", "none"), ("no-preference", "labkit-working")])
def test_work_is_seen_and_moves_only_for_those_who_like_it(page: Page, wish: str, animation: str) -> None:
    page.emulate_media(reduced_motion="reduce" if wish == "reduce" else "no-preference")
    mount(page, NodesPanel(Nodes()))
    before = "getComputedStyle(document.querySelector('.labkit-panel'), '::before')"
    assert page.evaluate(f"{before}.content") == "none"
    page.evaluate("window.show({working: true})")
    assert page.evaluate(f"{before}.height") == "3px"
    assert page.evaluate(f"{before}.animationName") == animation


@pytest.mark.parametrize("width", [400, 700])
def test_nothing_sticks_out_of_a_narrow_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    mount(page, NodesPanel(Nodes()))
    mount(page, WhyPanel(Pods()))
    assert page.evaluate("document.documentElement.scrollWidth") == width
