"""Keeping what a lab's components leave: a recording, made while things happen."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from labkit.cluster.protocol import Cluster
from labkit.errors import EvidenceError
from labkit.evidence.collect import checked, gathered
from labkit.evidence.live import LiveEvidence
from labkit.evidence.model import Evidence
from labkit.evidence.proxy import kept
from labkit.evidence.recording import SUFFIX, Mark, save
from labkit.language import gettext
from labkit.proxy import seen

_POLL_SECONDS = 0.2
#: Components export their spans in batches, half a second apart; so much later what was done has left all it will.
_LATE_SECONDS = 2.0


class Recorder:
    """Records from the `with` block's begin to its end, whatever ends it; then the file is complete.

    Of kube-proxy it has the rules as they are at the end, and what others saw meanwhile: switches with the rules before
    and after, packets that were followed.

    Parameters
    ----------
    cluster : Cluster
        Whose components.
    path : Path or str
        The file, ``.labtrace``.
    title : str
        What it is about, for people.

    Raises
    ------
    EvidenceError
        The file cannot be written; said at the begin, before anything is lost.
    """

    def __init__(self, cluster: Cluster, path: Path | str, title: str = "") -> None:
        self.path = Path(path)
        self.title = title or self.path.name.removesuffix(SUFFIX)
        self._cluster = cluster
        self._marks: list[Mark] = []
        self._parts: list[Evidence] = []
        self._until: datetime | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="recorder", daemon=True)
        if not self.path.parent.is_dir():
            raise EvidenceError(
                gettext("The recording {path} cannot be written.").format(path=self.path),
                why=gettext("There is no folder {parent}.").format(parent=self.path.parent),
                fix=gettext("Choose a folder that exists."),
            )

    def __enter__(self) -> Self:
        self._live = LiveEvidence.from_now(self._cluster)
        self._began = datetime.now(UTC)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._until = datetime.now(UTC)
        self._ended.set()
        self._thread.join()
        self._live.close()
        if self._cluster.reaches_nodes:
            seen.look(self._cluster)
        self.save()

    def mark(self, what: str) -> None:
        """Note what is done now, for whoever looks at the recording."""
        self._marks.append(Mark(datetime.now(UTC), what))

    def save(self, path: Path | str | None = None) -> Path:
        """Write the file, as the block's end does; again, where it could not: what was recorded is not lost by that.

        Parameters
        ----------
        path : Path or str, optional
            Another file than was said at first.

        Raises
        ------
        EvidenceError
            The file cannot be written: the disk is full, for one.
        """
        self.path = Path(path or self.path)
        return save(self.evidence(), self.path, title=self.title, marks=self._marks, recorded=self._began)

    def evidence(self) -> Evidence:
        """Return what was recorded so far."""
        until = self._until or datetime.now(UTC) - timedelta(seconds=_LATE_SECONDS)
        found = gathered(self._live.facts, list(self._parts))
        if self._cluster.span_folder is not None:
            found = checked(found, self._began, until)
        return replace(found, proxy=kept(self._cluster.proxy_folder, self._began))

    def _follow(self) -> None:
        ended: float | None = None
        while True:
            part = self._live.poll()
            if any((part.audit, part.spans, part.revisions, part.scheduler, part.runtime, part.changes, part.losses)):
                self._parts.append(part)
            if self._ended.is_set():
                ended = ended or time.monotonic()
                if self._live.at_end and time.monotonic() - ended > _LATE_SECONDS:
                    return
            time.sleep(_POLL_SECONDS)
