"""What is told of static pods: where they come from, and what an edit or a deletion did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar
from uuid import uuid4

from labkit.lab.installation.kubelet_trouble import Trouble
from labkit.language import gettext, gettext_noop
from labkit.proxy.table import Table


@dataclass(frozen=True, slots=True)
class StaticPod:
    """A static pod.

    Attributes
    ----------
    name, node : str
        ``"kube-scheduler"``, and where it runs.
    manifest : str
        The file on the node.
    mode : int
        The file's permissions.
    age : int
        How long ago it was written, in seconds.
    pid : int
        Its process's, as the node numbers it; 0 where none runs.
    process_age : int
        For how long the process runs, in seconds.
    mirror, uid, hash : str
        Its mirror in the API: name, uid, and the manifest's hash; empty where the API has none.
    """

    name: str
    node: str
    manifest: str
    mode: int
    age: int
    pid: int
    process_age: int
    mirror: str
    uid: str
    hash: str

    def to_json(self) -> dict[str, Any]:
        """Return plain objects for `json.dumps`: the mode as in chmod(1)."""
        return {**asdict(self), "mode": f"{self.mode:04o}"}


@dataclass(frozen=True, slots=True, repr=False)
class StaticPods(Table):
    """All static pods of a node.

    Attributes
    ----------
    found : tuple of StaticPod
        By name.
    """

    found: tuple[StaticPod, ...]

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("manifest"),
        gettext_noop("mode"),
        gettext_noop("process"),
        gettext_noop("runs for"),
        gettext_noop("mirror pod"),
        "uid",
        gettext_noop("manifest's hash"),
    )

    def caption(self) -> str:
        """Return what it is, in a line."""
        return gettext("{found} static pods: the kubelet starts them from files, and mirrors them to the API").format(
            found=len(self.found)
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per static pod."""
        return [
            (
                each.manifest,
                f"{each.mode:04o}",
                f"pid {each.pid}" if each.pid else gettext("none"),
                f"{each.process_age} s" if each.pid else "",
                each.mirror or gettext("none"),
                each.uid,
                each.hash,
            )
            for each in self.found
        ]

    def to_svg(self) -> str:
        """Return a picture: manifest, kubelet, process, mirror pod."""
        from labkit.views import static_pods, svg  # noqa: PLC0415 - few look at it

        items = [
            static_pods.Item(
                each.name,
                each.manifest.rpartition("/")[2],
                gettext("pid {pid}, for {seconds} s").format(pid=each.pid, seconds=each.process_age)
                if each.pid
                else gettext("no process"),
                each.mirror or gettext("no mirror"),
                f"uid {each.uid[:8]}" if each.uid else "",
                bool(each.pid),
            )
            for each in self.found
        ]
        return svg.write(static_pods.scene(self.found[0].node, items), f"labkit-static-{uuid4().hex[:8]}")

    def _repr_html_(self) -> str:
        table = Table._repr_html_(self)
        heading = gettext("The same as a table")
        return f"{self.to_svg()}<details><summary>{heading}</summary>{table}</details>"


@dataclass(frozen=True, slots=True)
class Moment:
    """What was seen, and how many seconds after the beginning."""

    seconds: float
    what: str


@dataclass(frozen=True, slots=True, repr=False)
class Restart(Table):
    """What an edit of a manifest did.

    Attributes
    ----------
    name : str
        The static pod's.
    pids : tuple of int
        Of its process before and after; 0 where none ran.
    moments : tuple of Moment
        In order.
    logged : tuple of str
        What the kubelet logged of it meanwhile.
    trouble : Trouble or None
        Why the kubelet did not do what the file says.
    """

    name: str
    pids: tuple[int, int]
    moments: tuple[Moment, ...]
    logged: tuple[str, ...]
    trouble: Trouble | None

    TITLES: ClassVar[Sequence[str]] = (gettext_noop("after"), gettext_noop("what"))

    def caption(self) -> str:
        """Return what it is, in a line."""
        before, after = self.pids
        return gettext("{name}: process {before} before, {after} after").format(
            name=self.name, before=before or gettext("none"), after=after or gettext("none")
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per moment; then the kubelet's trouble, and what it logged."""
        found: list[Sequence[str]] = [(f"{each.seconds:.1f} s", each.what) for each in self.moments]
        if self.trouble:
            found += [
                (gettext("said"), self.trouble.said),
                (gettext("cause"), self.trouble.cause),
                (gettext("cure"), self.trouble.cure),
            ]
        return found


@dataclass(frozen=True, slots=True, repr=False)
class Undeleted(Table):
    """What `kubectl delete pod` did to a static pod: its mirror is another one, its process the same.

    Attributes
    ----------
    printed : str
        What kubectl said.
    seconds : float
        Until the API had a mirror again.
    uids, hashes : tuple of str
        Of the mirror, and of the manifest that it names: before and after.
    pids : tuple of int
        Of the process, before and after.
    """

    printed: str
    seconds: float
    uids: tuple[str, str]
    hashes: tuple[str, str]
    pids: tuple[int, int]

    TITLES: ClassVar[Sequence[str]] = (gettext_noop("of the static pod"), gettext_noop("before"), gettext_noop("after"))

    def caption(self) -> str:
        """Return what it is, in a line."""
        return gettext("kubectl said: {printed} After {seconds:.1f} s there was a mirror pod again").format(
            printed=self.printed, seconds=self.seconds
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per property."""
        return [
            (gettext("uid of the mirror pod"), *self.uids),
            (gettext("hash of its manifest"), *self.hashes),
            (gettext("process"), *(str(pid) for pid in self.pids)),
        ]
