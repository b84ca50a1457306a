"""What an API server's watches told of objects, followed: the log of labkit.cluster.watcher, one JSON object a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from labkit.evidence.model import Change, Loss
from labkit.evidence.tail import Tail
from labkit.language import gettext


def parse(line: bytes, number: int) -> Change | Loss:
    """Read one line.

    Raises
    ------
    ValueError
        It is none.
    """
    raw: Any = orjson.loads(line)
    try:
        if raw["kind"] == "LOST":
            return Loss(
                "watch",
                gettext("{resource} could not be followed for a while").format(resource=raw["resource"]),
                raw["why"],
            )
        time = datetime.fromisoformat(raw["time"]).astimezone(UTC)
        raw["object"]["metadata"]["uid"]
        return Change(number, time, raw["kind"], raw["resource"], raw["object"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a change without {error}") from error


class WatchTail:
    """The changes of a cluster's objects, in the order in which they were told.

    Parameters
    ----------
    path : Path or None
        The file that is written; None for a cluster that nobody watches.
    since : datetime or None
        Of what was told before, the objects as they then were are given as ``LISTED``, and nothing else; None takes
        all.
    """

    def __init__(self, path: Path | None, since: datetime | None = None) -> None:
        self._path = path
        self._tail = Tail(self._files)
        self._since = since
        self._before: dict[str, Change] = {}
        self._number = 0
        self._unreadable = 0
        self._losses: list[Loss] = []

    @property
    def at_end(self) -> bool:
        """Whether the last read came to the end of the log."""
        return self._path is None or self._tail.at_end

    def read(self) -> list[Change]:
        """Return what was added since the last call; objects that were there before come when all of them are known."""
        found: list[Change] = []
        for line in self._tail.read():
            self._number += 1
            try:
                item = parse(line, self._number)
            except ValueError:
                self._unreadable += 1
                continue
            if isinstance(item, Loss):
                self._losses.append(item)
            elif self._since is not None and item.time < self._since:
                self._remember(item)
            else:
                found.append(item)
        if self._before and self.at_end:
            found = [*self._before.values(), *found]
            self._before = {}
        return found

    def take_losses(self) -> list[Loss]:
        """Return what was lost since the last call."""
        losses, self._losses = self._losses, []
        if self._unreadable:
            losses.append(
                Loss(
                    "watch",
                    gettext("{count} lines are no changes").format(count=self._unreadable),
                    gettext("in {file}").format(file=self._path),
                )
            )
            self._unreadable = 0
        return losses

    def close(self) -> None:
        """Close the file."""
        self._tail.close()

    def _remember(self, change: Change) -> None:
        uid = change.object["metadata"]["uid"]
        if change.kind == "DELETED" or change.resource == "events":
            self._before.pop(uid, None)
        else:
            self._before[uid] = replace(change, kind="LISTED")

    def _files(self) -> Sequence[Path]:
        if self._path is None:
            return []
        older = self._path.with_name(f"{self._path.stem}-1{self._path.suffix}")
        return [path for path in (older, self._path) if path.exists()]
