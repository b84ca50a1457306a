"""What a learner reads in a notebook's cells, and the same cells in another language.

In a text cell that is each paragraph; in a cell of code the comments, docstrings, and what an exercise asks. The rest
of the code is the same in all languages, so that sessions and checks are, too.
"""

from __future__ import annotations

import ast
import io
import json
import re
import textwrap
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

#: What lies between two empty lines.
_PARAGRAPH = re.compile(r"\S(?:.|\n(?!\n))*")
#: What makes an exercise's panel: `labkit.widgets.exercise.ExercisePanel`, `labkit.checks.sheet.Sheet.ask`.
_ASKS = {"ExercisePanel", "sheet.ask"}
#: The most characters in one line of a text in code: Chinese ones are twice as wide as others.
_WIDTH = 50


@dataclass(frozen=True, slots=True)
class Text:
    """A text in a cell's source.

    Attributes
    ----------
    begin, end : int
        Where it stands: characters from the source's beginning.
    message : str
        What it says.
    written : callable
        Makes of such a text what stands in the source.
    """

    begin: int
    end: int
    message: str
    written: Callable[[str], str] = str


def texts(kind: str, source: str) -> list[Text]:
    """Return the texts of a cell in their order.

    Parameters
    ----------
    kind : str
        ``"markdown"`` or ``"code"``, as nbformat has it.
    source : str
        The cell's source.
    """
    if kind == "markdown":
        found = [each for each in _PARAGRAPH.finditer(source) if not each.group().startswith("```")]
        return [Text(each.start(), each.end(), each.group()) for each in found]
    return sorted([*_comments(source), *_strings(source)], key=lambda text: text.begin)


def translated(kind: str, source: str, translations: Mapping[str, str]) -> str:
    """Return a cell's source in another language; a text that has no translation stays."""
    for text in reversed(texts(kind, source)):
        if text.message in translations:
            source = source[: text.begin] + text.written(translations[text.message]) + source[text.end :]
    return source


def same_code(one: str, other: str) -> bool:
    """Return whether two sources do the same: they may differ in comments and docstrings."""
    return _without_remarks(one) == _without_remarks(other)


def _without_remarks(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    return ast.dump(tree)


def _comments(source: str) -> Iterator[Text]:
    """Yield what comments say, except for code that a learner is to complete."""
    place = _Places(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        message = token.string.removeprefix("#").strip()
        if token.type == tokenize.COMMENT and not _is_code(message):
            begin = place.of_characters(*token.start)
            yield Text(begin, begin + len(token.string), message, "# {}".format)


def _strings(source: str) -> Iterator[Text]:
    """Yield docstrings, and the title, the question and the field's name of an exercise that has a panel."""
    place = _Places(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            yield place.text(node.body[0], '"""{}"""'.format)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _ASKS:
            words = [*node.args[:2], *(each.value for each in node.keywords if each.arg == "field")]
            yield from (place.text(word, _literal(word.col_offset)) for word in words)


def _is_code(comment: str) -> bool:
    try:
        ast.parse(comment)
    except SyntaxError:
        return False
    return True


def _literal(indent: int) -> Callable[[str], str]:
    """Return what writes a string as Python does, over several lines where it is long."""

    def written(text: str) -> str:
        lines = textwrap.wrap(text, _WIDTH, drop_whitespace=False)
        return f"\n{' ' * indent}".join(json.dumps(line, ensure_ascii=False) for line in lines)

    return written


class _Places:
    """Where something stands in a source, of which tokenize and ast tell the line and the column.

    Parameters
    ----------
    source : str
        A cell's.
    """

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines(keepends=True)

    def of_characters(self, line: int, column: int) -> int:
        """Return a place of tokenize, which counts lines from 1 and characters from 0."""
        return sum(map(len, self._lines[: line - 1])) + column

    def of_bytes(self, line: int, column: int) -> int:
        """Return a place of ast, which counts the bytes of UTF-8 in a line."""
        return self.of_characters(line, len(self._lines[line - 1].encode()[:column].decode()))

    def text(self, node: ast.stmt | ast.expr, written: Callable[[str], str]) -> Text:
        """Return a string of the source as a text."""
        value = node.value if isinstance(node, ast.Expr) else node
        if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            raise TypeError(f"line {node.lineno} is to be translated, and is no string: {ast.unparse(node)}")
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        begin, end = self.of_bytes(node.lineno, node.col_offset), self.of_bytes(end_line, end_column)
        return Text(begin, end, value.value, written)
