"""An explained action in a terminal: the story, the hops as a table, pictures and pages into files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from labkit.cli import console
from labkit.errors import EvidenceError, UsageError
from labkit.lab.lessons import shipped
from labkit.lab.recorded import Replay, replay
from labkit.views import story, table

if TYPE_CHECKING:
    from labkit.flow import Flow
    from labkit.flow.actions import ActionKind
    from labkit.lab.happenings import Explanation, Happenings


def explain(happenings: Happenings, subject: str | None, namespace: str | None, action: int | str) -> Explanation:
    """Explain an action; without a subject the first one that was recorded."""
    kinds = ("create", "scale", "update", "delete", "change")
    if isinstance(action, str) and action not in kinds:
        raise UsageError(f"There is no kind of action {action!r}", fix=f"say a number, or {', '.join(kinds)}")
    if subject is None:
        done = [each for each in happenings.actions() if not each.refused]
        if not done:
            raise EvidenceError("Nobody did anything in this recording.", fix="name another")
        about = done[0].object
        subject, namespace = f"{about.resource}/{about.name}", about.namespace or namespace
        action = 0 if action == -1 else action
    return happenings.explain(subject, namespace, action=cast("int | ActionKind", action))


def output(found: Explanation, *, as_json: bool, as_text: bool, svg: Path | None, html: Path | None) -> None:
    """Give an explanation in the forms that were asked for; as text, too, unless programs want JSON."""
    if as_json:
        console.out().file.write(found.to_json())
    if as_text or not as_json:
        console.say(story.to_text(found.story, width=min(console.out().width, 120)))
        console.say()
        show(found.flow)
    if svg:
        write(svg, found.to_svg().encode())
    if html:
        write(html, found.to_html().encode())


def show(flow: Flow) -> None:
    """Print a flow's hops in order, with milliseconds since the first; a pipe gets all, a terminal what fits."""
    width = console.out().width
    for columns in (table.HEADINGS, table.HEADINGS[:-1], table.COMPACT):
        whole = table.to_text(flow, columns)
        if max(map(len, whole.splitlines())) <= width:
            console.say(whole)
            return
    console.table(table.NARROW, table.rows(flow, table.NARROW), right=table.RIGHT)


def write(path: Path, data: bytes) -> None:
    """Write a file and say so.

    Raises
    ------
    UsageError
        It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{path} cannot be written", why=reason, fix="name another file") from error
    console.err().print(console.text(f"Written: {path}"), soft_wrap=True)  # stdout may be JSON


def open_recording(source: str) -> Replay:
    """Open a recording and say plainly that it is one."""
    found = replay(source)
    banner(found)
    return found


def banner(recording: Replay) -> None:
    """Say that what follows was recorded."""
    console.err().print(console.text(f"Recorded: {recording.banner}.", "bold"), soft_wrap=True)


def list_shipped() -> None:
    """Print the recordings that come with labkit."""
    rows = [(name, (found := replay(name)).recording.title, str(len(found.actions()))) for name in shipped()]
    console.table(("NAME", "TITLE", "ACTIONS"), rows, right=("ACTIONS",))
