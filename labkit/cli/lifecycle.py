"""Commands for a lab's life: up, status, stop, start, down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labkit.cli import console
from labkit.cli.options import DEFAULT_NAME, NAME_VARIABLE, Name, complete_lab, example, find_lab
from labkit.cli.progress import progress
from labkit.errors import ComponentError, LabkitError, PreflightError

if TYPE_CHECKING:
    from labkit.lab import Lab

app = typer.Typer()


@app.command(
    epilog=example("labkit up", "labkit up --name small --workers 0", "labkit up --node-names cp,worker-a,worker-b"),
)
def up(  # noqa: PLR0917 - typer calls it by name
    name: Name = DEFAULT_NAME,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="How many nodes beside the control plane; 2 by default.")
    ] = None,
    node_names: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Names of the nodes instead, the control plane's first.")
    ] = None,
    provider: Annotated[
        str,
        typer.Option(
            metavar="auto|rootless|kind|context",
            help="Where the nodes run; auto: in containers where Docker has a node image and kind is there.",
        ),
    ] = "auto",
    no_network: Annotated[
        bool, typer.Option("--no-network", help="Leave the pod network to you; nodes stay NotReady until then.")
    ] = False,
    no_init: Annotated[
        bool, typer.Option("--no-init", help="Prepare the nodes only; kubeadm init and join are left to you.")
    ] = False,
    service_cidr: Annotated[str | None, typer.Option(metavar="CIDR", help="Addresses of Services.")] = None,
    pod_network_cidr: Annotated[str | None, typer.Option(metavar="CIDR", help="Addresses of pods.")] = None,
    image_repository: Annotated[
        str | None, typer.Option(metavar="HOST", help="Where the control plane's images are said to come from.")
    ] = None,
    kubernetes_version: Annotated[str | None, typer.Option(metavar="VERSION", help="Must be the pinned one.")] = None,
    apiserver_advertise_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Must be the control plane's own.")
    ] = None,
    token_ttl: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Life time of the bootstrap token; 0 for ever.")
    ] = None,
    images: Annotated[Path | None, typer.Option(metavar="FILE", help="Your own image catalogue.")] = None,
    registry_mirror: Annotated[
        list[str] | None,
        typer.Option(metavar="REGISTRY=URL", help="Provider kind: where images are pulled from."),
    ] = None,
    node_image: Annotated[
        str | None, typer.Option(metavar="NAME", help="Provider kind: of which image its nodes are.")
    ] = None,
    api_port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="Port of 127.0.0.1 for the API server; 0 takes a free one."
        ),
    ] = 0,
    privileged: Annotated[
        bool, typer.Option("--privileged", help="As root: nodes without a user namespace, which ipvs needs.")
    ] = False,
    small: Annotated[
        bool, typer.Option("--small", help="For a machine that has a gigabyte: one worker, one CoreDNS.")
    ] = False,
    kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Provider context: the kubeconfig; kubectl's own by default.")
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Provider context: which of its contexts; by default the current."),
    ] = None,
    audit_log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Provider context: the API server's audit log, if it is here.")
    ] = None,
) -> None:
    """Make a lab: a real kubeadm cluster.

    One that was stopped is started. What is not given has the textbook's value. With --provider context the lab is a
    cluster that there is already: labkit watches it, and installs nothing into it.
    """
    import labkit  # noqa: PLC0415 - costs time that `--help` has not

    try:
        with progress() as reporter:
            lab = labkit.up(
                name,
                workers=workers,
                node_names=None if node_names is None else [part for part in node_names.split(",") if part],
                provider=provider,
                network=False if no_network else None,
                service_cidr=service_cidr,
                pod_network_cidr=pod_network_cidr,
                image_repository=image_repository,
                kubernetes_version=kubernetes_version,
                apiserver_advertise_address=apiserver_advertise_address,
                token_ttl=token_ttl,
                images=images,
                registry_mirrors=registry_mirror,
                node_image=node_image,
                api_port=api_port,
                privileged=privileged or None,
                small=small or None,
                kubeconfig=kubeconfig,
                context=context,
                audit_log=audit_log,
                init=not no_init,
                progress=reporter,
            )
    except (PreflightError, ComponentError):
        if provider == "auto":
            _offer_recordings()
        raise
    show_lab(lab)


@app.command(epilog=example("labkit status", "labkit status --name small --json"))
def status(
    name: Annotated[
        str | None,
        typer.Option(
            "--name", "-n", envvar=NAME_VARIABLE, help="One lab only.", metavar="NAME", autocompletion=complete_lab
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list of labs as JSON, for programs.")] = False,
) -> None:
    """Show the nodes of each lab and what runs on them."""
    from labkit.cluster.state import lab_names  # noqa: PLC0415 - costs time that `--help` has not

    names = lab_names() if name is None else [name]
    if not names and not as_json:
        console.say("There is no lab. Make one: labkit up")
    found: list[dict[str, Any]] = []
    failure: LabkitError | None = None
    for number, each in enumerate(names):
        try:
            lab = find_lab(each)
            if as_json:
                found.append(lab.status().to_json())
            else:
                if number:
                    console.say()
                show_lab(lab)
        except LabkitError as error:  # one lab that cannot be read must not hide the others
            failure = error
    if as_json:
        console.print_json(found)
    if failure is not None:
        raise failure


@app.command(epilog=example("labkit down", "labkit down --name small"))
def down(
    name: Name = DEFAULT_NAME,
    deployed: Annotated[
        bool, typer.Option("--deployed", help="Of a context: first delete what `labkit deploy` made there.")
    ] = False,
) -> None:
    """Remove a lab.

    Its processes and its files go; the cache of programs stays. A context is forgotten, its cluster is left alone.
    """
    if deployed:
        with progress() as reporter, reporter.phase("down"):
            find_lab(name).down(deployed=True)
        console.say(f"Lab {name} is gone, and what it deployed.")
        return
    from labkit import lab  # noqa: PLC0415 - costs time that `--help` has not

    with progress() as reporter, reporter.phase("down"):
        existed = lab.down(name)
    console.say(f"Lab {name} is gone." if existed else f"There is no lab {name}; nothing to do.")


@app.command(epilog=example("labkit repair"))
def repair(name: Name = DEFAULT_NAME) -> None:
    """Bring back what was removed from a lab's system.

    What is held still goes on. `labkit status` says what is missing.
    """
    lab = find_lab(name)
    with progress() as reporter:
        repaired = lab.repair(progress=reporter)
    console.say(repaired.caption())
    if repaired.rows():
        console.table([title.upper() for title in repaired.TITLES], repaired.rows())


@app.command(epilog=example("labkit stop"))
def stop(name: Name = DEFAULT_NAME) -> None:
    """End all processes of a lab and keep its data."""
    lab = find_lab(name)
    with progress() as reporter, reporter.phase("stop"):
        lab.stop()


@app.command(epilog=example("labkit start"))
def start(name: Name = DEFAULT_NAME) -> None:
    """Start a stopped lab.

    Its nodes come back and rejoin by themselves.
    """
    lab = find_lab(name)
    with progress() as reporter:
        lab.start(progress=reporter)
    show_lab(lab)


def _offer_recordings() -> None:
    """Say what there is to see where this machine can run no cluster."""
    from labkit.cli import flows  # noqa: PLC0415 - costs time that `--help` has not
    from labkit.lab.recorded import DEFAULT  # noqa: PLC0415 - as above

    console.say("No cluster can run here, for the reason below. These are recordings of real clusters:")
    flows.list_shipped()
    console.say(f"Look at one: labkit replay {DEFAULT}, or as a page: labkit replay {DEFAULT} --html f.html\n")


def show_lab(lab: Lab) -> None:
    """Print how a lab is."""
    found = lab.status()
    address = f", API server {found.api_server}" if found.api_server else ""
    console.say(f"Lab {found.name}: {found.state}, {found.sort}{address}")
    console.table(("NODE", "ROLE", "ADDRESS", "STATE", "COMPONENTS"), found.rows())
    for line in found.advice():
        console.say(line)
