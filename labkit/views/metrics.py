"""How wide text is, without a browser and without a font library.

The widths are those of DejaVu Sans, in hundredths of the font's size, for the characters from blank to tilde (the
font's own table of advance widths). It is wider than the other sans serif fonts in common use, so what fits here fits
in those too.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator

_FIRST, _LAST = 32, 126
_NORMAL = (
    *(32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34),
    *(84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79, 60, 79, 69, 63, 61, 73, 68),
    *(99, 69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41),
    *(52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84),
)
_BOLD = (
    *(35, 46, 52, 84, 70, 100, 87, 31, 46, 46, 52, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 40, 40),
    *(84, 84, 84, 58, 100, 77, 76, 73, 83, 68, 68, 82, 84, 37, 37, 77, 64, 100, 84, 85, 73, 85, 77, 72, 68, 81, 77),
    *(110, 77, 72, 73, 46, 37, 46, 84, 50, 50, 67, 72, 59, 72, 68, 44, 72, 71, 34, 34, 67, 34, 104, 71, 69, 72, 72),
    *(49, 60, 48, 71, 65, 92, 65, 65, 58, 71, 37, 71, 84),
)
_CHINESE = "\N{IDEOGRAPHIC COMMA}"  # from here on
_ELSE = 105  # any other character: as wide as the widest of a letter script


@functools.lru_cache(maxsize=4096)
def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide text is, in the unit of `size` (pixels); at least as wide as a browser draws it."""
    table = _BOLD if bold else _NORMAL
    hundredths = sum(table[ord(char) - _FIRST] if _FIRST <= ord(char) <= _LAST else _ELSE for char in text)
    return hundredths * size / 100


def fit(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """Return the text, or as much of it as there is room for, with an ellipsis."""
    if width(text, size, bold=bold) <= room:
        return text
    while text and width(f"{text}…", size, bold=bold) > room:
        text = text[:-1]
    return f"{text.rstrip()}…"


def wrap(text: str, room: float, size: float, *, bold: bool = False) -> tuple[str, ...]:
    """Return the lines that a text needs; it breaks after a hyphen, at a blank, and after a Chinese character."""
    if width(text, size, bold=bold) <= room:
        return (text,)
    lines = [""]
    for word in _words(text):
        if lines[-1] and width((lines[-1] + word).rstrip(), size, bold=bold) > room:
            lines.append("")
        lines[-1] += word
    return tuple(fit(line.rstrip(), room, size, bold=bold) for line in lines)


def _is_closing(char: str) -> bool:
    """Whether a character is punctuation that no line begins with."""
    return bool(char) and unicodedata.category(char) in {"Pe", "Pf", "Po"}


def _words(text: str) -> Iterator[str]:
    start = 0
    for index, char in enumerate(text, 1):
        if char in "- " or (char >= _CHINESE and not _is_closing(text[index : index + 1])):
            yield text[start:index]
            start = index
    yield text[start:]
