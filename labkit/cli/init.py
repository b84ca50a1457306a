"""Commands for a lab from `labkit up --no-init`: init, reset, network."""

from __future__ import annotations

from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.options import DEFAULT_NAME, Name, complete_node, example, find_lab
from labkit.cli.progress import progress

app = typer.Typer()
_network = typer.Typer(
    no_args_is_help=True, help="The pods' network: its add-on.", epilog=example("labkit network install")
)
app.add_typer(_network, name="network")


def _complete_mistake(incomplete: str) -> list[str]:
    from labkit.lab.installation.mistakes import MISTAKES  # noqa: PLC0415 - costs time that `--help` has not

    return [name for name in MISTAKES if name.startswith(incomplete)]


@app.command(epilog=example("labkit init", "labkit init --options", "labkit init --wrong image-repository"))
def init(
    name: Name = DEFAULT_NAME,
    options: Annotated[
        bool, typer.Option("--options", help="Run nothing; show what kubeadm init is told, and what it means.")
    ] = False,
    wrong: Annotated[
        str | None,
        typer.Option(
            metavar="MISTAKE",
            help="Try a wrong option, see what comes of it, and take the node back.",
            autocompletion=_complete_mistake,
        ),
    ] = None,
) -> None:
    """Run kubeadm init on a prepared lab, and show its phases."""
    lab = find_lab(name)
    if options:
        console.say(repr(lab.init_options))
        return
    with progress() as reporter:
        done = lab.try_init(wrong, progress=reporter) if wrong else lab.init(progress=reporter)
    console.say(repr(done))


@app.command(epilog=example("labkit reset", "labkit reset node-01"))
def reset(
    node: Annotated[
        str | None, typer.Argument(metavar="NODE", help="Which; the control plane's.", autocompletion=complete_node)
    ] = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Run kubeadm reset on a node.

    It is then as it was before kubeadm init or kubeadm join; the control plane's reset ends the cluster.
    """
    lab = find_lab(name)
    with progress() as reporter:
        lab.reset(node, progress=reporter)
    console.say(f"{node or lab.nodes[0].name} is prepared again.")


@_network.command(epilog=example("labkit network install"))
def install(name: Name = DEFAULT_NAME) -> None:
    """Apply the network add-on, and show how the nodes became Ready."""
    lab = find_lab(name)
    with progress() as reporter:
        done = lab.network.install(progress=reporter)
    console.say(repr(done))
