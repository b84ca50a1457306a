"""Commands about this machine: doctor, preflight (of nodes, too), and the Kubernetes programs on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli import console
from labkit.cli.options import DEFAULT_NAME, Name, complete_node, example, find_lab
from labkit.cli.progress import progress
from labkit.errors import PreflightError

if TYPE_CHECKING:
    from labkit.cluster.preflight import Check
    from labkit.lab.installation.preparation import PreparedLine

app = typer.Typer()
_MARKS = {"met": "done", "unmet": "failed", "unknown": "unknown", "not needed": "idle"}
_STYLES = {"met": "green", "unmet": "red", "unknown": "yellow", "not needed": "dim"}


@app.command(epilog=example("labkit doctor", "labkit doctor --json"))
def doctor(as_json: Annotated[bool, typer.Option("--json", help="The checks as JSON, for programs.")] = False) -> None:
    """Check what a lab needs of this machine.

    Each need: met or not, why Kubernetes has it, and the fix. Nothing is changed. The exit code is 3 where a required
    need is unmet.
    """
    import labkit  # noqa: PLC0415 - costs time that `--help` has not

    report = labkit.doctor()
    if as_json:
        console.print_json({"ready": report.ready, "checks": report.to_json()})
    else:
        for check in report.checks:
            _show(check)
        unmet = [check.name for check in report.checks if check.status == "unmet" and check.level == "required"]
        console.say(f"Not ready, for want of: {', '.join(unmet)}." if unmet else "Ready: this machine can run a lab.")
    if not report.ready:
        raise typer.Exit(PreflightError.exit_code)


@app.command(epilog=example("labkit preflight", "labkit preflight node-01", "labkit preflight node-01 --json"))
def preflight(
    node: Annotated[
        str | None,
        typer.Argument(metavar="NODE", help="A node of the lab instead of this machine.", autocompletion=complete_node),
    ] = None,
    name: Name = DEFAULT_NAME,
    as_json: Annotated[bool, typer.Option("--json", help="The checks as JSON, for programs.")] = False,
) -> None:
    """Check each line of the textbook's script that prepares a node.

    What it is, why Kubernetes needs it, done or not, and the fix; of this machine, or of a node. Nothing is changed. A
    lab needs less of this machine: see labkit doctor.
    """
    import labkit  # noqa: PLC0415 - costs time that `--help` has not

    found = find_lab(name).preflight(node) if node else labkit.preflight()
    if as_json:
        console.print_json(found.to_json())
        return
    for line in found.lines:
        _show(line)
    console.say(f"{found.caption()}.")


components_app = typer.Typer(
    no_args_is_help=True,
    help="The pinned Kubernetes programs.",
    epilog=example("labkit components list"),
)
app.add_typer(components_app, name="components")


@components_app.command("list", epilog=example("labkit components list"))
def list_components() -> None:
    """Show where each component is; nothing is fetched."""
    from labkit import components  # noqa: PLC0415 - costs time that `--help` has not

    rows = components.list_components()
    console.table(
        ("COMPONENT", "VERSION", "FROM", "SIZE", "FOLDER"),
        [(row.name, row.version, row.source, f"{row.bytes / 1e6:.0f} MB", str(row.path or "")) for row in rows],
    )


@components_app.command("fetch", epilog=example("labkit components fetch", "labkit components fetch --verify"))
def fetch_components(
    verify: Annotated[bool, typer.Option("--verify", help="Compute every checksum of what is in the cache.")] = False,
) -> None:
    """Get what is missing.

    By official download and checksum where there is one, else by the Go toolchain.
    """
    from labkit import components  # noqa: PLC0415 - costs time that `--help` has not

    with progress() as reporter:
        components.ensure(reporter, verify=verify)
    list_components()


def _show(check: Check | PreparedLine) -> None:
    out = console.out()
    style = _STYLES[check.status]
    level = "" if check.level == "required" else f", {check.level}"
    head = console.text(f"{console.mark(_MARKS[check.status], out)} {check.name}: ", style)
    out.print(head.append(f"{check.status}{level}", "default").append_text(console.text(f"; {check.found}")))
    out.print(console.indented("Why", check.why, style="dim"))
    if check.fix:
        out.print(console.indented("Fix", check.fix, style="bold" if check.status == "unmet" else "dim"))
