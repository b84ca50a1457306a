"""Commands about the images that a lab needs, and how they come to a machine without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from labkit.cli import console
from labkit.cli.options import example
from labkit.cli.progress import progress

app = typer.Typer()
images_app = typer.Typer(
    invoke_without_command=True,
    help="The images that a cluster needs.",
    epilog=example("labkit images", "labkit images save labkit.tar.gz", "labkit images load labkit.tar.gz"),
)
app.add_typer(images_app, name="images")


@images_app.callback()
def list_images(
    context: typer.Context,
    image_repository: Annotated[str | None, typer.Option(metavar="HOST", help="As `labkit up` takes it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show the images that kubeadm needs, and what each is here.

    There no image is pulled: each name stands for a program of this machine.
    """
    if context.invoked_subcommand is not None:
        return
    from dataclasses import asdict  # noqa: PLC0415 - costs time that `--help` has not

    from labkit import components  # noqa: PLC0415 - as above
    from labkit.cluster.spec import LabSpec  # noqa: PLC0415 - as above
    from labkit.lab import images  # noqa: PLC0415 - as above

    given: dict[str, Any] = {"image_repository": image_repository} if image_repository else {}
    with progress() as reporter:
        programs = components.ensure(reporter)
    found = images.needed(programs, components.list_components(), LabSpec(**given))
    if as_json:
        console.print_json([asdict(image) for image in found])
    else:
        console.table(("IMAGE", "IN A ROOTLESS LAB", "FROM"), [(i.reference, i.about, i.source) for i in found])


@images_app.command("save", epilog=example("labkit images save labkit.tar.gz"))
def save(file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write, some 145 MB.")]) -> None:
    """Write all that these images are into one file.

    With it, `labkit images load` and then `labkit up` need no network.
    """
    from labkit.components import carry  # noqa: PLC0415 - costs time that `--help` has not

    with progress() as reporter:
        carry.save(file, reporter)
    console.say(f"{file} has all components, {file.stat().st_size / 1e6:.0f} MB. Read it: labkit images load {file}")


@images_app.command("load", epilog=example("labkit images load labkit.tar.gz"))
def load(file: Annotated[Path, typer.Argument(metavar="FILE", help="What `labkit images save` wrote.")]) -> None:
    """Put what such a file has into the cache.

    Every checksum is compared first.
    """
    from labkit.components import carry  # noqa: PLC0415 - costs time that `--help` has not

    with progress() as reporter:
        new = carry.load(file, reporter)
    console.say(f"The cache has {', '.join(new)} now." if new else "The cache had all of it already.")
