"""Recording a session: a lab that takes down every call that is made of it, and what it answered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from labkit.errors import LabkitError
from labkit.lab.session import calls, values, web
from labkit.lab.session.tape import About, Tape
from labkit.lab.session.values import NoValueError
from labkit.widgets.flow import LiveFlow
from labkit.widgets.slow_motion import SlowMotionPanel

if TYPE_CHECKING:
    from labkit.flow import Flow
    from labkit.flow.actions import ActionKind
    from labkit.lab.happenings import Explanation, Happenings

#: What stays of a display in a recording: what a page shows with no kernel.
_KEPT = ("text/plain", "text/html", "image/svg+xml", "image/png")


class Recorded:
    """Stands for something of a lab that is no value, and takes down what is asked of it.

    Parameters
    ----------
    target : object
        What is asked.
    name : str
        How it is written: ``"nodes['master']"``; empty for the lab itself.
    tape : Tape
        Takes it down.
    """

    def __init__(self, target: Any, name: str, tape: Tape) -> None:
        self._target, self._name, self._tape = target, name, tape
        self._entered: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # IPython asks for many ways to be shown
            raise AttributeError(name)
        call = calls.attribute(self._name, name)
        with self._failing(call):
            value = getattr(self._target, name)
        if callable(value):
            return functools.partial(self._call, value, call)
        return self._answer(call, value)

    def __enter__(self) -> Any:
        call = calls.attribute(self._name, "__enter__()")
        with self._failing(call):
            entered = self._target.__enter__()
        try:
            values.encode(entered, {})
        except NoValueError:
            return self._answer(call, entered, named=self._name)
        self._entered.append(entered)  # it may be filled until the end of the block
        return entered

    def __exit__(self, *error: object) -> None:
        call = calls.attribute(self._name, "__exit__()")
        with self._failing(call):
            self._target.__exit__(*error)
        while self._entered:
            self._tape.keep(calls.attribute(self._name, "__enter__()"), self._entered.pop())
        self._tape.keep(call, None)

    def __len__(self) -> int:
        return int(self._answer(calls.attribute(self._name, "__len__()"), len(self._target)))

    def __getitem__(self, key: object) -> Any:
        call = f"{self._name}[{key!r}]"
        with self._failing(call):
            value = self._target[key]
        name = getattr(value, "name", None)
        if not isinstance(name, str):
            return self._answer(call, value)
        named = f"{self._name}[{name!r}]"  # a node is the same by its place and by its name
        for each in {call, named}:
            self._tape.keep_object(each, named)
        return Recorded(value, named, self._tape)

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        return str(self._answer(calls.attribute(self._name, "__repr__()"), repr(self._target)))

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it at hand
        from IPython.utils.capture import capture_output  # noqa: PLC0415 - as above

        panel = getattr(self._target, "panel", None)
        shown = panel() if callable(panel) else self._target
        with capture_output(stdout=False, stderr=False) as captured:
            display(shown)  # type: ignore[no-untyped-call]
        call, still = calls.attribute(self._name, calls.SHOWN), _still(shown)
        if still:
            self._tape.keep_late(call, still)
        else:
            self._tape.keep(call, [_kept(output.data) for output in captured.outputs])
        captured.show()  # type: ignore[no-untyped-call]

    def _call(self, function: Callable[..., Any], call: str, *arguments: Any, **options: Any) -> Any:
        said = calls.called(call, arguments, options)
        with self._failing(said):
            value = function(*arguments, **options)
        return self._answer(said, value)

    def _answer(self, call: str, value: Any, *, named: str = "") -> Any:
        """Take a value down and return it; stand for what is none, by the call or by a name of its own."""
        try:
            self._tape.keep(call, value)
        except NoValueError:
            self._tape.keep_object(call, named or call)
            return Recorded(value, named or call, self._tape)
        return value

    @contextmanager
    def _failing(self, call: str) -> Iterator[None]:
        try:
            yield
        except LabkitError as error:
            self._tape.keep_error(call, error)
            raise


def _kept(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stays of an output in a recording."""
    return {kind: data[kind] for kind in _KEPT if kind in data}


def _still(shown: Any) -> Callable[[], list[dict[str, Any]]] | None:
    """Return what gives a panel's still as it is by then; None for what does not change once it is shown."""
    if hasattr(shown, "still_html"):
        return lambda: [{"text/plain": shown.still_text(), "text/html": shown.still_html()}]
    if isinstance(shown, LiveFlow):
        return lambda: [_kept(shown.panel._repr_mimebundle_()[0])]
    if isinstance(shown, SlowMotionPanel):
        return lambda: [_kept(shown.live.panel._repr_mimebundle_()[0])]
    return None


class RecordedLab(Recorded):
    """A lab whose calls are taken down; `save` writes the session.

    Parameters
    ----------
    lab : Lab
        What is asked.
    about : About
        What the session is.
    """

    def __init__(self, lab: Happenings, about: About) -> None:
        super().__init__(lab, "", Tape())
        self._about = about
        self._web = web.Keeping(self._tape)
        web.install(self._web)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.down()

    def down(self) -> None:
        """Remove the lab, once panels that follow it have been looked at."""
        self._tape.end()
        self._target.down()

    def kubectl(self, arguments: str | Sequence[str], *, stdin: str = "") -> Any:
        """Run kubectl, see `labkit.lab.Lab.kubectl`."""
        call = calls.kubectl(arguments, stdin)
        with self._failing(call):
            printed = self._target.kubectl(arguments, stdin=stdin)
        return self._answer(call, printed)

    def open(self, target: str, *, port: int | None = None, local_port: int = 0) -> str:
        """Make a Service reachable, see `labkit.lab.Lab.open`; what urllib fetches of it is taken down."""
        call = calls.called("open", (target,), {"port": port} if port else {})
        with self._failing(call):
            url = str(self._target.open(target, port=port, local_port=local_port))
        own = web.address(target, port)
        self._web.known[url.removeprefix("http://")] = own
        self._tape.keep(call, own)
        return url

    def explain(self, subject: str, namespace: str = "default", *, action: int | ActionKind = -1) -> Explanation:
        """Explain an action, see `labkit.lab.Lab.explain`; its evidence is taken down, not what was computed of it."""
        call = calls.called("explain", (subject, namespace), {"action": action})
        with self._failing(call):
            found: Explanation = self._target.explain(subject, namespace, action=action)
        self._tape.keep(call, found.evidence)
        return found

    def flow(self, subject: str, namespace: str = "default", *, action: int | ActionKind = -1) -> Flow:
        """Return a flow, see `labkit.lab.Lab.flow`."""
        return self.explain(subject, namespace, action=action).flow

    @contextmanager
    def record(self, path: Path | str, title: str = "") -> Iterator[Any]:
        """Record what the components leave, see `labkit.lab.Lab.record`; the file is taken down, too."""
        call = calls.called("record", (str(path), title), {})
        with self._failing(call), self._target.record(path, title) as recorder:
            yield recorder
        self._tape.keep(call, Path(path).read_bytes())

    def whole(self, function: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Have an experiment done, and take it down as one call, see `labkit.lab.session.experiments`."""
        call = calls.called(function.__name__, arguments, options)
        with self._failing(call):
            found = function(self._target, *arguments, **options)
        self._tape.keep(call, found)
        return found

    def save(self, path: Path) -> None:
        """Write the session's file."""
        self._tape.save(path, self._about)
