"""Which language is spoken."""

from __future__ import annotations

import logging

import pytest

from labkit import language


@pytest.mark.parametrize("named", ["", "en", "en_US.UTF-8", "EN-gb"])
def test_english_is_what_the_source_says(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("LABKIT_LANG", named)
    assert language.language() == "en"
    assert language.gettext("Right") == "Right"
    assert [language.ngettext("one", "many", number) for number in (1, 2)] == ["one", "many"]


def test_a_language_that_there_is_not_is_told_and_english_is_spoken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LABKIT_LANG", "tlh")
    with caplog.at_level(logging.WARNING):
        assert language.gettext("Right") == "Right"
    assert "does not speak 'tlh'" in caplog.text
