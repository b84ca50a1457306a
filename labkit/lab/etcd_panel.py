"""What etcd's panel shows of a lab: what etcd remembered when the panel began, and all that it was told since."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from labkit.cluster.readiness import require_running
from labkit.errors import LabkitError
from labkit.evidence.etcd import REGISTRY, EtcdWatch
from labkit.evidence.etcd_history import EtcdHistory
from labkit.evidence.redaction import redacted_revision
from labkit.language import gettext

if TYPE_CHECKING:
    from labkit.lab.lab import Lab

_ASK_SECONDS = 60.0  # between two questions how far back etcd remembers
# Kubelets renew their leases every 10 s, three of them in a usual lab: silence may be etcd's, and so it is asked.
_SILENT_SECONDS = 12.0
_PAST_SECONDS = 5.0  # that the first look has for what is past
_POLL_SECONDS = 0.01


class LiveEtcd:
    """etcd of a lab, followed for the panel.

    Parameters
    ----------
    lab : Lab
        Whose.

    Attributes
    ----------
    history : EtcdHistory
        What etcd remembers.
    """

    def __init__(self, lab: Lab) -> None:
        self._cluster, self._store = lab.cluster, lab.etcd.store
        self.title = gettext("lab {name!r}").format(name=lab.name)
        self.history = EtcdHistory()
        self._watch: EtcdWatch | None = None
        self._heard = self._asked = 0.0

    def look(self) -> str:
        """Take in what is new, and return why not all is known; that is no error."""
        try:
            return self._follow()
        except (LabkitError, OSError) as error:  # also of a lab that is removed right now
            return str(error)

    def close(self) -> None:
        """End the watch."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def _follow(self) -> str:
        watch = self._watch or self._begin()
        if new := watch.read():
            self.history.take(map(redacted_revision, new))
            self._heard = time.monotonic()
        if watch.failure:
            require_running(self._cluster)  # a lab that is gone says why, and etcdctl's end does not
            return gettext("etcd cannot be read: {failure}").format(failure=watch.failure)
        lost = watch.take_losses()
        if lost or self._is_another():
            self.close()  # the next look begins anew
        return ""

    def _begin(self) -> EtcdWatch:
        """Read what etcd had at its last compaction, and follow all that came after."""
        compacted = self._store.status().compacted
        base = self._store.values(REGISTRY, compacted) if compacted else []
        self.history = EtcdHistory(base, compacted)
        self._watch = watch = self._store.follow(compacted + 1)
        began = time.monotonic()
        while not watch.at_end and time.monotonic() - began < _PAST_SECONDS:
            self.history.take(map(redacted_revision, watch.read()))
            time.sleep(_POLL_SECONDS)
        self._heard = self._asked = time.monotonic()
        return watch

    def _is_another(self) -> bool:
        """Ask from time to time how far back etcd remembers, and whether it is another one: the lab was made anew."""
        now = time.monotonic()
        silent = now - self._heard > _SILENT_SECONDS
        if now - self._asked < (_SILENT_SECONDS if silent else _ASK_SECONDS):
            return False
        status = self._store.status()
        self._asked = now
        self.history.forget(status)
        return status.revision < self.history.revision
