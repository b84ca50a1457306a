"""Commands about the images of kind labs: image build-node, image load."""

from __future__ import annotations

from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.options import DEFAULT_NAME, Name, example, find_lab
from labkit.cli.progress import progress

app = typer.Typer()
image_app = typer.Typer(no_args_is_help=True, help="Images of kind labs.", epilog=example("labkit image build-node"))
app.add_typer(image_app, name="image")


@image_app.command("build-node", epilog=example("labkit image build-node"))
def build_node(
    tag: Annotated[str | None, typer.Option(metavar="NAME", help="The image's name; labkit's own by default.")] = None,
) -> None:
    """Build the node image of kind labs, with no registry.

    It is made of Debian's packages, by mmdebstrap, and of the Kubernetes programs, and has the pod images in it. Docker
    keeps it; nothing is done where it has it already.
    """
    from labkit.cluster import kind_host, nodeimage  # noqa: PLC0415 - costs time that `--help` has not

    kind_host.require_builder()
    with progress() as reporter:
        name = nodeimage.build(tag or nodeimage.IMAGE, progress=reporter)
    megabytes = nodeimage.size(name) / 1e6
    console.say(f"Docker has the node image {name}, {megabytes:.0f} MB. Use it: labkit up --provider kind")


@image_app.command(epilog=example("labkit image load shop:v1", "labkit image load shop.tar"))
def load(
    source: Annotated[str, typer.Argument(metavar="FILE|NAME", help="What docker save wrote, or Docker's image.")],
    name: Name = DEFAULT_NAME,
) -> None:
    """Put an image of your own into every node of a kind lab.

    Pods then find it under its name, with no registry; its tag must not be latest, for that one is asked of a registry.
    """
    lab = find_lab(name)
    with progress() as reporter:
        names = lab.load_image(source, progress=reporter)
    console.say(f"Every node has {', '.join(names)} now.")
