"""Commands that reach the cluster as Kubernetes' own tools do: kubectl, kubeconfig."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli import console
from labkit.cli.execute import become
from labkit.cli.options import DEFAULT_NAME, Name, chosen_name, example, find_folder, find_lab
from labkit.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer()
_UNTOUCHED = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}


@app.command(
    context_settings=_UNTOUCHED,
    epilog=example("labkit kubectl get nodes -o wide", "labkit --name small kubectl get pods -A"),
)
def kubectl(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="...", help="All of it is kubectl's.")] = None,
) -> None:
    """Run the pinned kubectl on a lab.

    Every argument is kubectl's own; the lab is chosen before the word kubectl, or by the variable LABKIT_NAME.
    """
    from labkit import components  # noqa: PLC0415 - costs time that `--help` has not
    from labkit.lab.kubectl import environment  # noqa: PLC0415

    words = arguments or []
    program = components.ensure().program("kubectl")
    kubectls = words[: words.index("--")] if "--" in words else words  # what follows is for a program in a pod
    if not words or words[0] == "help" or not {"-h", "--help"}.isdisjoint(kubectls):
        become([program, *words])
    become([program, *words], environment(_running(chosen_name()), program))


@app.command(epilog=example("export KUBECONFIG=$(labkit kubeconfig)"))
def kubeconfig(
    name: Name = DEFAULT_NAME,
    raw: Annotated[bool, typer.Option("--raw", help="Its content instead of its path.")] = False,
) -> None:
    """Print the path of the administrator's kubeconfig."""
    lab = find_lab(name)
    if not lab.kubeconfig.exists():
        raise ClusterError(
            f"Lab {name!r} has no kubeconfig yet",
            why="its `up` has not come to an end",
            fix=f"labkit up --name {name}",
        )
    console.say(lab.kubeconfig.read_text().rstrip("\n") if raw else str(lab.kubeconfig))


def _running(name: str) -> Path:
    """Return the kubeconfig of a lab that runs; without one, kubectl could only say that nobody answers."""
    from labkit.cluster import providers  # noqa: PLC0415 - costs time that `--help` has not

    cluster = providers.load(find_folder(name))
    if not cluster.running:
        raise ClusterError(f"Lab {name!r} does not run", fix=f"labkit start --name {name}")
    return cluster.kubeconfig
