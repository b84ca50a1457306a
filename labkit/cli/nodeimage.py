"""The command that builds the node image of kind labs."""

from __future__ import annotations

from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.options import example
from labkit.cli.progress import progress

app = typer.Typer()
image_app = typer.Typer(no_args_is_help=True, help="Node images.", epilog=example("labkit image build-node"))
app.add_typer(image_app, name="image")


@image_app.command("build-node", epilog=example("labkit image build-node"))
def build_node(
    tag: Annotated[str | None, typer.Option(metavar="NAME", help="The image's name; labkit's own by default.")] = None,
) -> None:
    """Build the node image of kind labs, with no registry.

    It is made of Debian's packages, by mmdebstrap, and of the Kubernetes programs, and has the pod images in it. Docker
    keeps it; nothing is done where it has it already.
    """
    from labkit.cluster import nodeimage  # noqa: PLC0415 - costs time that `--help` has not

    with progress() as reporter:
        name = nodeimage.build(tag or nodeimage.IMAGE, progress=reporter)
    megabytes = nodeimage.size(name) / 1e6
    console.say(f"Docker has the node image {name}, {megabytes:.0f} MB. Use it: labkit up --provider kind")
