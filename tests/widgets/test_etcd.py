"""The panel of etcd: on a recording's keys, a lab that does not run, in a real JupyterLab, on the real cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from playwright.sync_api import Browser, expect

from labkit.cluster import rootless
from labkit.cluster.rootless import RootlessCluster
from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.components import Components
from labkit.lab import Lab
from labkit.widgets.etcd import EtcdPanel
from tests.chromium import needs_chromium
from tests.widgets import keys
from tests.widgets.jupyterlab import Jupyter, run, write
from tests.widgets.keys import HOSTILE, TOMCAT, Remembered

SOURCE = """\
from tests.widgets import keys
keys.panel()"""


def say(shown: EtcdPanel, **message: object) -> dict[str, Any]:
    shown._handle_custom_msg(message, [])
    shown.paint()
    return dict(shown.state)


def until(condition: Callable[[], bool], shown: EtcdPanel, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while shown.paint() or not condition():
        assert time.monotonic() < end, shown.state
        time.sleep(0.05)


@pytest.fixture
def shown() -> Iterator[EtcdPanel]:
    panel = keys.panel()
    yield panel
    panel.close()


def test_a_key_its_versions_and_what_changed(shown: EtcdPanel) -> None:
    state = shown.state
    assert state["key"] == TOMCAT, "the first that the filter lets through"
    assert [name for name, _ in state["groups"]] == ["deployments/default", "pods/default", "replicasets/default"]
    assert state["count"] == "3 keys have these words"
    revisions = [revision for revision, _ in state["versions"]]
    assert state["at"] == len(revisions) - 1
    assert f"tomcat at revision {revisions[-1]}: changed" in state["summary"]
    assert any(path.startswith("status.") for path, _, _ in state["changes"])

    first = say(shown, at=revisions[0], echo="a-1")
    assert (first["at"], first["echo"], first["changes"]) == (0, "a-1", [])
    assert first["note"] == "It was created here: all of it is new."
    assert "kind: Deployment" in first["value"]
    assert "managedFields" not in first["value"]
    whole = say(shown, at=None, against=revisions[0])
    assert whole["against"] == 0
    assert f"between revision {revisions[0]} and {revisions[-1]}" in whole["note"]
    assert whole["at"] == len(revisions) - 1
    (pod,) = whole["groups"][1][1]
    assert say(shown, key=pod[0])["against"] is None, "another key is looked at from its newest version"
    assert json.loads(json.dumps(shown.state)) == shown.state


def test_it_follows_what_is_written_and_stays_where_the_reader_is(shown: EtcdPanel) -> None:
    source = shown._source
    assert isinstance(source, Remembered)
    key = "/registry/configmaps/default/tomcat-new"
    source.write(key, {"data": {"a": "1"}}, {"data": {"a": "2"}})
    shown._stale = True
    assert say(shown, key=key)["changes"] == [["data.a", '"1"', '"2"']]
    first = shown.state["versions"][0][0]
    say(shown, at=first)
    source.write(key, None)
    shown._stale = True
    shown.paint()
    assert shown.state["at"] == 0, "the reader looks at the first version"
    assert shown.state["groups"][0][1] == [[key, "tomcat-new", "removed"]]
    gone = say(shown, at=None)
    assert gone["value"] == ""
    assert "removed the key: there is no value" in gone["note"]
    source.write(key, {"data": {"a": "3"}})
    shown._stale = True
    shown.paint()
    assert "the key was not there: all of it is new" in shown.state["note"]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"key": 3},
        {"key": None},
        {"key": ["a"]},
        {"filter": {"a": 1}},
        {"at": "812"},
        {"at": True},
        {"against": 1.5},
        {"do": "delete"},
        {"look": None},
    ],
)
def test_messages_of_any_kind_do_nothing(shown: EtcdPanel, message: dict[str, Any]) -> None:
    before = dict(shown.state)
    assert say(shown, **message) == before
    assert not shown.state["working"]


def test_choices_out_of_range_show_what_there_is(shown: EtcdPanel) -> None:
    assert say(shown, at=-5)["at"] == 0
    assert say(shown, at=10**30)["at"] == len(shown.state["versions"]) - 1
    assert say(shown, key="/registry/no/such")["key"] == TOMCAT
    nothing = say(shown, filter="no-such-word")
    assert nothing["groups"] == []
    assert nothing["summary"] == "No key has these words."
    assert len(say(shown, filter="a" * 10_000)["filter"]) == 200


def test_markup_in_keys_and_values_stays_text() -> None:
    panel = keys.panel("img")
    state = panel.state
    assert state["key"] == HOSTILE
    assert state["changes"] == [['data["<b>a</b>"]', '"</pre><script>"', '"<script>alert(2)</script>"']]
    assert "<img" not in state["picture"]
    for part in ("<img", "<script", "<b>"):
        assert part not in panel.still_html()
    panel.close()


def test_what_stays_in_the_notebook_and_the_end(shown: EtcdPanel) -> None:
    InteractiveShell.instance()
    with capture_output() as captured:
        shown._ipython_display_()
    shown.stop()
    assert not shown._source.open  # type: ignore[attr-defined]
    still, live = captured.outputs
    page = still.data["text/html"]
    assert "<script" not in page
    for word in ("etcd of a recording", "<svg", "deployments/default/tomcat", "kind: Deployment", "readyReplicas"):
        assert word in page
    assert "+\N{NO-BREAK SPACE}created" in still.data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in live.data


def test_a_lab_that_does_not_run_is_told() -> None:
    folder = LabFolder.of("mute")
    folder.create(LabSpec(name="mute"))
    try:
        panel = Lab(RootlessCluster(folder, Components({}))).etcd.panel()
        assert "does not run" in panel.state["trouble"]
        assert panel.state["summary"] == "There is no key yet."
        assert say(panel, filter="pods", echo="x")["echo"] == "x"
        panel.close()
    finally:
        rootless.remove(folder)


@needs_chromium
def test_by_keyboard_in_jupyterlab(browser: Browser, jupyter: Jupyter, tmp_path: Path) -> None:
    write(jupyter.folder / "etcd.ipynb", SOURCE)
    known = keys.panel()
    versions = known.state["versions"]
    known.close()
    with browser.new_page(viewport={"width": 1400, "height": 1300}) as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        run(page, jupyter.address, "etcd.ipynb")
        panel = page.locator(".labkit-etcd")
        heading = panel.locator("h4[aria-live=polite]")
        expect(heading).to_contain_text("deployments/default/tomcat at revision", timeout=30_000)
        expect(page.locator("[id^=labkit-still-]")).to_be_hidden()

        slider = panel.get_by_label("Revision of the key")
        slider.focus()
        page.keyboard.press("Home")
        expect(panel.get_by_text("It was created here")).to_be_visible()
        expect(slider).to_be_focused()
        expect(slider).to_have_attribute("aria-valuetext", f"revision {versions[0][0]}, created, 1 of {len(versions)}")
        page.keyboard.press("ArrowRight")
        expect(panel.locator(".changes")).to_contain_text("metadata.annotations")
        page.keyboard.press("End")
        newest = f"revision {versions[-1][0]}, changed, {len(versions)} of {len(versions)}"
        expect(slider).to_have_attribute("aria-valuetext", newest)
        expect(heading).to_contain_text(f"at revision {versions[-1][0]}: changed")
        page.screenshot(path=tmp_path / "light.png")

        panel.get_by_label("Keys", exact=True).focus()
        page.keyboard.press("ArrowDown")
        expect(heading).to_contain_text("pods/default/tomcat-")
        panel.get_by_label("Filter").fill("IMG")
        expect(panel.locator("option[title*=onerror]")).to_have_count(1)
        panel.get_by_label("Keys", exact=True).focus()
        page.keyboard.press("Home")
        expect(heading).to_contain_text("<img src=x onerror=alert(1)>")
        expect(panel.locator(".changes .after")).to_have_text('+ "<script>alert(2)</script>"')
        page.evaluate("document.body.dataset.jpThemeLight = 'false'")
        expect(panel).to_have_attribute("data-theme", "dark")
        page.screenshot(path=tmp_path / "dark.png")
        assert not problems


@pytest.mark.cluster
def test_a_real_etcd_is_followed_also_after_it_stood_still(lab: Lab) -> None:
    panel = lab.etcd.panel("panel-made")
    try:
        assert panel.state["count"] == "0 keys have these words"
        assert int(panel.state["store"].split()[-2]) > 200
        lab.kubectl("create configmap panel-made --from-literal=a=1")
        until(lambda: panel.state["key"] == "/registry/configmaps/default/panel-made", panel)
        lab.kubectl("delete configmap panel-made")
        until(lambda: [what for _, what in panel.state["versions"]] == ["created", "removed"], panel)
        assert panel.state["trouble"] == ""
        panel._source._asked = panel._source._heard = time.monotonic() - 100  # type: ignore[attr-defined]
        with lab.freeze("etcd"):
            until(lambda: "etcd does not answer" in panel.state["trouble"], panel)
            assert panel.state["versions"], "what was known is still shown"
        until(lambda: panel.state["trouble"] == "", panel)
        lab.etcd.compact(lab.etcd.revision)
        panel._source._asked = 0.0  # type: ignore[attr-defined]
        until(lambda: panel.state["versions"] == [], panel)
    finally:
        panel.close()
