"""No text lacks its translation, and no translation is of a text that is gone: in labkit and in the notebooks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from babel.messages.catalog import Catalog
from markdown_it import MarkdownIt

from labkit import errors, language
from scripts import build_notebooks, catalogues
from scripts.notebook_texts import same_code, texts, translated

NAMES = sorted(path.stem for path in (catalogues.NOTEBOOKS / "src").glob("*.py"))
CHINESE = re.compile(r"[\u4e00-\u9fff]")
#: What Markdown makes of a text; a star that is left is emphasis which did not become one.
RENDERED = re.compile(r"<(?:strong|em|code|li|td|th|p|h\d)>|\*")

#: What a translation keeps: code, places to fill in, where links lead, and what makes headings, lists and tables.
KEPT = re.compile(r"`[^`]+`|\{\w*\}|\]\([^)]*\)|^ *(?:#+ |[-*] |\d+\. |\|)", re.MULTILINE)
RENEW = "write the translations that lack, see: make translations"


def kept(text: str) -> list[str]:
    return sorted(KEPT.findall(text))


def test_every_text_of_labkit_has_its_translation() -> None:
    known, said = catalogues.read(catalogues.LABKIT), catalogues.said_by_labkit()
    assert catalogues.messages(known) == catalogues.messages(said), RENEW
    assert catalogues.lacking(catalogues.LABKIT) == []


def test_translations_of_labkit_have_the_same_places_to_fill_in() -> None:
    for message in catalogues.read(catalogues.LABKIT):
        if message.id:
            english, chinese = catalogues.forms(message.id), catalogues.forms(message.string)
            assert {tuple(kept(each)) for each in chinese} <= {tuple(kept(each)) for each in english}, message.id


def test_what_labkit_reads_is_what_the_catalogue_says() -> None:
    compiled = catalogues.compiled(catalogues.LABKIT)
    assert catalogues.LABKIT.with_suffix(".mo").read_bytes() == compiled, "make translations"


def test_labkit_speaks_the_language_of_the_catalogue() -> None:
    assert language.languages() == ("en", catalogues.LANGUAGE)


def test_a_catalogue_tells_what_is_new_what_changed_and_what_nobody_translated(tmp_path: Path) -> None:
    path = tmp_path / "some.po"
    said = Catalog()
    said.add("The scheduler chose node {node} of all nodes")
    said.add(("one pod", "{number} pods"))
    catalogues.renew(path, said)
    assert len(catalogues.lacking(path)) == 2
    path.write_text(path.read_text().replace('nodes"\nmsgstr ""', 'nodes"\nmsgstr "调度器选择了 {node}"'))
    path.write_text(path.read_text().replace('msgstr[0] ""', 'msgstr[0] "{number} 个 Pod"'))
    assert catalogues.lacking(path) == []
    changed = Catalog()
    changed.add("The scheduler has chosen node {node} of all nodes")
    catalogues.renew(path, changed)
    assert catalogues.lacking(path) == ["The scheduler has chosen node {node} of all nodes"]
    assert "fuzzy" in path.read_text()
    assert "调度器选择了" in path.read_text()
    assert "number" not in path.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_every_text_of_a_notebook_has_its_translation(name: str) -> None:
    path = catalogues.of_notebook(name)
    known, said = catalogues.read(path), catalogues.said_by_notebook(name)
    assert catalogues.messages(known) == catalogues.messages(said), RENEW
    assert catalogues.lacking(path) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_translation_has_the_same_code_and_the_same_form(name: str) -> None:
    for english, chinese in catalogues.translations(catalogues.of_notebook(name)).items():
        assert CHINESE.search(chinese) or english.startswith("#"), "a title may be a name alone"
        assert kept(chinese) == kept(english)
        assert rendered(chinese) == rendered(english), chinese


def rendered(text: str) -> list[str]:
    markdown = MarkdownIt("commonmark").enable("table").render(text)
    return sorted(RENDERED.findall(re.sub(r"(?s)(<code>).*?</code>", r"\1", markdown)))


@pytest.mark.parametrize("name", NAMES)
def test_a_chinese_notebook_is_what_its_catalogue_says(name: str) -> None:
    stored = nbformat.read(_chinese(name), as_version=4)  # type: ignore[no-untyped-call]
    assert stored == build_notebooks.in_chinese(name), "make translations"


@pytest.mark.parametrize("name", NAMES)
def test_a_chinese_notebook_does_the_same_and_shows_what_that_code_showed(name: str) -> None:
    english, chinese = (
        nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        for path in (catalogues.NOTEBOOKS / f"{name}.ipynb", _chinese(name))
    )
    asked: list[str] = []
    for one, other in zip(english.cells, chinese.cells, strict=True):
        assert one.cell_type == other.cell_type
        if one.cell_type == "markdown":
            assert CHINESE.search(other.source)
            continue
        if not same_code(one.source, other.source):
            asked += [text.message for text in texts("code", one.source)]
            assert re.search(r"^(ExercisePanel|sheet\.ask)\($", one.source, re.MULTILINE)
            assert re.sub('[^\\n]*"[^\\n]*\n', "", one.source) == re.sub('[^\\n]*"[^\\n]*\n', "", other.source)
        assert "nbval-check-output" not in other.metadata.get("tags", []), "it is what labkit says in English"
        if any(text in str(one.outputs) for text in asked):
            assert not other.outputs
        else:
            assert same_code(one.source, other.source)
            assert one.outputs == other.outputs


def _chinese(name: str) -> Path:
    return catalogues.NOTEBOOKS / catalogues.LANGUAGE / f"{name}.ipynb"


def test_in_code_remarks_are_texts_and_what_a_panel_asks_and_nothing_else() -> None:
    source = """
def shown(pod):
    \"""Return “it”.\"""
    # lab.freeze(...)
    return "a text"  # so that it is seen


sheet.ask("1. Repair", "Make it " "run: “now”.", shown, field="A name", choices=["one", "two"])
"""
    found = [text.message for text in texts("code", source)]
    assert found == ["Return “it”.", "so that it is seen", "1. Repair", "Make it run: “now”.", "A name"]
    known = {"Return “it”.": "返回它。", "so that it is seen": "使它可见", "Make it run: “now”.": "让它现在运行。"}
    assert translated("code", source, known) == (
        source.replace("Return “it”.", "返回它。")
        .replace("so that it is seen", "使它可见")
        .replace('"Make it " "run: “now”."', '"让它现在运行。"')
    )
    assert same_code(source, translated("code", source, {"so that it is seen": "使它可见"}))
    assert not same_code(source, translated("code", source, known))


def test_in_text_each_paragraph_is_one_and_a_block_of_code_is_none() -> None:
    source = "# A title\n\nTwo\nlines.\n\n```python\nprint(1)\n```\n\n- one\n- two"
    assert [text.message for text in texts("markdown", source)] == ["# A title", "Two\nlines.", "- one\n- two"]
    assert translated("markdown", source, {"Two\nlines.": "一行。"}) == source.replace("Two\nlines.", "一行。")


ERRORS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.LabkitError)
}
#: What is said in English only, and why.
EXCUSED = {
    "cli": "the command line and its help are English",
    "classroom": "those who run a Hub read it",
    "cri": "a node's process says it to the kubelet, which speaks English",
}
#: Those of labkit.cri that read what a learner wrote.
READ_BY_LEARNERS = {"cri/images.py"}
#: A line to type, with nothing said beside it; and what has no words but those of who is quoted.
COMMAND = re.compile(
    r"(?:(?:apt-get|docker|kubeadm|kubectl|labkit|rm) |(?:with )?lab\.)[^,;]*(?:; labkit [^,;]*)?|--\S+|\W*"
)


def spoken(source: str) -> Iterator[str]:
    """Return the English texts that errors are made of which are looked up in no catalogue."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
            for part in (*node.args, *(keyword.value for keyword in node.keywords)):
                yield from literals(part)
        elif isinstance(node, ast.Assign) and {"what", "why", "fix"} & set(map(ast.unparse, node.targets)):
            yield from literals(node.value)


def literals(part: ast.expr) -> Iterator[str]:
    if isinstance(part, ast.Constant | ast.JoinedStr):
        values = part.values if isinstance(part, ast.JoinedStr) else [part]
        text = "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in values)
        if not COMMAND.fullmatch(text):
            yield text
    elif isinstance(part, ast.IfExp):
        yield from (*literals(part.body), *literals(part.orelse))
    elif isinstance(part, ast.BoolOp):
        for value in part.values:
            yield from literals(value)
    elif isinstance(part, ast.BinOp):
        yield from (*literals(part.left), *literals(part.right))


def test_every_error_that_a_learner_reads_is_looked_up_in_the_catalogue() -> None:
    read = {path: path.relative_to(catalogues.SOURCES) for path in catalogues.SOURCES.rglob("*.py")}
    learners = [path for path, name in read.items() if name.parts[0] not in EXCUSED or str(name) in READ_BY_LEARNERS]
    assert {str(read[path]): found for path in learners if (found := list(spoken(path.read_text("utf-8"))))} == {}


def test_an_error_that_no_catalogue_has_is_found() -> None:
    source = """
why = f"{node} is off" if off else ""
raise UsageError(gettext("Lab {name} is off").format(name=name), why=str(error) or "too old", fix="labkit up")
raise ClusterError(f"{node} does not answer", why=f"{error.what}: {error.why}", fix=f"labkit up {name}, then " + fix)
"""
    assert sorted(spoken(source)) == ["labkit up {}, then ", "too old", "{} does not answer", "{} is off"]
