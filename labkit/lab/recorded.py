"""A recording in place of a cluster: what happened can be looked at again, and nothing can be done."""

from __future__ import annotations

import html
from pathlib import Path

from labkit.errors import ClusterError, UsageError
from labkit.evidence.model import Evidence
from labkit.evidence.recording import SUFFIX, Recording, load
from labkit.lab.happenings import Happenings
from labkit.lab.lessons import shipped
from labkit.lab.recorded_proxy import RecordedProxy
from labkit.language import gettext

#: What is shown where a machine can run no cluster.
DEFAULT = "deploy-tomcat"


class Replay(Happenings):
    """A recording, asked as a lab is.

    Parameters
    ----------
    recording : Recording
        As loaded.
    path : Path
        Where from.
    """

    provider = "replay"

    def __init__(self, recording: Recording, path: Path) -> None:
        self.recording = recording
        self.recorded = recording.recorded
        self.path = path

    def __repr__(self) -> str:
        return f"<Replay of {self.path.name}: {self.banner}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(f'{action.time:%H:%M:%S}')}</td><td>{html.escape(action.what)}</td></tr>"
            for action in self.actions()
        )
        recorded, when, done = gettext("Recorded."), gettext("when (UTC)"), gettext("what was done")
        return (
            f"<p><strong>{recorded}</strong> {html.escape(self.banner)}</p>"
            f"<table><thead><tr><th>{when}</th><th>{done}</th></tr></thead><tbody>{rows}</tbody></table>"
        )

    @property
    def banner(self) -> str:
        """What is plainly said wherever the recording is shown."""
        recording = self.recording
        when = gettext("{time:%Y-%m-%d %H:%M} UTC").format(time=recording.recorded)
        return gettext(
            "{title}: a recording of {when} from a real cluster (Kubernetes {version}, {provider}); nothing runs here"
        ).format(title=recording.title, when=when, version=recording.kubernetes_version, provider=recording.provider)

    def evidence(self) -> Evidence:
        """Return what the recorded components left."""
        return self.recording.evidence

    @property
    def proxy(self) -> RecordedProxy:
        """kube-proxy as it was recorded: its mode, its rules, the packets that were followed."""
        return RecordedProxy(self.recording.evidence, self.path, self.banner)

    def __getattr__(self, name: str) -> object:
        """Say of what only a running lab has why it is not there."""
        from labkit.lab.lab import Lab  # noqa: PLC0415 - a lab takes long to import, and this is an error

        if not name.startswith("_") and hasattr(Lab, name):
            raise ClusterError(
                gettext("A recording has no {name!r}").format(name=name),
                why=gettext("{file} was recorded; no cluster runs").format(file=self.path.name),
                fix=gettext("labkit doctor tells what this machine lacks for one"),
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def replay(source: Path | str = DEFAULT) -> Replay:
    """Open a recording.

    Parameters
    ----------
    source : Path or str
        A file, or the name of one that comes with labkit.

    Raises
    ------
    UsageError
        There is neither such a file nor such a name.
    EvidenceError
        The file is damaged, no recording, or made by a newer labkit.
    """
    known = shipped()
    path = known.get(str(source)) or Path(source)
    if not path.exists() and not path.name.endswith(SUFFIX):
        raise UsageError(
            gettext("There is no recording {name!r}").format(name=str(source)),
            why=gettext("it is no file, and labkit comes with {names}").format(names=", ".join(known)),
            fix=gettext("name one of these, or a file that `labkit record` wrote"),
        )
    return Replay(load(path), path)
