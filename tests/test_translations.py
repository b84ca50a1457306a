"""No text lacks its translation, and no translation is of a text that is gone: in labkit and in the notebooks."""

from __future__ import annotations

import re
from pathlib import Path

from labkit import language
from scripts import catalogues

#: What a translation keeps: code, places to fill in, where links lead, and what makes headings, lists and tables.
KEPT = re.compile(r"`[^`]+`|\{\w*\}|\]\([^)]*\)|^ *(?:#+ |[-*] |\d+\. |\|)", re.MULTILINE)
RENEW = "write the translations that lack, see: make translations"


def kept(text: str) -> list[str]:
    return sorted(KEPT.findall(text))


def test_every_text_of_labkit_has_its_translation() -> None:
    translated, said = catalogues.read(catalogues.LABKIT), catalogues.said_by_labkit()
    assert catalogues.messages(translated) == catalogues.messages(said), RENEW
    assert catalogues.lacking(catalogues.LABKIT) == []


def test_translations_of_labkit_have_the_same_places_to_fill_in() -> None:
    for message in catalogues.read(catalogues.LABKIT):
        if message.id:
            texts = message.id if isinstance(message.id, tuple) else (message.id,)
            strings = message.string if isinstance(message.string, tuple) else (message.string,)
            assert {tuple(kept(each)) for each in strings} <= {tuple(kept(each)) for each in texts}, message.id


def test_what_labkit_reads_is_what_the_catalogue_says() -> None:
    compiled = catalogues.compiled(catalogues.LABKIT)
    assert catalogues.LABKIT.with_suffix(".mo").read_bytes() == compiled, "make translations"


def test_labkit_speaks_the_language_of_the_catalogue() -> None:
    assert language.languages() == ("en", catalogues.LANGUAGE)


def test_a_catalogue_tells_what_is_new_what_changed_and_what_nobody_translated(tmp_path: Path) -> None:
    path = tmp_path / "some.po"
    said = catalogues.Catalog()
    said.add("The scheduler chose node {node} of all nodes")
    said.add(("one pod", "{number} pods"))
    catalogues.renew(path, said)
    assert len(catalogues.lacking(path)) == 2
    path.write_text(path.read_text().replace('nodes"\nmsgstr ""', 'nodes"\nmsgstr "调度器选择了 {node}"'))
    path.write_text(path.read_text().replace('msgstr[0] ""', 'msgstr[0] "{number} 个 Pod"'))
    assert catalogues.lacking(path) == []
    changed = catalogues.Catalog()
    changed.add("The scheduler has chosen node {node} of all nodes")
    catalogues.renew(path, changed)
    assert catalogues.lacking(path) == ["The scheduler has chosen node {node} of all nodes"]
    assert "fuzzy" in path.read_text()
    assert "调度器选择了" in path.read_text()
    assert "number" not in path.read_text()
