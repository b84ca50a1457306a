"""What `lab.etcd` gives to look at: text in a terminal, tables and a picture in a notebook."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import uuid4

from labkit.errors import UsageError
from labkit.evidence.etcd_store import StoredKey
from labkit.evidence.model import Json, Revision
from labkit.flow.changes import Change, changes
from labkit.language import gettext, gettext_noop, ngettext
from labkit.proxy.table import Table
from labkit.views import revisions as pictures
from labkit.views.revisions import short, value_text
from labkit.views.sections import change_rows

_BRIEF = 72  # letters of a value in a table
_NAMED = 3  # changes that are named in a line
_ITEM = re.compile(r"(\[[^]]*\]).*")  # an item of a list: what of it changed is told by the difference
_BOOKKEEPING = ("metadata.generation", "status.observedGeneration")


@dataclass(frozen=True, slots=True, repr=False)
class Keys(Table, Sequence[str]):
    """Keys of etcd: a sequence of their names, shown as a table.

    Attributes
    ----------
    prefix : str
        What they begin with.
    stored : tuple of StoredKey
        In order, without values.
    """

    prefix: str
    stored: tuple[StoredKey, ...]

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("key"),
        gettext_noop("created at revision"),
        gettext_noop("last changed at"),
        gettext_noop("version"),
    )

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: Any) -> Any:
        """Return the key at a place, or those of a slice."""
        names = [each.key for each in self.stored]
        return names[index]

    def caption(self) -> str:
        """Return what it is, in a line."""
        count = len(self.stored)
        return ngettext("{count} key below {prefix}", "{count} keys below {prefix}", count).format(
            count=count, prefix=self.prefix
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per key."""
        return [(short(each.key), str(each.created), str(each.revision), str(each.version)) for each in self.stored]


@dataclass(frozen=True, slots=True, repr=False)
class Value:
    """A key and its value at a revision.

    Attributes
    ----------
    stored : StoredKey
        The key.
    """

    stored: StoredKey

    @property
    def value(self) -> Json:
        """The object, empty where it is none."""
        return self.stored.value or {}

    @property
    def revision(self) -> int:
        """The revision that wrote it."""
        return self.stored.revision

    def __repr__(self) -> str:
        """Return it as text."""
        return f"{self._head()}\n\n{value_text(self.stored.value)}"

    def _repr_html_(self) -> str:
        text = html.escape(value_text(self.stored.value))
        return f"<p><strong>{html.escape(self._head())}</strong></p><pre>{text}</pre>"

    def _head(self) -> str:
        found = self.stored
        return f"{short(found.key)}: written at revision {found.revision}, version {found.version}"


@dataclass(frozen=True, slots=True, repr=False)
class Difference(Table):
    """What differs between two versions of a key.

    Attributes
    ----------
    key : str
        Which.
    before, after : int
        The revisions.
    changes : tuple of Change
        In order of paths.
    """

    key: str
    before: int
    after: int
    changes: tuple[Change, ...]

    TITLES: ClassVar[Sequence[str]] = pictures.CHANGED

    def caption(self) -> str:
        """Return what it is, in a line."""
        said = ngettext(
            "{key}: revision {before} → {after}, {count} field differs",
            "{key}: revision {before} → {after}, {count} fields differ",
            len(self.changes),
        )
        return said.format(key=short(self.key), before=self.before, after=self.after, count=len(self.changes))

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per field; empty where there was, or is, none."""
        return [tuple(map(_brief, row)) for row in change_rows(self.changes)]


@dataclass(frozen=True, slots=True, repr=False)
class History(Table, Sequence[Revision]):
    """A key's versions, the oldest first.

    Attributes
    ----------
    key : str
        Which.
    versions : tuple of Revision
        Without secrets.
    compacted : int
        What was before this revision, etcd has forgotten; 0 if nothing is.
    """

    key: str
    versions: tuple[Revision, ...]
    compacted: int = 0

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("revision"),
        gettext_noop("what"),
        gettext_noop("fields that changed"),
    )

    def __len__(self) -> int:
        return len(self.versions)

    def __getitem__(self, index: Any) -> Any:
        """Return the version at a place, or those of a slice."""
        return self.versions[index]

    def caption(self) -> str:
        """Return what it is, in a line."""
        count = len(self.versions)
        said = ngettext("{key}: {count} version", "{key}: {count} versions", count).format(
            key=short(self.key), count=count
        )
        if self.compacted:
            since = gettext("{said}; etcd was compacted at revision {revision}")
            return since.format(said=said, revision=self.compacted)
        return said

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per version."""
        return [
            (str(each.revision), pictures.told(each), _named(self.changed(each.revision))) for each in self.versions
        ]

    def at(self, revision: int) -> Revision:
        """Return the version that was there at a revision, whichever wrote it.

        Raises
        ------
        UsageError
            There was none yet, or etcd has forgotten it.
        """
        found = [each for each in self.versions if each.revision <= revision]
        if not found:
            raise UsageError(
                gettext("etcd has nothing of {key} at revision {revision}").format(
                    key=short(self.key), revision=revision
                ),
                why=gettext("its first version that is known was written at revision {revision}").format(
                    revision=self.versions[0].revision
                ),
                fix=gettext("ask for a later one"),
            )
        return found[-1]

    def changed(self, revision: int) -> tuple[Change, ...]:
        """Return what a version changed of the one before it; nothing of the first, and of one that was removed."""
        places = {each.revision: at for at, each in enumerate(self.versions)}
        at = places.get(revision, 0)
        before, after = self.versions[at - 1], self.versions[at]
        if at == 0 or before.removed or after.removed:
            return ()
        return changes(before.value or {}, after.value or {})

    def diff(self, before: int, after: int) -> Difference:
        """Return what differs between the versions at two revisions.

        Raises
        ------
        UsageError
            There was no version yet at one of them.
        """
        first, second = self.at(before), self.at(after)
        found = changes(first.value or {}, second.value or {})
        return Difference(self.key, first.revision, second.revision, found)


@dataclass(slots=True, repr=False)
class Writes(Table, Sequence[Revision]):
    """What was written in a stretch of time, in order; a notebook shows a picture and a table.

    Attributes
    ----------
    words : str
        Of the keys, as `labkit.evidence.etcd_history.matches` takes them.
    revisions : tuple of Revision
        Without secrets; none before the end of the stretch.
    """

    words: str
    revisions: tuple[Revision, ...] = ()

    TITLES: ClassVar[Sequence[str]] = pictures.HEADINGS

    def __len__(self) -> int:
        return len(self.revisions)

    def __getitem__(self, index: Any) -> Any:
        """Return the write at a place, or those of a slice."""
        return self.revisions[index]

    def caption(self) -> str:
        """Return what it is, in a line."""
        keys = len({each.key for each in self.revisions})
        said = gettext("{writes} to {keys}").format(
            writes=ngettext("{count} write", "{count} writes", len(self.revisions)).format(count=len(self.revisions)),
            keys=ngettext("{count} key", "{count} keys", keys).format(count=keys),
        )
        return gettext("{said} with {words}").format(said=said, words=self.words) if self.words else said

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per write."""
        return list(pictures.rows(self.revisions))

    def to_svg(self) -> str:
        """Return a picture: a lane per key, a mark per revision."""
        return pictures.to_svg(self.revisions, prefix=f"labkit-etcd-{uuid4().hex[:8]}")

    def _repr_html_(self) -> str:
        return f"{self.to_svg()}<details><summary>The same as a table</summary>{Table._repr_html_(self)}</details>"


def _brief(cell: str | None) -> str:
    text = cell or ""
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 1]}…"


def _named(found: Sequence[Change]) -> str:
    """Return the first of the changed fields by name, but for the bookkeeping, and how many more there are."""
    whole = (_ITEM.sub(r"\1", change.path) for change in found if change.path not in _BOOKKEEPING)
    paths = list(dict.fromkeys(whole))
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more
