"""The pages of docs/: they build without a warning, every link and anchor leads somewhere, and what they say is so."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jupytext
import pytest
import typer.main

from labkit.cli.app import app
from scripts import draw_gallery
from tests.checks.exercises import exercises, notebooks
from tests.notebooks import FOLDER as NOTEBOOKS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
#: Whose commands are looked at: the pages, and what leads to them.
WITH_COMMANDS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


class _Page(HTMLParser):
    """What a built page links to, and what it can be linked at."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.update(value for name in ("id", "name") if (value := given.get(name)))
        self.links += [value for name in ("href", "src") if (value := given.get(name))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built as `make docs` builds them."""
    folder = tmp_path_factory.mktemp("docs")
    options = ["-W", "--keep-going", "--quiet", "--builder", "html", "--doctree-dir", str(folder / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "html"


def test_every_page_is_in_the_navigation(site: Path) -> None:
    sidebar = _Page(site / "index.html").links
    missing = [page for page in PAGES if _built(page) not in sidebar and page != DOCS / "index.md"]
    assert len(PAGES) > 20
    assert not missing


def _built(page: Path) -> str:
    return str(page.relative_to(DOCS).with_suffix(".html"))


def test_every_link_leads_to_a_file_and_every_anchor_is_there(site: Path) -> None:
    pages = {path: _Page(path) for path in site.rglob("*.html")}
    broken = [f"{path.relative_to(site)}: {link}" for path, page in pages.items() for link in page.links
              if not _leads(path, link, site, pages)]  # fmt: skip
    assert sum(len(page.links) for page in pages.values()) > 500
    assert not broken


def _leads(path: Path, link: str, site: Path, pages: dict[Path, _Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return parts.scheme in {"http", "https", "mailto", "data"}
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    inside = target.is_relative_to(site) and target.is_file()
    return inside and (target not in pages or unquote(parts.fragment) in pages[target].anchors)


def test_no_page_asks_another_machine_for_fonts_scripts_or_pictures(site: Path) -> None:
    asked = re.compile(r'<(?:script|img|iframe|link rel="stylesheet")[^>]*\b(?:src|href)="(?:https?:)?//')
    assert not [path for path in site.rglob("*.html") if asked.search(path.read_text("utf-8"))]


# ---- commands


def _commands(page: Path) -> Iterator[str]:
    """Yield every command of labkit that a page shows: in lines of code blocks, and as code in a text."""
    for line in page.read_text("utf-8").splitlines():
        codes = [line.strip()] if line.startswith("    ") else re.findall(r"`([^`…]*)`", line)
        for part in (part for code in codes for part in re.split(r"&&|;", code.partition(" #")[0])):
            if found := re.match(r"\s*(?:sudo )?(?:[A-Z_]+=\S+ )*(?:\S*/)?(labkit [a-z-].*?)\s*$", part):
                yield found[1]


def _wrong(command: Any, words: list[str]) -> str:
    """Return what labkit has not: go down its tree of commands as the words say, and look each option up."""
    known = {"--help", "-h"} | {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    below: dict[str, Any] = getattr(command, "commands", {})
    for place, word in enumerate(words):
        if word == "--":
            break
        if word.startswith("-"):
            if word.partition("=")[0] not in known:
                return f"{command.name} has no {word}"
        elif below:
            return _wrong(below[word], words[place + 1 :]) if word in below else f"{command.name} has no {word}"
    return ""


def test_every_command_of_a_page_is_one_of_labkit() -> None:
    tree = typer.main.get_command(app)
    assert _wrong(tree, ["images", "sav"]) == "images has no sav"
    assert _wrong(tree, ["up", "--tiny"]) == "up has no --tiny"
    commands = {(page.name, command) for page in WITH_COMMANDS for command in _commands(page)}
    assert ("offline.md", "labkit images save /media/stick/labkit.tar.gz") in commands
    assert len(commands) > 60
    wrong = {each: found for each in commands if (found := _wrong(tree, shlex.split(each[1])[1:]))}
    assert not wrong


def test_words_of_make_are_there() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    pages = "\n".join(page.read_text("utf-8") for page in PAGES)
    used = set(re.findall(r"(?:^    |`)make ([a-z-]+)", pages, re.MULTILINE))
    assert used
    assert used <= known


# ---- pictures


@pytest.mark.parametrize("name", draw_gallery.PICTURES)
def test_a_picture_of_the_gallery_is_what_labkit_draws(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    stored = (draw_gallery.FOLDER / f"{name}.svg").read_text("utf-8")
    assert stored == draw_gallery.draw(name), "draw it anew: make gallery"


def test_the_gallery_shows_every_picture_and_there_is_no_other() -> None:
    files = {path.relative_to(DOCS).as_posix() for path in (DOCS / "images").rglob("*") if path.is_file()}
    text = "".join(page.read_text("utf-8") for page in PAGES)
    drawn = {f"images/gallery/{name}.svg" for name in draw_gallery.PICTURES}
    assert drawn == {file for file in files if file.startswith("images/gallery/")}
    assert drawn | {"images/dashboard.png", "images/player.png"} <= set(re.findall(r"\]\((images/[^)]+)\)", text))


def test_every_picture_has_an_alternative_text() -> None:
    for page in PAGES:
        for alternative, file in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text("utf-8")):
            assert len(alternative) > 20 or file.startswith("http"), f"{page.name}: {file}"


# ---- the lesson plan


def _rows(page: str, columns: int) -> list[list[str]]:
    lines = (DOCS / page).read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in rows if len(row) == columns and "`" in "".join(row[:2])]


def _minutes(name: str) -> int:
    begin = next(cell for cell in jupytext.read(NOTEBOOKS / "src" / f"{name}.py").cells if cell.cell_type == "markdown")
    return int(re.findall(r"\*\*Time\.\*\* (\d+) minutes", begin.source)[0])


def test_the_lesson_plan_has_every_notebook_with_its_own_time_and_exercises() -> None:
    told = [(row[0].strip("`"), int(row[1]), int(row[2])) for row in _rows("lesson-plan.md", 5) if row[1].isdigit()]
    own = [(name, _minutes(name), len(exercises(name))) for name in notebooks()]
    assert sorted(told) == own
    hours = sum(minutes for _, minutes, _ in own) / 60
    assert hours == 7.5, "its first sentence says how many hours"


def test_the_lessons_last_as_long_as_their_notebooks() -> None:
    rows = [row for columns in (3, 4) for row in _rows("lesson-plan.md", columns)]
    plans = [row for row in rows if re.search(r"`\d\d_", "".join(row))]
    assert len(plans) == 7 + 1 + 3
    for row in plans:
        (cell,) = [cell for cell in row if "`" in cell]
        numbers = [int(text) for text in row[row.index(cell) + 1 :]]
        assert numbers[0] == sum(map(_minutes, re.findall(r"`(\w+)`", cell))), row
        assert len(numbers) == 1 or sum(numbers) == 90, row
    course = [name for row in plans if row[0].isdigit() for name in re.findall(r"`(\w+)`", row[1])]
    assert sorted(course) == notebooks(), "the seven lessons have every notebook, once"


def test_the_tools_of_these_pages_are_an_extra_of_their_own() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {"docs", "grading"} <= set(extras)
