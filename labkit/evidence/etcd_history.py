"""What etcd remembers, key by key: each key's versions since the last compaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labkit.evidence.etcd_store import EtcdStatus, StoredKey
from labkit.evidence.model import Revision


def as_revision(stored: StoredKey) -> Revision:
    """Return a key as the revision that wrote it last."""
    return Revision(stored.revision, stored.key, stored.value, created=stored.created)


class EtcdHistory:
    """The versions of keys, as revisions of etcd made them.

    Parameters
    ----------
    base : iterable of StoredKey
        The keys as of the compaction.
    compacted : int
        Its revision; 0 where there was none.
    """

    def __init__(self, base: Iterable[StoredKey] = (), compacted: int = 0) -> None:
        self._versions = {stored.key: [as_revision(stored)] for stored in base}
        self.compacted = compacted
        self.revision = compacted

    def take(self, revisions: Iterable[Revision]) -> None:
        """Take in what happened next, in order."""
        for revision in revisions:
            self._versions.setdefault(revision.key, []).append(revision)
            self.revision = max(self.revision, revision.revision)

    def forget(self, status: EtcdStatus) -> None:
        """Forget what etcd has forgotten: of what was before its compaction, it keeps each key's last version."""
        self.revision = max(self.revision, status.revision)
        if status.compacted <= self.compacted:
            return
        self.compacted = status.compacted
        for key, versions in list(self._versions.items()):
            old = [each for each in versions if each.revision <= self.compacted]
            kept = [each for each in old[-1:] if not each.removed] + versions[len(old) :]
            if kept:
                self._versions[key] = kept
            else:
                del self._versions[key]

    def __len__(self) -> int:
        """Return how many keys have a version."""
        return len(self._versions)

    def keys(self, words: str = "") -> list[str]:
        """Return every key that has a version, also those that were removed since, in order.

        Parameters
        ----------
        words : str
            As `matches` takes them.
        """
        return sorted(key for key in self._versions if matches(key, words))

    def of(self, key: str) -> Sequence[Revision]:
        """Return a key's versions, the oldest first; none where it is not known."""
        return tuple(self._versions.get(key, ()))

    def now(self, key: str) -> Revision:
        """Return a key's newest version.

        Raises
        ------
        KeyError
            It has none.
        """
        return self._versions[key][-1]


def matches(key: str, words: str) -> bool:
    """Whether a key has all words in it, and none of those that have ``-`` before them: ``"tomcat -events"``."""
    lower = key.lower()
    for word in words.lower().split():
        unwanted = word.removeprefix("-")
        found = unwanted in lower
        if unwanted and found is word.startswith("-"):  # a hyphen alone is a word that is still being typed
            return False
    return True
