"""Commands for the nodes of a lab: node list, exec, shell, stop, start, restart, rejoin, logs, add."""

from __future__ import annotations

from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.execute import become
from labkit.cli.options import DEFAULT_NAME, Name, NodeName, example, find_lab
from labkit.cli.progress import progress

app = typer.Typer()
_node = typer.Typer(
    no_args_is_help=True,
    help="The nodes of a lab: look, enter, stop, start, restart, add.",
    epilog=example("labkit node list"),
)
app.add_typer(_node, name="node")
_SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash || exec sh")
_REST_IS_COMMAND = {"allow_interspersed_args": False, "ignore_unknown_options": True}


def _complete_log(incomplete: str) -> list[str]:
    return [name for name in ("kubelet", "runtime") if name.startswith(incomplete)]


@_node.command("list", epilog=example("labkit node list"))
def list_nodes(name: Name = DEFAULT_NAME) -> None:
    """Show the nodes: role, address, state."""
    rows = find_lab(name).status().rows()
    console.table(("NODE", "ROLE", "ADDRESS", "STATE"), [row[:4] for row in rows])


@_node.command(
    "exec",
    context_settings=_REST_IS_COMMAND,
    epilog=example("labkit node exec node-01 -- ps -ef", "labkit node exec master ip route"),
)
def run_command(
    node: NodeName,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="The command and its arguments.")],
    name: Name = DEFAULT_NAME,
) -> None:
    """Run a command on a node, as its root.

    Its exit code becomes labkit's.
    """
    words = command[1:] if command[0] == "--" else command
    if not words:
        raise typer.BadParameter("say which command", param_hint="COMMAND")
    cluster = find_lab(name).cluster
    become(cluster.node_command(node, words))


@_node.command(epilog=example("labkit node shell node-01"))
def shell(node: NodeName, name: Name = DEFAULT_NAME) -> None:
    """Open a shell on a node, as its root."""
    cluster = find_lab(name).cluster
    become(cluster.node_command(node, _SHELL))


@_node.command(epilog=example("labkit node stop node-02"))
def stop(node: NodeName, name: Name = DEFAULT_NAME) -> None:
    """Switch a node off at once, as pulling its plug would."""
    found = find_lab(name).nodes[node]
    found.stop()
    console.say(f"Node {node} is off.")


@_node.command(epilog=example("labkit node start node-02"))
def start(node: NodeName, name: Name = DEFAULT_NAME) -> None:
    """Switch a node on; it rejoins by itself."""
    found = find_lab(name).nodes[node]
    found.start()
    console.say(f"Node {node} is on.")


@_node.command(epilog=example("labkit node restart node-01", "labkit node restart master --service tomcat"))
def restart(
    node: NodeName,
    name: Name = DEFAULT_NAME,
    away: Annotated[float, typer.Option(min=2, metavar="SECONDS", help="How long it is off.")] = 5.0,
    service: Annotated[str, typer.Option(metavar="SERVICE", help="A Service to ask each 100 ms meanwhile.")] = "",
) -> None:
    """Switch a node off and on, and tell how it comes back."""
    lab = find_lab(name)
    with progress() as reporter:
        seen = lab.restart(node, away=away, service=service, progress=reporter)
    console.say(f"{seen.caption()}.")
    console.table(("", "AFTER", "WHO", "WHAT", "KNOWN FROM"), seen.rows())


@_node.command(epilog=example("labkit kubectl -- delete node node-02", "labkit node rejoin node-02"))
def rejoin(node: NodeName, name: Name = DEFAULT_NAME) -> None:
    """Have a worker join again, after kubeadm reset."""
    lab = find_lab(name)
    with progress() as reporter:
        lab.rejoin(node, progress=reporter)
    console.say(f"Node {node} has joined again.")


@_node.command(epilog=example("labkit node logs node-01", "labkit node logs node-01 runtime --follow --tail 20"))
def logs(
    node: NodeName,
    component: Annotated[
        str,
        typer.Argument(
            metavar="kubelet|runtime", help="Whose log; all else runs in pods.", autocompletion=_complete_log
        ),
    ] = "kubelet",
    name: Name = DEFAULT_NAME,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows, until Ctrl-C.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, metavar="N", help="The last N lines only.")] = None,
) -> None:
    """Show the log of a node's kubelet or container runtime."""
    found = find_lab(name).nodes[node]
    printed = found.logs(component, tail=tail)
    if follow:
        # tail -F goes on where a log is begun anew, too
        become(["tail", "-n", "+1" if tail is None else str(tail), "-F", found.cluster.node_log(node, component)])
    print(printed)


@_node.command(epilog=example("labkit node add node-03"))
def add(node: Annotated[str, typer.Argument(metavar="NODE", help="Its name.")], name: Name = DEFAULT_NAME) -> None:
    """Add a worker by kubeadm join, and wait until it is Ready."""
    lab = find_lab(name)
    with progress() as reporter:
        added = lab.add_node(node, progress=reporter)
    console.say(f"Node {added.name} has joined, address {added.address}.")


@_node.command(epilog=example("labkit node prepare node-03"))
def prepare(node: Annotated[str, typer.Argument(metavar="NODE", help="Its name.")], name: Name = DEFAULT_NAME) -> None:
    """Boot a machine that can join and has not."""
    lab = find_lab(name)
    with progress() as reporter:
        prepared = lab.prepare(node, progress=reporter)
    console.say(
        f"Node {prepared.name} is prepared, address {prepared.address}. It joins by: labkit join {prepared.name}"
    )
