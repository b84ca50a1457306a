"""Catalogues of translated texts (gettext's PO files): of labkit itself, and one for each notebook; Babel keeps them.

A catalogue is compared with the texts of today: what is new has no translation yet, what changed keeps its old one,
marked as *fuzzy* until somebody has looked at it, and what is gone goes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jupytext
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

import labkit
from scripts.notebook_texts import texts

LANGUAGE = "zh"
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOURCES = Path(labkit.__file__).parent
LABKIT = SOURCES / "locale" / LANGUAGE / "LC_MESSAGES" / "labkit.po"
#: In place of Babel's own, which are to be filled in.
_HEAD = {"project": "labkit", "version": "-", "msgid_bugs_address": "-", "last_translator": "-", "language_team": "-"}
_KEYWORDS = {"gettext": (1,), "gettext_noop": (1,), "ngettext": (1, 2)}
_METHODS = [("**.py", "python"), ("**.js", "javascript")]


def of_notebook(name: str) -> Path:
    """Return the file of a notebook's catalogue."""
    return NOTEBOOKS / "locale" / LANGUAGE / f"{name}.po"


def cells(name: str) -> Any:
    """Return a notebook as its percent script has it."""
    return jupytext.read(NOTEBOOKS / "src" / f"{name}.py")


def said_by_notebook(name: str) -> Catalog:
    """Return the texts of a notebook, in their order."""
    found = Catalog()
    for cell in cells(name).cells:
        for text in texts(cell.cell_type, cell.source):
            found.add(text.message)
    return found


def said_by_labkit() -> Catalog:
    """Return the texts that labkit's modules mark by `labkit.language.gettext` and its like, by module."""
    found = Catalog()
    places = extract_from_dir(str(SOURCES), method_map=_METHODS, keywords=_KEYWORDS)
    for file, _, message, _, _ in sorted(places, key=lambda place: place[:2]):
        found.add(message, locations=[(f"labkit/{file}", 0)])
    return found


def read(path: Path) -> Catalog:
    """Return a catalogue, an empty one where there is no file."""
    if not path.exists():
        return Catalog(LANGUAGE, header_comment="", fuzzy=False, **_HEAD)
    with path.open("rb") as file:
        return read_po(file, locale=LANGUAGE)


def renew(path: Path, said: Catalog) -> None:
    """Bring a catalogue up to date with the texts that there are."""
    catalogue = read(path)
    catalogue.update(said, update_creation_date=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalogue, width=0, ignore_obsolete=True, include_lineno=False)


def compiled(path: Path) -> bytes:
    """Return what gettext reads, of a catalogue."""
    file = io.BytesIO()
    write_mo(file, read(path))
    return file.getvalue()


def translations(path: Path) -> dict[str, str]:
    """Return a notebook's catalogue as texts by texts, without those that nobody has looked at."""
    return {str(each.id): str(each.string) for each in _messages(read(path)) if each.string and not each.fuzzy}


def lacking(path: Path) -> list[str]:
    """Return the texts of a catalogue that have no translation, or one that nobody has looked at."""
    return [str(each.id) for each in _messages(read(path)) if each.fuzzy or not all(forms(each.string))]


def forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the forms of a text, or of its translation: one, or several that depend on a number."""
    return (text or "",) if text is None or isinstance(text, str) else tuple(text)


def messages(catalogue: Catalog) -> list[str]:
    """Return what a catalogue has translations of; of a text for one thing and for many, the one for one thing."""
    return [forms(each.id)[0] for each in _messages(catalogue)]


def _messages(catalogue: Catalog) -> Iterable[Message]:
    return (each for each in catalogue if each.id)  # the one without id is the file's head
