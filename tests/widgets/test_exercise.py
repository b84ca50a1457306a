"""The exercise panel: by its button's messages, and in a real JupyterLab by keyboard."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from labkit.checks.verdict import Verdict
from labkit.errors import ClusterError, UsageError
from labkit.widgets.exercise import ExercisePanel
from tests.chromium import needs_chromium
from tests.widgets.axe import violations
from tests.widgets.jupyterlab import Jupyter, outputs, run, write

SOURCE = """\
from IPython.display import display
from labkit.checks.verdict import Verdict
from labkit.widgets.exercise import ExercisePanel

def check(answer):
    return Verdict(answer == "etcd", "Who keeps it?", (f"you said <b>{answer}</b>",))

display(ExercisePanel("Exercise 1", "Where is the state kept?", check, field="A component's name"))
display(ExercisePanel("Exercise 2", "Which of them?", check, choices=["kubelet", "etcd"]))"""


@pytest.fixture
def heard() -> list[Any]:
    """What the check was given."""
    return []


@pytest.fixture
def panel(heard: list[Any]) -> Iterator[ExercisePanel]:
    def check(answer: str) -> Verdict:
        heard.append(answer)
        return Verdict(None if answer == "?" else answer == "etcd", "Look.", ("<b>seen</b>",))

    made = ExercisePanel("Exercise 1", "Where is <i>it</i>?", check, field="A component's name")
    yield made
    made.close()


def _press(panel: ExercisePanel, message: dict[str, Any]) -> dict[str, Any]:
    panel._handle_custom_msg(message, [])
    end = time.monotonic() + 10
    while panel.paint() or panel.state["working"]:
        assert time.monotonic() < end
        time.sleep(0.01)
    return dict(panel.state)


def test_an_answer_is_judged_and_counted(panel: ExercisePanel, heard: list[Any]) -> None:
    assert panel.right is None
    wrong = _press(panel, {"check": " kubelet "})
    assert heard == ["kubelet"]
    assert (wrong["said"], wrong["right"], wrong["attempts"]) == ("✘ Not yet. Look.", False, 1)
    assert wrong["evidence"] == ["<b>seen</b>"]
    assert panel.right is False
    right = _press(panel, {"check": "etcd"})
    assert (right["said"], right["right"], right["attempts"]) == ("✔ Right. Look.", True, 2)
    _press(panel, {"check": "kubelet"})
    assert panel.right is True  # once is enough
    assert _press(panel, {"check": "?"})["attempts"] == 3  # nothing was judged
    assert json.loads(json.dumps(panel.state)) == panel.state


@pytest.mark.parametrize("given", ["", "  ", None, 3, ["etcd"], {"a": "b"}])
def test_what_is_no_answer_is_not_checked(panel: ExercisePanel, heard: list[Any], given: object) -> None:
    _press(panel, {"check": "kubelet"})
    state = _press(panel, {"check": given})
    assert state["said"] == "Fill in the field first: A component's name."
    assert (state["right"], state["evidence"], state["attempts"]) == (None, [], 1)
    assert heard == ["kubelet"]


def test_messages_of_any_kind_do_nothing(panel: ExercisePanel, heard: list[Any]) -> None:
    for message in ({}, {"do": "check"}, {"answer": "etcd"}):
        panel._handle_custom_msg(message, [])
    assert not panel.state["said"]
    assert not heard


def test_choices(heard: list[Any]) -> None:
    def check(answer: object) -> Verdict:
        heard.append(answer)
        return Verdict(True, "Yes.")

    one = ExercisePanel("One", "Which?", check, choices=["a", "b"])
    several = ExercisePanel("Several", "Which?", check, choices=["a", "b", "c"], several=True)
    done = ExercisePanel("Done", "Do it.", check)
    assert _press(one, {"check": ["c"]})["said"] == "Choose an answer first."
    _press(one, {"check": ["a", "b"]})  # a page cannot, a message can
    _press(one, {"check": ["b"]})
    assert _press(several, {"check": []})["said"] == "Choose an answer first."
    _press(several, {"check": ["a", "c", ["a"]]})
    _press(done, {"check": []})
    assert heard == ["b", {"a", "c"}, None]
    with pytest.raises(UsageError, match="a field and choices"):
        ExercisePanel("Both", "Which?", check, field="A name", choices=["a"])
    for each in (one, several, done):
        each.close()


def test_a_check_that_fails_says_so_in_place() -> None:
    verdicts: list[Verdict | ClusterError] = [Verdict(True, "Yes.", ("seen",)), ClusterError("Gone", fix="labkit up")]

    def check(_answer: object) -> Verdict:
        verdict = verdicts.pop(0)
        if isinstance(verdict, ClusterError):
            raise verdict
        return verdict

    panel = ExercisePanel("Done", "Do it.", check)
    _press(panel, {"check": []})
    state = _press(panel, {"check": []})
    assert state["failed"]
    assert state["said"] == "Gone\nWhat to do: labkit up"
    assert (state["right"], state["evidence"], state["attempts"]) == (None, [], 1)
    panel.close()


def test_what_stays_in_the_notebook(panel: ExercisePanel) -> None:
    assert panel.still_text() == "Exercise 1\nWhere is <i>it</i>?\nNo answer yet."
    _press(panel, {"check": "kubelet"})
    assert "✘ Not yet." in panel.still_html()
    assert "<i>" not in panel.still_html()
    assert "<b>" not in panel.still_html()
    assert panel.still_text().splitlines()[2:] == ["✘ Not yet. Look.", "    <b>seen</b>"]


@needs_chromium
def test_in_jupyterlab_by_keyboard(browser: Browser, jupyter: Jupyter, tmp_path: Path) -> None:
    file = jupyter.folder / "exercise.ipynb"
    write(file, SOURCE)
    with browser.new_page(viewport={"width": 1300, "height": 1000}, color_scheme="light") as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        run(page, jupyter.address, file.name)
        written, chosen = (page.get_by_role("region", name=f"Exercise {number}") for number in (1, 2))
        expect(written.locator("h3")).to_have_text("Exercise 1", timeout=30_000)
        expect(page.locator("div[id^=labkit-still]").first).to_be_hidden()
        expect(written.get_by_role("status")).to_be_hidden()

        written.get_by_label("A component's name").focus()
        page.keyboard.type("kubelet")
        page.keyboard.press("Enter")
        expect(written.get_by_role("status")).to_contain_text("✘ Not yet. Who keeps it?", timeout=10_000)
        expect(written.get_by_role("status")).to_contain_text("you said <b>kubelet</b>")
        expect(written.locator(".attempts")).to_have_text("1 attempt")
        expect(written.get_by_label("A component's name")).to_be_focused()

        chosen.get_by_label("kubelet").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        expect(chosen.get_by_role("button", name="Check")).to_be_focused()
        page.keyboard.press("Space")
        expect(chosen.get_by_role("status")).to_contain_text("✔ Right.", timeout=10_000)
        expect(chosen.get_by_role("button", name="Check")).to_be_focused()
        expect(chosen.locator(".attempts")).to_have_text("1 attempt")
        assert violations(page, ".labkit-panel") == []
        page.screenshot(path=tmp_path / "light.png")
        page.evaluate("document.body.dataset.jpThemeLight = 'false'")
        expect(written).to_have_attribute("data-theme", "dark")
        assert violations(page, ".labkit-panel") == []
        page.screenshot(path=tmp_path / "dark.png")

        page.wait_for_timeout(3_000)  # the still is brought up to date two seconds after the last news
        page.keyboard.press("Control+s")
        end = time.monotonic() + 10
        while "✘ Not yet." not in str(outputs(file)):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert not problems
