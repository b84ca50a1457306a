"""Commands that reach the cluster as Kubernetes' own tools do: kubectl, kubeconfig."""

from __future__ import annotations

from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.execute import become
from labkit.cli.options import DEFAULT_NAME, Name, chosen_name, example, find_lab
from labkit.errors import ClusterError

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
    from labkit.cluster.state import LabFolder  # noqa: PLC0415
    from labkit.lab.kubectl import environment  # noqa: PLC0415

    words = arguments or []
    program = components.ensure().program("kubectl")
    if {"-h", "--help"}.isdisjoint(words) and words[:1] != ["help"] and words:
        lab = find_lab(chosen_name())
        if not lab.cluster.running:
            raise ClusterError(f"Lab {lab.name!r} does not run", fix=f"labkit start --name {lab.name}")
    become([program, *words], environment(LabFolder.of(chosen_name()).kubeconfig, program))


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
