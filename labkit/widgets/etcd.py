"""etcd's panel: its keys, a key's value at each of its revisions by a slider, and what changed between two of them."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, Protocol

from labkit.evidence.etcd_history import EtcdHistory
from labkit.evidence.model import Revision
from labkit.flow.changes import changes
from labkit.language import gettext, gettext_noop, ngettext
from labkit.views import grid, revisions
from labkit.views.revisions import short
from labkit.views.sections import change_rows
from labkit.widgets._panel import Panel, page

_MOST_KEYS = 300
_MOST_ROWS = 24
_WRITTEN = gettext_noop("What was written last, as a table")
_LONGEST_WORDS = 200


class EtcdSource(Protocol):
    """What the panel shows, see `labkit.lab.etcd_panel`."""

    @property
    def title(self) -> str:
        """Whose etcd: ``"lab 'lab'"``."""

    @property
    def history(self) -> EtcdHistory:
        """What etcd remembers, without secrets."""

    def look(self) -> str:
        """Take in what is new, and return why not all is known; never called by two threads at once."""

    def close(self) -> None:
        """Follow no longer."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader has chosen.

    Attributes
    ----------
    filter : str
        As `labkit.evidence.etcd_history.matches` takes it.
    key : str
        Empty for the first that there is.
    at : int or None
        The revision; None for the newest.
    against : int or None
        The revision that it is compared with; None for the version before.
    echo : str
        What the page said last, so that it knows what it has an answer to.
    """

    filter: str = ""
    key: str = ""
    at: int | None = None
    against: int | None = None
    echo: str = ""


class EtcdPanel(Panel):
    """A list of keys with a filter, a slider over the versions of one, its value, and what changed.

    Parameters
    ----------
    source : EtcdSource
        What is shown.
    filter : str
        What the filter begins with.

    Attributes
    ----------
    state : dict
        What the page shows, beside what every panel does: ``title``, ``store``; ``filter``, ``count``, ``groups`` of
        keys, each ``[name, [[key, name, what became of it], …]]``; ``key``, ``versions``, each ``[revision, what]``,
        ``at`` and ``against``, places among them; ``summary``, ``note``, ``changes``, each ``[path, before, after]``,
        ``value``; ``picture``, ``headings`` and ``rows`` of what was written; ``echo``; ``trouble``.
    """

    _esm = page("etcd.js")
    _css = "".join(
        resources.files("labkit.widgets").joinpath(f"static/{name}.css").read_text("utf-8")
        for name in ("panel", "etcd")
    )

    def __init__(self, source: EtcdSource, *, filter: str = "") -> None:  # noqa: A002 - as the panel's field is called
        self._source = source
        self._choice = Choice(filter=filter)
        self._basis: object = None  # what was so when `_seen` was made
        self._seen: dict[str, Any] = {}
        super().__init__()

    @property
    def busy(self) -> bool:
        """True: somebody writes to etcd all the time, and the panel is told of it."""
        return True

    def look(self) -> None:
        """Take in what was written since."""
        trouble, choice, history = self._source.look(), self._choice, self._source.history
        basis = (choice, trouble, id(history), history.revision, history.compacted)
        if basis != self._basis:
            self._seen = {**self._keys(history, choice), **_key(history, choice), "trouble": trouble}
            self._basis = basis

    def shown(self) -> dict[str, Any]:
        """Return what the page shows."""
        return self._seen

    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        """Take a choice, ``{"filter": …, "key": …, "at": …, "against": …, "echo": …}``; there is nothing to do."""
        self._choice, self._stale = _chosen(self._choice, message), True
        return None

    def stop(self) -> None:
        """Look once more and no longer, and end the watch; the panel stays."""
        super().stop()
        self._source.close()

    def _closed(self, change: Mapping[str, Any]) -> None:
        super()._closed(change)
        if change["new"] is None:
            self._source.close()

    def _keys(self, history: EtcdHistory, choice: Choice) -> dict[str, Any]:
        """Return what there is to see of the keys that the filter lets through."""
        keys = history.keys(choice.filter)
        written = sorted((each for key in keys for each in history.of(key)), key=lambda each: each.revision)
        chosen = _place(history, choice)
        groups: dict[str, list[list[str]]] = {}
        for key in keys[:_MOST_KEYS]:
            group, _, name = short(key).rpartition("/")
            groups.setdefault(group, []).append([key, name, gettext("removed") if history.now(key).removed else ""])
        return {
            "title": gettext("etcd of {title}").format(title=self._source.title),
            "store": _store(history),
            "filter": choice.filter,
            "count": _count(len(keys), filtered=bool(choice.filter)),
            "groups": [[group, members] for group, members in groups.items()],
            "picture": revisions.to_svg(written, prefix=f"labkit-etcd-{self.still}", chosen=chosen),
            "headings": list(map(gettext, revisions.HEADINGS)),
            "rows": [list(row) for row in revisions.rows(written[-_MOST_ROWS:])],
            "echo": choice.echo,
        }

    def still_html(self) -> str:
        """Return the picture, what was written, and the chosen key's value and change."""
        state = self.state
        picture = state["picture"].replace(f"labkit-etcd-{self.still}", f"labkit-etcd-still-{self.still}")
        written = grid.table(state["headings"], state["rows"], caption=state["count"])
        paragraphs = "".join(
            f'<p style="white-space:pre-wrap">{html.escape(state[part])}</p>'
            for part in ("store", "trouble", "summary", "note")
        )
        rows = [[path, before or "", after or ""] for path, before, after in state["changes"]]
        differ = grid.table(revisions.CHANGED, rows, caption=gettext("Fields that differ")) if rows else ""
        value = _folded(gettext("The value"), f"<pre>{html.escape(state['value'])}</pre>")
        return (
            f"<p><strong>{html.escape(state['title'])}</strong></p>{picture}"
            f"{_folded(gettext(_WRITTEN), written)}"
            f"{paragraphs}{differ}{value if state['value'] else ''}"
        )

    def still_text(self) -> str:
        """Return what was written last, and the chosen key, as text."""
        state = self.state
        return "\n".join(
            [state["title"], state["store"], grid.text(state["headings"], state["rows"]), state["summary"]]
        )


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>"


def _store(history: EtcdHistory) -> str:
    """Return how far etcd is, and what it remembers."""
    if history.compacted:
        said = gettext("etcd is at revision {revision} and remembers from revision {compacted} on: {count} keys.")
    else:
        said = gettext("etcd is at revision {revision} and remembers every revision: {count} keys.")
    return said.format(revision=history.revision, compacted=history.compacted, count=len(history))


def _count(number: int, *, filtered: bool) -> str:
    """Return how many keys there are, and whether all of them are listed."""
    if filtered:
        said = ngettext("{number} key has these words", "{number} keys have these words", number)
    else:
        said = ngettext("{number} key", "{number} keys", number)
    said = said.format(number=number)
    more = gettext("{keys}; the first {most} are listed")
    return more.format(keys=said, most=_MOST_KEYS) if number > _MOST_KEYS else said


def _chosen(choice: Choice, message: Mapping[str, Any]) -> Choice:
    """Return the choice that a message of a page makes; what is no choice changes nothing."""
    texts = {name: message[name] for name in ("filter", "key", "echo") if isinstance(message.get(name), str)}
    new = replace(choice, **{name: text[:_LONGEST_WORDS] for name, text in texts.items()})
    if new.key != choice.key:
        new = replace(new, at=None, against=None)
    for name in ("at", "against"):
        number = message.get(name, "")
        if number is None or type(number) is int:
            new = replace(new, at=number) if name == "at" else replace(new, against=number)
    return new


def _known(history: EtcdHistory, choice: Choice) -> str:
    """Return the chosen key, or the first that there is."""
    if history.of(choice.key):
        return choice.key
    return next(iter(history.keys(choice.filter)), "")


def _place(history: EtcdHistory, choice: Choice) -> tuple[str, int] | None:
    """Return the key and the revision that are shown."""
    key = _known(history, choice)
    versions = history.of(key)
    return (key, versions[_at(versions, choice.at)].revision) if versions else None


def _at(versions: Sequence[Revision], revision: int | None) -> int:
    """Return the place of the version that was there at a revision: the oldest that is known at the least."""
    if revision is None:
        return len(versions) - 1
    return max(0, sum(each.revision <= revision for each in versions) - 1)


def _key(history: EtcdHistory, choice: Choice) -> dict[str, Any]:
    """Return what there is to see of the chosen key."""
    key = _known(history, choice)
    versions = history.of(key)
    if not versions:
        summary = gettext("No key has these words.") if choice.filter else gettext("There is no key yet.")
        empty = {"versions": [], "at": 0, "against": None, "note": "", "changes": [], "value": ""}
        return {"key": "", "summary": summary, **empty}
    at = _at(versions, choice.at)
    against = max(0, at - 1) if choice.against is None else _at(versions, choice.against)
    version, before = versions[at], versions[against]
    note, rows = _difference(before, version)
    return {
        "key": key,
        "versions": [[each.revision, gettext(each.what)] for each in versions],
        "at": at,
        "against": None if choice.against is None else against,
        "summary": gettext("{key} at revision {revision}: {what}, {place} of {count} that etcd remembers").format(
            key=short(key), revision=version.revision, what=gettext(version.what), place=at + 1, count=len(versions)
        ),
        "note": note,
        "changes": rows,
        "value": "" if version.removed else revisions.value_text(version.value),
    }


def _difference(before: Revision, version: Revision) -> tuple[str, list[list[str | None]]]:
    """Return in a line how two versions of a key differ, and each field that does."""
    if version.removed:
        return gettext("This revision removed the key: there is no value. Move the slider to see what was there."), []
    if before.revision == version.revision:
        first = (
            gettext("It was created here: all of it is new.")
            if version.what == "created"
            else gettext("Nothing older is known.")
        )
        return first, []
    if before.removed:
        return gettext("At revision {revision} the key was not there: all of it is new.").format(
            revision=before.revision
        ), []
    rows = change_rows(changes(before.value or {}, version.value or {}))
    differ = ngettext(
        "{number} field differs between revision {before} and {after}.",
        "{number} fields differ between revision {before} and {after}.",
        len(rows),
    )
    return differ.format(number=len(rows), before=before.revision, after=version.revision), rows
