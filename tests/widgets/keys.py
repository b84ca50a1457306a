"""Keys of a real etcd, as a recording has them, for the panel where no lab runs; and some that nobody would write."""

from __future__ import annotations

from labkit.evidence.etcd_history import EtcdHistory
from labkit.evidence.model import Revision
from labkit.evidence.redaction import redacted_revision
from labkit.lab.recorded import DEFAULT, replay
from labkit.widgets.etcd import EtcdPanel

HOSTILE = "/registry/configmaps/default/<img src=x onerror=alert(1)>"
TOMCAT = "/registry/deployments/default/tomcat"


class Remembered:
    """etcd as it was when a Tomcat was deployed."""

    def __init__(self) -> None:
        self.title = "a recording"
        self.history = EtcdHistory()
        self.history.take(map(redacted_revision, replay(DEFAULT).evidence().revisions))
        self.trouble = ""
        self.open = True

    def look(self) -> str:
        self.open = True
        return self.trouble

    def close(self) -> None:
        self.open = False

    def write(self, key: str, *values: dict[str, object] | None) -> None:
        """Write values to a key, one revision each; None removes it."""
        for value in values:
            number = self.history.revision + 1
            first = self.history.of(key)[0].revision if self.history.of(key) else number
            created = 0 if value is None else first
            self.history.take([Revision(number, key, value, removed=value is None, created=created)])


def panel(words: str = "tomcat -events") -> EtcdPanel:
    """Return a panel of them, with one key whose name and value are markup."""
    source = Remembered()
    source.write(HOSTILE, {"data": {"<b>a</b>": "</pre><script>"}}, {"data": {"<b>a</b>": "<script>alert(2)</script>"}})
    return EtcdPanel(source, filter=words)
