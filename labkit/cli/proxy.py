"""Commands for kube-proxy: proxy mode, proxy rules, proxy trace, proxy follow, proxy bench."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli import console
from labkit.cli.options import DEFAULT_NAME, InRecording, Name, complete_node, example, find_lab
from labkit.cli.progress import progress
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.lab.proxy import LabProxy
    from labkit.lab.recorded_proxy import RecordedProxy

app = typer.Typer()
_proxy = typer.Typer(
    no_args_is_help=True,
    help="kube-proxy: its mode, its rules, a real packet's way.",
    epilog=example("labkit proxy mode", "labkit proxy trace svc/tomcat"),
)
app.add_typer(_proxy, name="proxy")


def _complete_mode(incomplete: str) -> list[str]:
    return [mode for mode in ("iptables", "nftables", "ipvs") if mode.startswith(incomplete)]


_RecordedMode = Annotated[
    str | None,
    typer.Option(
        "--mode", metavar="MODE", help="With --in: in which of its modes, or the last.", autocompletion=_complete_mode
    ),
]


def _recorded(recording: str) -> RecordedProxy:
    from labkit.cli import flows  # noqa: PLC0415 - takes long to import, and few commands replay

    return flows.open_recording(recording).proxy


def _live(name: str, mode: str | None) -> LabProxy:
    if mode is not None:
        raise UsageError(
            "A lab has the rules of one mode, its present one",
            why="--mode chooses among those of a recording",
            fix=f"add --in RECORDING, or switch the lab: labkit proxy mode {mode}",
        )
    return find_lab(name).proxy


@_proxy.command(epilog=example("labkit proxy mode", "labkit proxy mode nftables"))
def mode(
    to: Annotated[
        str | None,
        typer.Argument(metavar="MODE", help="iptables, nftables or ipvs.", autocompletion=_complete_mode),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Try ipvs even where the kernel cannot do it; it is put back then.")
    ] = False,
    name: Name = DEFAULT_NAME,
) -> None:
    """Show kube-proxy's mode, or switch to another.

    It switches as the textbook does: edit the ConfigMap, delete the pods, read the logs of the new ones. It ends when
    every node serves in the new mode, or has put the old one back.
    """
    proxy = find_lab(name).proxy
    if to is None:
        console.say(proxy.mode)
        return
    with progress() as reporter:
        switched = proxy.switch(to, force=force, progress=reporter)
    console.say(switched.caption())
    for step in switched.steps:
        console.say(f"  {step.what}: {step.detail}")


@_proxy.command(
    epilog=example(
        "labkit proxy rules",
        "labkit proxy rules shop/web --node node-01 --json",
        "labkit proxy rules web --modes --in kube-proxy-ipvs",
    )
)
def rules(
    service: Annotated[
        str | None, typer.Argument(metavar="SERVICE", help="NAMESPACE/NAME, or NAME in namespace default.")
    ] = None,
    *,
    node: Annotated[
        str | None,
        typer.Option(
            metavar="NODE", help="On which node; by default the control plane's.", autocompletion=complete_node
        ),
    ] = None,
    modes: Annotated[
        bool, typer.Option("--modes", help="Of one Service: side by side in every mode that was seen.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; with the text of every rule.")] = False,
    recording: InRecording = None,
    mode: _RecordedMode = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Show where a node's kernel leads connections to Services.

    Of one Service it shows the rules themselves, too. With --modes it shows how each of kube-proxy's modes
    writes them.
    """
    if modes:
        if service is None:
            raise UsageError(
                "Modes are compared for one Service", why="none was named", fix="labkit proxy rules SERVICE --modes"
            )
        proxy = _recorded(recording) if recording else _live(name, mode)
        compared = proxy.compare_modes(service, node)
        if as_json:
            console.print_json(asdict(compared.comparison))
        else:
            console.say(str(compared))
        return
    found = _recorded(recording).rules(node, mode=mode) if recording else _live(name, mode).rules(node)
    shown = found if service is None else found.of(service)
    if not shown.ports:
        raise UsageError(
            f"{found.node} has no rules of Service {service!r}",
            why="there is no such Service, or it has no address of its own (headless, ExternalName)",
            fix="labkit proxy rules shows all",
        )
    if as_json:
        console.print_json(shown.to_json())
        return
    console.table([title.upper() for title in shown.TITLES], shown.rows(), right=("NODE PORT",))
    if service is not None:
        for port in shown.ports:
            for rule in dict.fromkeys((*port.rules, *(rule for each in port.endpoints for rule in each.rules))):
                console.say(f"  {rule}")


@_proxy.command(epilog=example("labkit proxy trace svc/tomcat", "labkit proxy trace svc/tomcat --svg packet.svg"))
def trace(
    target: Annotated[str, typer.Argument(metavar="svc/NAME", help="The Service.")],
    *,
    namespace: Annotated[str, typer.Option("--namespace", help="The Service's.")] = "default",
    port: Annotated[int | None, typer.Option(help="Which of its ports; by default its first for TCP.")] = None,
    from_node: Annotated[
        str | None,
        typer.Option(metavar="NODE", help="Who asks; by default the first worker.", autocompletion=complete_node),
    ] = None,
    from_pod: Annotated[str | None, typer.Option(metavar="POD", help="Who asks instead: [NAMESPACE/]NAME.")] = None,
    node_port: Annotated[
        str | None,
        typer.Option(metavar="NODE", help="Ask at this node's address, by NodePort.", autocompletion=complete_node),
    ] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into a file.")] = None,
    recording: InRecording = None,
    mode: _RecordedMode = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Show a real packet's way to a Service, rule by rule.

    One request is sent; the kernel tells of its first packet, chain by chain, with every rule that matched
    and what became of the packet.
    """
    trace_in = partial(_recorded(recording).trace, mode=mode) if recording else _live(name, mode).trace
    found = trace_in(
        target, namespace=namespace, port=port, from_node=from_node, from_pod=from_pod, node_port=node_port
    )
    console.say(str(found))
    if svg:
        from labkit.cli import flows  # noqa: PLC0415 - takes long to import, and few commands draw

        flows.write(svg, found.to_svg().encode())


@_proxy.command(
    epilog=example(
        "labkit proxy follow svc/web -- expose deployment web --port 80",
        "labkit proxy follow svc/web --svg cause.svg -- scale deployment web --replicas 3",
    )
)
def follow(
    service: Annotated[
        str, typer.Argument(metavar="svc/NAME", help="The Service, which need not exist yet; [NAMESPACE/]NAME, too.")
    ],
    arguments: Annotated[list[str], typer.Argument(metavar="-- ARGUMENTS", help="What kubectl is to do.")],
    *,
    timeout: Annotated[float, typer.Option(help="Seconds in which something must change.", min=1)] = 20.0,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it into a file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; with the text of every rule.")] = False,
    name: Name = DEFAULT_NAME,
) -> None:
    """Do something, and follow it to each node's rules.

    kubectl does it; then the way is shown from the API server's audit log over the controllers to the rules that
    came or went on each node, by the kernel's own word, and how long each node's kube-proxy took.
    """
    lab = find_lab(name)
    with lab.proxy.follow(service, timeout=timeout) as cause:
        printed = lab.kubectl(arguments)
    if as_json:
        console.print_json(cause.chain.to_json())
    else:
        console.say(str(printed))
        for shown in (cause.chain, cause.by_node):
            console.say()
            console.say(shown.caption())
            console.table([title.upper() for title in shown.TITLES], shown.rows())
    if svg:
        from labkit.cli import flows  # noqa: PLC0415 - takes long to import, and few commands draw

        flows.write(svg, cause.to_svg().encode())


@_proxy.command(
    epilog=example(
        "labkit proxy bench", "labkit proxy bench --services 10 --services 5000 --repeats 5 --plot scale.svg"
    )
)
def bench(
    *,
    services: Annotated[
        list[int] | None, typer.Option(help="How many Services; several times for several numbers.", min=1)
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(help="Which mode; by default all that the kernel has.", autocompletion=_complete_mode),
    ] = None,
    repeats: Annotated[int, typer.Option(help="How often each.", min=1)] = 3,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Plot it into a file: .svg, .png or .pdf.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: every single value.")] = False,
    name: Name = DEFAULT_NAME,
) -> None:
    """Measure kube-proxy's modes against the number of Services.

    Services without pods are made, 5, 15 and 45 by default, and each mode is switched to: rules, time to program
    all and one more, time to connect, processor time and memory. It takes minutes; in the end the Services are gone
    and the mode is what it was. Thousands need a kernel that takes their rules at once: the error says how.
    """
    proxy = find_lab(name).proxy
    with progress() as reporter:
        found = proxy.bench(services or (5, 15, 45), mode or (), repeats=repeats, progress=reporter)
    if as_json:
        console.print_json(found.to_json())
    else:
        console.say(found.measurement.caption())
        console.table([title.upper() for title in found.measurement.TITLES], found.measurement.rows())
    if plot:
        found.figure().savefig(plot)
        console.say(f"Written: {plot}")
