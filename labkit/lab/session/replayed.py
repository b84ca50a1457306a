"""A session in place of a lab: what a notebook asks is answered as the lab answered when it was recorded."""

from __future__ import annotations

import functools
import html
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from labkit import kernel
from labkit.errors import LabkitError, UsageError
from labkit.evidence.model import Evidence
from labkit.lab.happenings import Explanation, Happenings
from labkit.lab.lessons import sessions
from labkit.lab.session import calls, web
from labkit.lab.session.tape import Name, Session, load
from labkit.language import gettext

if TYPE_CHECKING:
    from labkit.flow import Flow
    from labkit.flow.actions import ActionKind
    from labkit.lab.lab import Lab

_COLUMNS = 100


class Replayed:
    """Stands for something of a recorded lab that is no value, and answers as it did.

    Parameters
    ----------
    session : Session
        Has the answers.
    name : str
        How it is written: ``"nodes['master']"``; empty for the lab itself.
    """

    def __init__(self, session: Session, name: str) -> None:
        self._session, self._name = session, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # IPython asks for many ways to be shown
            raise AttributeError(name)
        call = calls.attribute(self._name, name)
        if not self._session.has(call) and self._session.is_method(call):
            return functools.partial(self._call, call)
        return self._answer(call)

    def __enter__(self) -> Any:
        return self._answer(calls.attribute(self._name, "__enter__()"))

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        if kind is None:
            self._answer(calls.attribute(self._name, "__exit__()"))

    def __len__(self) -> int:
        return int(self._answer(calls.attribute(self._name, "__len__()")))

    def __getitem__(self, key: object) -> Any:
        return self._answer(f"{self._name}[{key!r}]")

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        call = calls.attribute(self._name, "__repr__()")
        return str(self._answer(call)) if self._session.has(call) else f"<{self._name}, recorded>"

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it at hand

        display({"text/plain": self._said, "text/html": _marked(self._said)}, raw=True)  # type: ignore[no-untyped-call]
        for shown in self._answer(calls.attribute(self._name, calls.SHOWN)):
            display(shown, raw=True)  # type: ignore[no-untyped-call]

    @property
    def _said(self) -> str:
        return gettext("This is as it was on {time:%Y-%m-%d}. It does not change, and has no buttons.").format(
            time=self._session.about.recorded
        )

    def _call(self, call: str, *arguments: Any, **options: Any) -> Any:
        return self._answer(calls.called(call, arguments, options))

    def _answer(self, call: str) -> Any:
        value = self._session.answer(call)
        return Replayed(self._session, value) if isinstance(value, Name) else value


class ReplayedLab(Replayed):
    """A recorded session, used as a `labkit.lab.Lab` is; no process is started and nobody is called.

    Parameters
    ----------
    session : Session
        As loaded.
    """

    provider = "replay"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "")
        web.install(web.Giving(session))

    def __getattr__(self, name: str) -> Any:
        from labkit.lab.lab import Lab  # noqa: PLC0415 - a lab knows nothing of sessions, and they little of it

        if not hasattr(Lab, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return super().__getattr__(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        """Do nothing: there is nothing to take down."""

    def __repr__(self) -> str:
        return f"<Recorded lab: {self.banner}>"

    @property
    def recorded(self) -> datetime:
        """When, UTC."""
        return self._session.about.recorded

    @property
    def banner(self) -> str:
        """What is plainly said of it."""
        about = self._session.about
        return gettext(
            "notebook {notebook} as it ran on {time:%Y-%m-%d %H:%M} UTC on a real cluster (Kubernetes {version}, "
            "{provider}). Nothing runs here: what was asked then is answered as it was then, and what was not asked "
            "has no answer"
        ).format(
            notebook=about.notebook, time=about.recorded, version=about.kubernetes_version, provider=about.provider
        )

    def down(self) -> None:
        """Do nothing: there is nothing to take down."""

    def kubectl(self, arguments: str | Sequence[str], *, stdin: str = "") -> Any:
        """Return what the command printed when it was recorded."""
        return self._answer(calls.kubectl(arguments, stdin))

    def open(self, target: str, *, port: int | None = None, local_port: int = 0) -> str:  # noqa: ARG002 - as a lab's
        """Return an address under which `urllib.request` finds the Service's recorded pages."""
        return str(self._answer(calls.called("open", (target,), {"port": port} if port else {})))

    def explain(self, subject: str, namespace: str = "default", *, action: int | ActionKind = -1) -> Explanation:
        """Explain an action from the evidence that there was when the same was asked."""
        evidence = self._answer(calls.called("explain", (subject, namespace), {"action": action}))
        return _Left(evidence, self.recorded).explain(subject, namespace, action=action)

    def flow(self, subject: str, namespace: str = "default", *, action: int | ActionKind = -1) -> Flow:
        """Return a flow, as `explain` has it."""
        return self.explain(subject, namespace, action=action).flow

    @contextmanager
    def record(self, path: Path | str, title: str = "") -> Iterator[_Marks]:
        """Write the recording that was made then."""
        yield _Marks()
        Path(path).write_bytes(self._answer(calls.called("record", (str(path), title), {})))

    def whole(self, function: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Return what an experiment found out, see `labkit.lab.session.experiments`."""
        return self._answer(calls.called(function.__name__, arguments, options))


class _Marks:
    """In place of a recorder: the recording has its marks already."""

    def mark(self, what: str) -> None:
        """Do nothing."""


class _Left(Happenings):
    """Evidence that was left, asked as a lab is.

    Parameters
    ----------
    evidence : Evidence
        Of a session.
    recorded : datetime.datetime
        When.
    """

    def __init__(self, evidence: Evidence, recorded: datetime) -> None:
        self._evidence, self.recorded = evidence, recorded

    def evidence(self) -> Evidence:
        """Return it."""
        return self._evidence


def replayed(notebook: str | None) -> ReplayedLab:
    """Return the session of a notebook that comes with labkit.

    Parameters
    ----------
    notebook : str or None
        Its name without ``.ipynb``; None for the one that runs in this kernel.

    Raises
    ------
    UsageError
        There is none, or nobody knows which notebook this is.
    EvidenceError
        Its file is damaged.
    """
    known = sessions()
    name = notebook or running_notebook()
    if name not in known:
        raise UsageError(
            gettext("There is no recorded session of notebook {name!r}").format(name=name)
            if name
            else gettext("Which notebook's recorded session?"),
            why=gettext("labkit comes with those of {names}").format(names=", ".join(known) or gettext("none")),
            fix=gettext("name one of them: {call}").format(call='labkit.up("00_start_here", provider="replay")'),
        )
    return ReplayedLab(load(known[name]))


def instead(notebook: str | None, *, why: LabkitError | None = None) -> Lab:
    """Return the session of a notebook in place of a lab, and say so.

    Parameters
    ----------
    notebook : str or None
        As for `replayed`.
    why : LabkitError, optional
        What keeps this machine from running a lab.

    Raises
    ------
    UsageError, EvidenceError
        As `replayed` does.
    """
    lab = replayed(notebook)
    if why:
        print(gettext("No lab can run on this machine.\n{why}\n").format(why=why))
    print(textwrap.fill(gettext("Recorded: {banner}.").format(banner=lab.banner), _COLUMNS))
    return cast("Lab", lab)  # it has no class of a lab, and answers as one


def running_notebook() -> str | None:
    """Return the name of the notebook whose kernel this is, None where nobody tells."""
    path = kernel.notebook()
    return path.stem if path else None


def _marked(text: str) -> str:
    recorded = gettext("Recorded.")
    return f"<p><strong>{recorded}</strong> {html.escape(text)}</p>"
