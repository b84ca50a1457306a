"""Commands for what happened, in a lab or in a recording: flow, why, record, replay, export."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli import console
from labkit.cli.options import DEFAULT_NAME, NAME_VARIABLE, InRecording, Name, example, find_lab
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.lab import Lab
    from labkit.lab.happenings import Happenings

app = typer.Typer()

_Source = Annotated[
    str,
    typer.Argument(metavar="NAME|FILE", help="What it was done to: tomcat, service/tomcat; or a .labtrace recording."),
]
_Recording = Annotated[
    str | None, typer.Argument(metavar="FILE|NAME", help="A .labtrace file, or one that is shipped.")
]
_Subject = Annotated[
    str | None,
    typer.Option("--of", metavar="KIND/NAME", help="In a recording: what it was done to."),
]
_Which = Annotated[
    str | None,
    typer.Option("--action", metavar="N|KIND", help="First 0, last -1; or create, scale, update, delete, change."),
]
_Json = Annotated[bool, typer.Option("--json", help="Flow and story as JSON, for programs.")]
_Text = Annotated[bool, typer.Option("--text", help="Story and table, also beside --json.")]
_Svg = Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw the architecture's picture into it.")]
_Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="A page that plays the flow, into it.")]
_Namespace = Annotated[
    str | None,
    typer.Option(metavar="NAMESPACE", help="The object's; by default that of the lab's context, or default."),
]


@app.command(epilog=example("labkit flow tomcat", "labkit flow tomcat --svg flow.svg --html flow.html"))
def flow(  # noqa: PLR0917 - typer calls it by name
    source: _Source,
    of: _Subject = None,
    action: _Which = None,
    as_json: _Json = False,
    as_text: _Text = False,
    svg: _Svg = None,
    html: _Html = None,
    namespace: _Namespace = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Show what an action caused, step by step.

    Who asked whom for what, told as the textbook tells it, each arrow observed or inferred, with its evidence.
    """
    from labkit.cli import flows  # noqa: PLC0415 - costs time that `--help` has not

    happenings: Happenings
    if source.endswith(".labtrace"):
        happenings, subject = flows.open_recording(source), of
    else:
        happenings, subject = find_lab(name), source
    found = flows.explain(happenings, subject, namespace, _number(action))
    flows.output(found, as_json=as_json, as_text=as_text, svg=svg, html=html)


@app.command(epilog=example("labkit replay", "labkit replay scale", "labkit replay my.labtrace --html f.html"))
def replay(  # noqa: PLR0917 - as above
    recording: _Recording = None,
    of: _Subject = None,
    action: _Which = None,
    as_json: _Json = False,
    as_text: _Text = False,
    svg: _Svg = None,
    html: _Html = None,
    namespace: _Namespace = None,
) -> None:
    """Show a recording, with no cluster.

    Without a name it lists the recordings that come with labkit.
    """
    from labkit.cli import flows  # noqa: PLC0415 - as above

    if recording is None:
        flows.list_shipped()
        return
    found = flows.explain(flows.open_recording(recording), of, namespace, _number(action))
    flows.output(found, as_json=as_json, as_text=as_text, svg=svg, html=html)


@app.command(epilog=example("labkit why tomcat-6546f88bb-xslc5", "labkit why default/web-0 --in session.labtrace"))
def why(
    pod: Annotated[str, typer.Argument(metavar="POD", help="Its name, or NAMESPACE/NAME.")],
    recording: InRecording = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Tell why the scheduler placed a pod where it did.

    Nodes against plugins: who was filtered out and why, the scores with their weights, and the sum.
    """
    from labkit.cli import flows  # noqa: PLC0415 - as above

    happenings: Happenings = flows.open_recording(recording) if recording else find_lab(name)
    console.say(happenings.why(pod).to_text())


@app.command(
    epilog=example("labkit record session.labtrace", "labkit record tomcat.labtrace -- labkit deploy tomcat"),
)
def record(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Ends in .labtrace.")],
    command: Annotated[list[str] | None, typer.Argument(metavar="[-- COMMAND]", help="What to do meanwhile.")] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="What it is about.")] = "",
    name: Name = DEFAULT_NAME,
) -> None:
    """Keep what the components leave in a file.

    Until the command ends, or until Ctrl-C where there is none. No secret gets into the file.
    """
    if file.suffix != ".labtrace":
        raise UsageError(f"{file} is no name for a recording", fix=f"call it {file.stem}.labtrace")
    lab = find_lab(name)
    environment = _environment(lab)
    if command and shutil.which(command[0], path=environment["PATH"]) is None:
        raise UsageError(f"There is no command {command[0]!r}", fix="name a program; kubectl is the lab's own")
    with lab.record(file, title) as recorder:
        if command:
            recorder.mark(shlex.join(command))
            code = _run(command, environment)
        else:
            code = _until_interrupt()
    console.err().print(console.text(f"Recorded: {file}, {file.stat().st_size / 1000:.0f} kB"), soft_wrap=True)
    raise typer.Exit(code)


@app.command(epilog=example("labkit export session.labtrace --audit audit.jsonl --jaeger traces.json"))
def export(
    recording: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A .labtrace file, or a shipped one.")],
    audit: Annotated[Path | None, typer.Option(metavar="FILE", help="Audit events as JSON lines.")] = None,
    otlp: Annotated[Path | None, typer.Option(metavar="FILE", help="Trace spans as OTLP/JSON.")] = None,
    jaeger: Annotated[Path | None, typer.Option(metavar="FILE", help="Trace spans for Jaeger's viewer.")] = None,
) -> None:
    """Write a recording's evidence for other tools."""
    from labkit.cli import flows  # noqa: PLC0415 - as above
    from labkit.evidence.export import audit_jsonl, jaeger_json, otlp_json  # noqa: PLC0415 - as above

    wanted = [(audit, audit_jsonl), (otlp, otlp_json), (jaeger, jaeger_json)]
    if not any(path for path, _ in wanted):
        raise UsageError("Nothing to export was named", fix="say --audit FILE, --otlp FILE or --jaeger FILE")
    evidence = flows.open_recording(recording).evidence()
    for path, convert in wanted:
        if path:
            flows.write(path, convert(evidence))


def _number(action: str | None) -> int | str:
    """Return an action's index, or its kind."""
    if action is None:
        return -1
    try:
        return int(action)
    except ValueError:
        return action


def _environment(lab: Lab) -> dict[str, str]:
    """Return an environment in which kubectl and labkit mean this lab."""
    path = f"{lab.cluster.programs.program('kubectl').parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "KUBECONFIG": str(lab.kubeconfig), NAME_VARIABLE: lab.name, "PATH": path}


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command; return its exit code, or 128 + n for signal n, as shells do (bash(1), EXIT STATUS)."""
    try:
        code = subprocess.run(command, env=environment, check=False).returncode
    except KeyboardInterrupt:
        console.err().print()
        return 130
    return 128 - code if code < 0 else code


def _until_interrupt() -> int:
    with contextlib.suppress(KeyboardInterrupt):
        console.err().print("Recording; Ctrl-C ends it.")
        threading.Event().wait()
    console.err().print()
    return 0
