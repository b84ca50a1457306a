"""The learner's language: a text is English in the source; where the learner has another, a catalogue has it.

Catalogues are those of gettext (docs.python.org/3/library/gettext.html): ``locale/LANGUAGE/LC_MESSAGES/labkit.po``.
"""

from __future__ import annotations

import functools
import gettext as catalogues
import logging
import os
import re
import unicodedata
from pathlib import Path
from typing import TypeVar

from labkit import kernel

_LOG = logging.getLogger(__name__)
_FOLDER = Path(__file__).with_name("locale")
_ENGLISH = "en"
_Text = TypeVar("_Text", bound=str)


@functools.cache
def languages() -> tuple[str, ...]:
    """Return the languages that there are, by their codes of ISO 639-1."""
    return (_ENGLISH, *sorted(path.name for path in _FOLDER.glob("*") if path.is_dir()))


def language() -> str:
    """Return the language that LABKIT_LANG names, be it as ``zh``, ``zh-CN`` or ``zh_CN.UTF-8``.

    Where it names none, it is that of the notebook which runs: ``notebooks/zh/02_pods.ipynb`` speaks Chinese. Else it
    is English.
    """
    if named := os.environ.get("LABKIT_LANG"):
        return _known(named)
    notebook = kernel.notebook()
    return notebook.parent.name if notebook and notebook.parent.name in languages() else _ENGLISH


def gettext(text: str) -> str:
    """Return a text in the learner's language, or as it is where that has none."""
    # A catalogue's empty text is its head.
    return _catalogue(language()).gettext(text) if text else ""


def gettext_noop(text: _Text) -> _Text:
    """Mark a text for the catalogue, and return it as it is: a constant is looked up where it is shown."""
    return text


def ngettext(one: str, many: str, number: int) -> str:
    """Return the one of two texts that fits a number, in the learner's language."""
    return _catalogue(language()).ngettext(one, many, number)


def columns(text: str) -> int:
    """Return how many columns of a terminal a text fills: a Chinese character fills two (Unicode's annex 11)."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def filled(text: str, width: int) -> str:
    """Return a text with blanks after it, so that it fills so many columns of a terminal."""
    return text + " " * (width - columns(text))


@functools.cache
def _known(named: str) -> str:
    code = re.split(r"[-_.]", named, maxsplit=1)[0].lower()
    if code in languages():
        return code
    _LOG.warning("labkit does not speak %r, which LABKIT_LANG names; it speaks %s", named, ", ".join(languages()))
    return _ENGLISH


@functools.cache
def _catalogue(code: str) -> catalogues.NullTranslations:
    return catalogues.translation("labkit", _FOLDER, [code], fallback=code == _ENGLISH)
