"""etcd of a lab, as one looks into it: keys, values at a revision, a key's history, what is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from labkit.errors import UsageError
from labkit.evidence.etcd_history import EtcdHistory, matches
from labkit.evidence.etcd_store import EtcdStore, full
from labkit.lab.etcd_shown import Difference, History, Keys, Value, Writes
from labkit.language import gettext

if TYPE_CHECKING:
    from labkit.lab.lab import Lab
    from labkit.widgets.etcd import EtcdPanel


class LabEtcd:
    """etcd of a lab: ``lab.etcd``. Keys may be written without ``/registry/``; secrets are shown redacted.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.store = EtcdStore(self._on_control_plane)

    def __repr__(self) -> str:
        return f"<etcd of lab {self._lab.name!r}>"

    def _ipython_display_(self) -> None:
        self.panel()._ipython_display_()

    def panel(self, filter: str = "") -> EtcdPanel:  # noqa: A002 - as the panel's field is called
        """Return the panel that a notebook shows: keys, a key's versions with a slider, and what changed.

        Parameters
        ----------
        filter : str
            Words that the keys have in them; a word with ``-`` before it must not be in them: ``"tomcat -events"``.
        """
        from labkit.lab.etcd_panel import LiveEtcd  # noqa: PLC0415 - brings the widgets, which a terminal has no use for
        from labkit.widgets.etcd import EtcdPanel  # noqa: PLC0415 - as above

        return EtcdPanel(LiveEtcd(self._lab), filter=filter)

    @property
    def revision(self) -> int:
        """The newest revision."""
        return self.store.status().revision

    @property
    def compacted(self) -> int:
        """The revision up to which etcd has forgotten what was overwritten; 0 where it has forgotten nothing."""
        return self.store.status().compacted

    def keys(self, prefix: str = "", revision: int | None = None) -> Keys:
        """Return the keys that begin with a prefix.

        Parameters
        ----------
        prefix : str
            ``"pods/default/"``; all of Kubernetes' keys by default.
        revision : int, optional
            As they were then; by default as they are.

        Raises
        ------
        UsageError
            There is no such revision, or not any more.
        ClusterError
            etcd does not answer.
        """
        return Keys(full(prefix), tuple(self.store.keys(full(prefix), revision)))

    def get(self, key: str, revision: int | None = None) -> Value:
        """Return a key with its value.

        Parameters
        ----------
        key : str
            ``"pods/default/tomcat-5c8-x7k2p"``.
        revision : int, optional
            As it was then; by default as it is.

        Raises
        ------
        UsageError
            There is no such key, or no such revision, or not any more.
        ClusterError
            etcd does not answer.
        """
        found = self.store.get(full(key), revision)
        if found is None:
            raise _no_key(key, f" at revision {revision}" if revision else "")
        return Value(found)

    def history(self, key: str) -> History:
        """Return the versions of a key that etcd still has, the oldest first.

        Raises
        ------
        UsageError
            There is no such key, and there was none since the last compaction.
        ClusterError
            etcd does not answer.
        EvidenceError
            Its revisions cannot be read.
        """
        name, compacted = full(key), self.store.status().compacted
        base = self.store.get(name, compacted) if compacted else None
        history = EtcdHistory([base] if base else [], compacted)
        history.take(each for each in self.store.since(compacted + 1) if each.key == name)
        versions = history.of(name)
        if not versions:
            raise _no_key(key)
        return History(name, tuple(versions), compacted)

    def diff(self, key: str, before: int, after: int) -> Difference:
        """Return what differs between a key's values at two revisions.

        Raises
        ------
        UsageError
            There is no such key, or there was none at one of them, or etcd has forgotten it.
        ClusterError
            etcd does not answer.
        """
        return self.history(key).diff(before, after)

    @contextmanager
    def watch(self, words: str = "") -> Iterator[Writes]:
        """Take note of what is written during a `with` block; what was written is there at its end.

        Parameters
        ----------
        words : str
            Of the keys that are told, as for `panel`; all by default.

        Raises
        ------
        ClusterError
            etcd does not answer.
        EvidenceError
            Its revisions cannot be read.
        """
        first = self.revision + 1
        writes = Writes(words)
        yield writes
        writes.revisions = tuple(each for each in self.store.since(first) if matches(each.key, words))

    def compact(self, revision: int) -> None:
        """Have etcd forget what was overwritten or removed before a revision, as the API server does every 5 minutes.

        Raises
        ------
        UsageError
            There is no such revision, or etcd was compacted there already.
        ClusterError
            etcd does not answer.
        """
        self.store.compact(revision)

    def _on_control_plane(self, argv: Sequence[str]) -> list[str]:
        cluster = self._lab.cluster
        return cluster.node_command(cluster.spec.node_names[0], argv)


def _no_key(key: str, when: str = "") -> UsageError:
    return UsageError(
        gettext("etcd has no key {key}{when}").format(key=full(key), when=when),
        why=gettext("keys are /registry/RESOURCE/NAMESPACE/NAME, and some resources have another name there"),
        fix=gettext("lab.etcd.keys() lists them; lab.etcd.history(KEY) tells when one was there"),
    )
