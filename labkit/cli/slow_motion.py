"""Commands that hold real components still: freeze, thaw."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.options import DEFAULT_NAME, Name, example, find_lab

app = typer.Typer()


def _complete_component(incomplete: str) -> list[str]:
    known = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet/", "kube-proxy/")
    return [name for name in known if name.startswith(incomplete)]


_COMPONENT = typer.Argument(
    metavar="COMPONENT",
    help="etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet/NODE or kube-proxy/NODE.",
    autocompletion=_complete_component,
)


@app.command(epilog=example("labkit freeze kube-scheduler", "labkit freeze kubelet/node-01 --for 30"))
def freeze(
    component: Annotated[str, _COMPONENT],
    seconds: Annotated[float, typer.Option("--for", metavar="SECONDS", help="At most 600.")] = 60.0,
    name: Name = DEFAULT_NAME,
) -> None:
    """Hold a component still until Ctrl-C or its time is over.

    Everything else goes on: look from another terminal at what does not happen.
    """
    with find_lab(name).freeze(component, limit=seconds) as held, contextlib.suppress(KeyboardInterrupt):
        console.say(f"{held.component} is frozen for {seconds:g} s; Ctrl-C lets it go on.")
        held.wait()
    console.say(f"{held.component} goes on.")


@app.command(epilog=example("labkit thaw", "labkit thaw kube-scheduler"))
def thaw(component: Annotated[str | None, _COMPONENT] = None, name: Name = DEFAULT_NAME) -> None:
    """Let a component, or every one, go on, whoever froze it."""
    thawed = find_lab(name).thaw(component)
    console.say(f"Goes on: {', '.join(thawed)}" if thawed else "Nothing was frozen.")
