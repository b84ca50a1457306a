"""The tree of commands, and what surrounds each of them."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from labkit.cli import (
    applications,
    certificates,
    console,
    demo,
    happenings,
    host,
    init,
    kubectl,
    lifecycle,
    node,
    nodeimage,
    proxy,
    slow_motion,
    supplies,
    token,
)
from labkit.cli.faults import show
from labkit.cli.options import NAME_VARIABLE, complete_lab, example
from labkit.errors import LabkitError


class _Commands(TyperGroup):
    """Commands whose errors are told as they are meant for people."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what labkit raised on purpose becomes words and an exit code."""
        try:
            return super().invoke(ctx)
        except LabkitError as error:
            raise typer.Exit(show(error)) from error
        except KeyboardInterrupt as interrupt:
            console.err().print("\nInterrupted.")
            raise typer.Exit(130) from interrupt


app = typer.Typer(
    cls=_Commands,
    name="labkit",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: it needs neither time nor a wide terminal
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=example("labkit up", "labkit deploy tomcat --image tomcat", "labkit flow tomcat", "labkit down"),
)
for commands in (
    lifecycle,
    init,
    applications,
    happenings,
    kubectl,
    node,
    certificates,
    token,
    proxy,
    slow_motion,
    host,
    supplies,
    nodeimage,
    demo,
):
    app.add_typer(commands.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - costs time that `--help` has not

        console.say(f"labkit {version('labkit')}")
        raise typer.Exit


@app.callback()
def labkit(
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", help="The lab's name.", metavar="NAME", autocompletion=complete_lab),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback has all to do
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print labkit's version.")
    ] = False,
) -> None:
    """See how Kubernetes works inside: a real kubeadm cluster on this machine, with no Docker and no root.

    A lab is named by --name, before or after the command, or by the variable LABKIT_NAME.
    """
    if name is not None:
        os.environ[NAME_VARIABLE] = name  # before a command, it is the default of the command's own --name


def run() -> int:
    """Run the command that this process was started with; return the exit code."""
    try:
        get_command(app).main(prog_name="labkit")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0
