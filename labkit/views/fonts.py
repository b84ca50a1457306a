"""The fonts of a matplotlib figure."""

from __future__ import annotations

import functools
import logging

from matplotlib import font_manager

from labkit.language import language

_LOG = logging.getLogger(__name__)
_LATIN = "DejaVu Sans"  # comes with matplotlib, so that the picture is the same everywhere
#: Fonts that have Chinese, as Linux, macOS and Windows have them; a browser finds its own for SVG.
_CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
)
_GET = "apt-get install fonts-noto-cjk, then remove matplotlib's list of fonts: rm ~/.cache/matplotlib/fontlist-*"


@functools.cache
def families() -> list[str]:
    """Return the fonts in which a glyph is looked for, one after the other (matplotlib.org, "Font fallback")."""
    there = set(font_manager.get_font_names())
    chinese = [name for name in _CHINESE if name in there][:1]
    if not chinese and language() == "zh":
        _LOG.warning(
            "No font here has Chinese: figures show boxes, pictures in a browser do not. Install one: %s", _GET
        )
    return [_LATIN, *chinese]
