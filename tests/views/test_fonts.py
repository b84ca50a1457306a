"""In which fonts a figure is drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from matplotlib import font_manager

from labkit.views.fonts import families


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    families.cache_clear()
    yield
    families.cache_clear()


def test_a_chinese_font_that_is_there_comes_after_the_one_of_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font_manager, "get_font_names", lambda: ["SimHei", "DejaVu Sans", "WenQuanYi Micro Hei"])
    assert families() == ["DejaVu Sans", "WenQuanYi Micro Hei"]


@pytest.mark.parametrize(("spoken", "told"), [("zh", True), ("en", False)])
def test_where_there_is_none_it_is_told_to_who_reads_chinese(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, spoken: str, told: bool
) -> None:
    monkeypatch.setenv("LABKIT_LANG", spoken)
    monkeypatch.setattr(font_manager, "get_font_names", lambda: ["DejaVu Sans"])
    with caplog.at_level(logging.WARNING):
        assert families() == ["DejaVu Sans"]
    assert ("fonts-noto-cjk" in caplog.text) is told
