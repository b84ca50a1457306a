"""Follow one real request to a Service through a node's rules.

A table of labkit's own has the kernel trace the request's first packet (nft(8), "meta nftrace"), by its destination and
its source port alone. It stands before every other hook, and once more after the last one, to see what became of the
packet (priorities: linux/netfilter_ipv4.h; nft(8), "Standard priority names"). Only the first packet of a connection
passes the rules of nat: conntrack remembers what they did.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.cluster.spec import service_name
from labkit.errors import ClusterError, PreflightError, UsageError
from labkit.language import gettext
from labkit.node.process import run
from labkit.proxy import ipvs_trace, nft_trace
from labkit.proxy.attached import attached
from labkit.proxy.ipvs import DEVICE
from labkit.proxy.packet import Address, Mode, PacketPath, Request, Step, outcome
from labkit.proxy.packet_goal import Goal, find_client, find_goal

_PATIENCE = 1.0  # seconds for a connection, and for an answer; endpoints of a lab take milliseconds
_READY = 5.0  # seconds for the node to be ready to trace
_TRIES = 3  # kube-proxy may write its rules anew while they are read
_QUIET = 0.05  # seconds without a new line after which no more are expected
_LATE = 0.5  # seconds to wait for the packet's end, which a packet without a route does not have
_NO_NFT = 127  # the shell's status for a program that it does not find

_TABLE = f"""
table ip {nft_trace.TABLE}
delete table ip {nft_trace.TABLE}
table ip {nft_trace.TABLE} {{
  chain prerouting {{ type filter hook prerouting priority -400; {{match}} meta nftrace set 1; }}
  chain output {{ type filter hook output priority -400; {{match}} meta nftrace set 1; }}
  chain input {{ type filter hook input priority 300; }}
  chain postrouting {{ type filter hook postrouting priority 300; }}
}}
"""
_MATCH = "ip daddr {ip} tcp dport {port} tcp sport {source_port} tcp flags & (syn|ack) == syn"

# Runs on the node. The table is removed when standard input ends, which it does however labkit ends. One at a time:
# the lock is the shell's, not the monitor's. Netlink's table of sockets tells when the monitor listens to traces (group
# 9, NFNLGRP_NFTRACE of linux/netfilter/nfnetlink.h, is bit 0x100 there).
_WATCH = f"""
command -v nft >/dev/null || exit {_NO_NFT}
mkdir -p /run/labkit
exec 9>/run/labkit/packet-trace.lock
flock 9 || exit
monitor=
trap '[ -z "$monitor" ] || kill $monitor; nft delete table ip {nft_trace.TABLE}' EXIT
trap 'exit 1' HUP INT TERM
printf %s "$1" | nft -f - || exit
nft --handle monitor trace </dev/null 9>&- &
monitor=$!
until grep -q "^[^ ]* 12 *$monitor *00000100 " /proc/net/netlink; do
    kill -0 $monitor || exit
    sleep 0.005
done
echo listening
read -r _
exit 0
"""


def trace(
    cluster: Cluster,
    target: str,
    *,
    namespace: str = "default",
    port: int | None = None,
    node_port: str | None = None,
    from_node: str | None = None,
    from_pod: str | None = None,
) -> PacketPath:
    """Send one request to a Service and return the path of its first packet through the rules of a node.

    Parameters
    ----------
    cluster : Cluster
        Which one.
    target : str
        ``"svc/tomcat"``.
    namespace : str
        The Service's.
    port : int, optional
        Which of the Service's ports; by default its first for TCP.
    node_port : str, optional
        Ask at this node's address, by the Service's NodePort; the rules are that node's.
    from_node : str, optional
        Who asks; by default the first worker.
    from_pod : str, optional
        Who asks instead: ``"NAME"`` in the Service's namespace, or ``"NAMESPACE/NAME"``.

    Returns
    -------
    PacketPath
        Of the connection's first packet; a request that a rule rejects or drops has one too. In ipvs mode it has what
        `labkit.proxy.ipvs_trace` can tell.

    Raises
    ------
    UsageError
        There is no such Service, port, node or pod, or the Service has nothing that rules could lead to.
    PreflightError
        The node has no nft.
    ClusterError
        The lab or the node does not run, or no packet was seen.
    """
    service = service_name(target)
    if service is None:
        raise UsageError(
            gettext("No request can be traced to {target!r}").format(target=target),
            why=gettext("it does not name a Service"),
            fix=gettext("for example svc/tomcat"),
        )
    if not cluster.running or not cluster.kubeconfig.exists():
        name = cluster.spec.name
        raise ClusterError(gettext("Lab {name!r} does not run").format(name=name), fix=f"labkit up --name {name}")
    with closing(ApiServer.from_kubeconfig(cluster.kubeconfig)) as api:
        client = find_client(cluster, api, namespace, from_node, from_pod)
        goal = find_goal(cluster, api, client, f"{namespace}/{service}", port=port, node_port=node_port)
    if _in_ipvs(cluster, goal.node):
        return _counted_path(cluster, goal)
    for _ in range(_TRIES):
        text, answer = _ask(cluster, goal)
        steps, complete = _steps(cluster, goal, text)
        if complete:
            break
    return _path(goal, steps, answer, nft_trace.mode(steps) or "iptables")


def _in_ipvs(cluster: Cluster, node: str) -> bool:
    show = cluster.node_command(node, ["ip", "link", "show", "dev", DEVICE])
    return subprocess.run(show, capture_output=True, check=False).returncode == 0


def _counted_path(cluster: Cluster, goal: Goal) -> PacketPath:
    """Send the request, and tell its way by counters and by conntrack."""
    with _requester(cluster, goal) as requester:
        source_port = _source_port(requester, goal)
        before = _counts(cluster, goal)
        answer = _send(requester)
    after = _counts(cluster, goal)
    deadline = time.monotonic() + ipvs_trace.LATE
    while not ipvs_trace.grown(before, after, goal.address) and time.monotonic() < deadline:
        time.sleep(_QUIET)
        after = _counts(cluster, goal)
    ask = [word.format(source_port=source_port, **asdict(goal.address)) for word in ipvs_trace.CONNECTION]
    connection = run(cluster.node_command(goal.node, ask), what=gettext("look the connection up"))
    own = goal.client.pod_address or str(cluster.node_address(goal.client.node))
    source = Address(ipvs_trace.source(connection) or own, source_port)
    steps = ipvs_trace.steps(before, after, connection, source, goal.address)
    if not steps:
        raise ClusterError(
            gettext("There is no virtual server {address} on {node}").format(address=goal.address, node=goal.node),
            why=gettext("kube-proxy has not made it yet, or the node has not come to ipvs"),
            fix=f"labkit proxy rules --node {goal.node}",
        )
    return _path(goal, steps, answer, "ipvs")


def _counts(cluster: Cluster, goal: Goal) -> ipvs_trace.Counts:
    command = cluster.node_command(goal.node, ipvs_trace.COUNTERS)
    return ipvs_trace.counts(run(command, what=gettext("read the counters of {node}").format(node=goal.node)))


def _ask(cluster: Cluster, goal: Goal) -> tuple[str, dict[str, Any]]:
    """Send the request; return what the kernel told meanwhile, and what the client saw."""
    with _requester(cluster, goal) as requester:
        source_port = _source_port(requester, goal)
        with _watch(cluster, goal, source_port) as log:
            answer = _send(requester)
            _wait_until_quiet(log)
            return log.read_text(errors="replace"), answer


def _steps(cluster: Cluster, goal: Goal, text: str) -> tuple[tuple[Step, ...], bool]:
    """Return the packet's steps, and whether the text of every rule is known.

    It is not where kube-proxy wrote its rules anew before they could be listed: they have other handles then.
    """
    steps = nft_trace.parse(text)
    mode = nft_trace.mode(steps)
    if mode is None:
        raise ClusterError(
            gettext("The request to {service} met no rule of kube-proxy on {node}").format(
                service=goal.service, node=goal.node
            ),
            why=gettext("there are none yet, or they are those of the old iptables, which nft cannot see"),
            fix=f"labkit node exec {goal.node} -- nft list ruleset ip",
        )
    if mode != "iptables":
        return steps, True
    rules = _iptables_rules(cluster, goal.node)
    complete = all(step.handle is None or (step.table, step.chain, step.handle) in rules for step in steps)
    return nft_trace.parse(text, rules), complete


def _path(goal: Goal, steps: tuple[Step, ...], answer: dict[str, Any], mode: Mode) -> PacketPath:
    result = outcome(steps, answer["error"])
    translated = [step.translated_to for step in steps if step.translation == "DNAT" and step.translated_to]
    reached = (translated[-1] if translated else goal.address) if result in {"delivered", "no answer"} else None
    return PacketPath(
        node=goal.node,
        mode=mode,
        request=Request(goal.client.name, goal.service, steps[0].packet.source, goal.address),
        steps=steps,
        outcome=result,
        endpoint=reached,
        endpoint_name=goal.endpoints.get(reached.ip, "") if reached else "",
        status=answer["status"],
        error=answer["error"],
    )


def _iptables_rules(cluster: Cluster, node: str) -> dict[nft_trace.Rule, str]:
    listing = run(
        cluster.node_command(node, ["nft", "--handle", "list", "ruleset", "ip"]), what=gettext("list nft's rules")
    )
    saved = run(cluster.node_command(node, ["iptables-save"]), what=gettext("list iptables' rules"))
    return nft_trace.iptables_rules(listing, saved)


@contextmanager
def _requester(cluster: Cluster, goal: Goal) -> Iterator[subprocess.Popen[str]]:
    """Start who sends the request; it does not outlive the block."""
    program = [sys.executable, "-I", "-m", "labkit.node.requester"]
    arguments = [goal.address.ip, str(goal.address.port), str(_PATIENCE), goal.client.pod_address]
    command = cluster.node_command(goal.client.node, [*program, *arguments])
    with attached(command, stdout=subprocess.PIPE) as process:
        yield process


def _source_port(client: subprocess.Popen[str], goal: Goal) -> int:
    assert client.stdout is not None  # noqa: S101 - PIPE was asked for
    line = client.stdout.readline()
    if not line:
        assert client.stderr is not None  # noqa: S101 - PIPE was asked for
        said = client.stderr.read().strip().splitlines()
        raise ClusterError(
            gettext("No request could be sent from {name}").format(name=goal.client.name), why="\n".join(said[-1:])
        )
    return int(line)


def _send(client: subprocess.Popen[str]) -> dict[str, Any]:
    printed, said = client.communicate("\n", timeout=5 * _PATIENCE)
    if not printed:
        raise ClusterError(gettext("The request was not sent"), why=said.strip())
    answer: dict[str, Any] = json.loads(printed)
    return answer


@contextmanager
def _watch(cluster: Cluster, goal: Goal, source_port: int) -> Iterator[Path]:
    """Have the request's first packet traced during the block; give the file in which the trace grows."""
    match = _MATCH.format(ip=goal.address.ip, port=goal.address.port, source_port=source_port)
    command = cluster.node_command(goal.node, ["sh", "-c", _WATCH, "sh", _TABLE.replace("{match}", match)])
    with tempfile.NamedTemporaryFile("w") as output, attached(command, stdout=output) as process:
        log = Path(output.name)
        deadline = time.monotonic() + _READY
        while "listening" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise _not_watched(process, goal.node)
            time.sleep(0.005)
        yield log


def _not_watched(process: subprocess.Popen[str], node: str) -> Exception:
    what = gettext("Packets cannot be traced on {node}").format(node=node)
    if process.poll() is None:
        return ClusterError(
            what,
            why=gettext("nft did not listen within {seconds:.0f} s").format(seconds=_READY),
            fix=gettext("try again"),
        )
    if process.returncode == _NO_NFT:
        return PreflightError(
            what, why=gettext("it has no nft, by which the kernel tells"), fix="apt-get install nftables"
        )
    assert process.stderr is not None  # noqa: S101 - PIPE was asked for
    return ClusterError(what, why=process.stderr.read().strip(), fix=f"labkit node exec {node} -- nft list tables")


def _wait_until_quiet(log: Path) -> None:
    """Wait until nft has printed all that the kernel told it."""
    size, deadline = -1, time.monotonic() + _LATE
    while size != (size := log.stat().st_size) or not (_complete(log) or time.monotonic() > deadline):
        time.sleep(_QUIET)


def _complete(log: Path) -> bool:
    return nft_trace.complete(log.read_text(errors="replace"))
