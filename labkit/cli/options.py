"""What commands have in common: whose lab, its completion, and the lab itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli.progress import progress
from labkit.errors import LabkitError, UsageError

if TYPE_CHECKING:
    from labkit.cluster.state import LabFolder
    from labkit.lab import Lab

DEFAULT_NAME = "lab"
NAME_VARIABLE = "LABKIT_NAME"


def example(*lines: str) -> str:
    """Return the epilog of a command's help: how it is used."""
    # \b keeps the help's formatter from joining lines
    return "\n".join(["Example:", "", "\b", *(f"  {line}" for line in lines)])


def chosen_name() -> str:
    """Return the lab's name for a command that has no options of its own."""
    return os.environ.get(NAME_VARIABLE) or DEFAULT_NAME


def complete_lab(incomplete: str) -> list[str]:
    """Return the names of labs that begin so."""
    from labkit.cluster.state import lab_names  # noqa: PLC0415 - costs time that `--help` has not

    return [name for name in lab_names() if name.startswith(incomplete)]


def complete_node(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the chosen lab's nodes that begin so."""
    from labkit.cluster.state import LabFolder  # noqa: PLC0415 - as above

    # While a shell completes, no command has run that could have set the variable.
    named = (context.params.get("name"), context.find_root().params.get("name"))
    name = next((each for each in named if each not in {None, DEFAULT_NAME}), None) or chosen_name()
    try:
        return [node for node in LabFolder.of(name).load_spec().node_names if node.startswith(incomplete)]
    except LabkitError:
        return []


Name = Annotated[
    str,
    typer.Option(
        "--name", "-n", envvar=NAME_VARIABLE, help="The lab's name.", metavar="NAME", autocompletion=complete_lab
    ),
]
InRecording = Annotated[
    str | None, typer.Option("--in", metavar="RECORDING", help="A recording instead of a lab, a file or by name.")
]
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="The node's name.", autocompletion=complete_node)]


def find_folder(name: str) -> LabFolder:
    """Return the folder of a lab that exists.

    Raises
    ------
    UsageError
        There is none of that name; the message has the names of those there are.
    """
    from labkit.cluster.state import LabFolder, lab_names  # noqa: PLC0415 - costs time that `--help` has not

    folder, names = LabFolder.of(name), lab_names()
    if name not in names and names:
        raise UsageError(
            f"There is no lab {name!r}",
            why=f"there is {', '.join(names)}",
            fix=f"say --name {names[0]}, or make it: labkit up --name {name}",
        )
    folder.load_spec()
    return folder


def find_lab(name: str) -> Lab:
    """Return a lab that exists, with the programs that it needs fetched where they have gone missing.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    import labkit  # noqa: PLC0415 - as above
    from labkit.cluster import providers  # noqa: PLC0415

    spec = find_folder(name).load_spec()
    with progress() as reporter:
        providers.programs(spec, reporter)
    return labkit.attach(name)
