"""Which language is spoken."""

from __future__ import annotations

import logging
from pathlib import Path

import nbclient
import nbformat.v4
import pytest

from labkit import kernel, language

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


@pytest.mark.parametrize("named", ["", "en", "en_US.UTF-8", "EN-gb"])
def test_english_is_what_the_source_says(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("LABKIT_LANG", named)
    assert language.language() == "en"
    assert language.gettext("Right") == "Right"
    assert [language.ngettext("one", "many", number) for number in (1, 2)] == ["one", "many"]


@pytest.mark.parametrize("named", ["zh", "zh-CN", "zh_CN.UTF-8"])
def test_chinese_is_asked_for_by_a_variable(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("LABKIT_LANG", named)
    assert language.language() == "zh"


def test_a_language_that_there_is_not_is_told_and_english_is_spoken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LABKIT_LANG", "tlh")
    with caplog.at_level(logging.WARNING):
        assert language.gettext("Right") == "Right"
    assert "does not speak 'tlh'" in caplog.text


@pytest.mark.parametrize(
    ("notebook", "named", "spoken"),
    [
        (NOTEBOOKS / "zh" / "02_pods.ipynb", "", "zh"),
        (NOTEBOOKS / "zh" / "02_pods.ipynb", "en", "en"),
        (NOTEBOOKS / "02_pods.ipynb", "", "en"),
        (NOTEBOOKS / "02_pods.ipynb", "zh", "zh"),
        (None, "", "en"),
    ],
)
def test_a_notebook_is_spoken_to_in_its_own_language_where_nobody_names_another(
    monkeypatch: pytest.MonkeyPatch, notebook: Path | None, named: str, spoken: str
) -> None:
    monkeypatch.setattr(kernel, "notebook", lambda: notebook)
    monkeypatch.setenv("LABKIT_LANG", named)
    assert language.language() == spoken


def test_a_real_kernel_knows_by_its_notebook_which_language_it_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    # Jupyter Server tells a kernel in this way which notebook it is of.
    monkeypatch.setenv("JPY_SESSION_NAME", str(NOTEBOOKS / "zh" / "02_pods.ipynb"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.delenv("LABKIT_LANG", raising=False)
    cell = nbformat.v4.new_code_cell("from labkit.language import language; print(language())")  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=[cell])  # type: ignore[no-untyped-call]
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    assert cell.outputs[0].text == "zh\n"
