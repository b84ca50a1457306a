"""Text measured without a font is never narrower than what is drawn."""

from __future__ import annotations

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from labkit.views.metrics import fit, width, wrap

TEXTS = ["MODIFIED pods/tomcat-5c8-x7k2p/binding", "kube-proxy", "WWW iiii", "+1.204 s", "→ …", "日本"]


@pytest.mark.parametrize("text", TEXTS[:5])
@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_it_is_as_wide_as_the_font_says(text: str, weight: str) -> None:
    font = FontProperties(family="DejaVu Sans", weight=weight, size=100)
    drawn, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    assert drawn <= width(text, 100, bold=weight == "bold") * 1.02


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("room", [10, 40, 90])
def test_what_fits_fits(text: str, room: float) -> None:
    cut = fit(text, room, 11)
    assert width(cut, 11) <= max(room, width("…", 11))
    assert cut == text or cut.endswith("…")


def test_names_break_after_a_hyphen_or_at_a_blank() -> None:
    assert wrap("endpointslice-controller", 120, 11, bold=True) == ("endpointslice-", "controller")
    assert wrap("API server", 60, 13) == ("API", "server")
    assert wrap("kubelet", 80, 13) == ("kubelet",)
