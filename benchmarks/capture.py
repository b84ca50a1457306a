"""What capturing costs, and how fast evidence arrives.

Cost: two more API servers are started on a lab's control plane, at the same etcd and with the same flags, except that
one has no audit log and no tracing. Both serve this program alone. Blocks of requests alternate between
them in one run:

    on   the API server that writes its audit log and exports every span to the lab's receiver, while a follower polls
         all sources ten times a second, as the widget does
    off  the API server without, the follower held still

etcd's own spans are exported in both, and the lab's usual traffic goes to a third API server throughout. A latency is
that of one request on a kept connection, as the client sees it, through labkit's forwarder.

Delay: from the moment an audit event is complete, by the API server's clock, to the follower's hand.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import multiprocessing
import os
import random
import signal
import ssl
import statistics
import subprocess
import tempfile
import time
from base64 import b64decode
from collections import defaultdict
from datetime import UTC, datetime
from multiprocessing.connection import Connection

import yaml

import labkit
from labkit import components
from labkit.evidence.live import LiveEvidence
from labkit.lab import Lab
from labkit.progress import Progress

_POLL_SECONDS = 0.1
_PORTS = {"on": 6444, "off": 6445}
_CAPTURE = ("--audit-", "--tracing-config-file")
_KINDS = ("create", "get", "delete")
_MAPS = "/api/v1/namespaces/default/configmaps"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=30, help="of each kind, alternating (default 30)")
    parser.add_argument("--requests", type=int, default=40, help="of each kind in a block (default 40)")
    options = parser.parse_args()
    components.ensure()
    lab = labkit.up("bench-capture", provider="rootless", progress=Progress())
    try:
        ours, theirs = multiprocessing.Pipe()
        follower = multiprocessing.get_context("spawn").Process(target=_follow, args=(lab.name, theirs), daemon=True)
        follower.start()
        assert ours.recv() == "following"
        assert follower.pid is not None
        _cost(lab, follower.pid, options.blocks, options.requests)
        _delay(lab, ours)
        follower.join()
    finally:
        lab.down()


def _cost(lab: Lab, follower: int, blocks: int, requests: int) -> None:
    # Asked for once: of several API servers `pidof` names the newest first.
    words, variables = _command_line(lab)
    clients = {name: _Client(lab, _start_twin(lab, name, words, variables)) for name in _PORTS}
    for client in clients.values():
        client.wait_until_ready()
        _block(client, "warm", 100)
    latencies: dict[tuple[str, str], list[float]] = defaultdict(list)
    medians: dict[str, list[float]] = defaultdict(list)
    for number in range(blocks):
        for name in sorted(clients, reverse=bool(number % 2)):
            os.kill(follower, signal.SIGCONT if name == "on" else signal.SIGSTOP)
            time.sleep(0.2)
            block = dict(_block(clients[name], f"{name}-{number}", requests))
            for kind, seconds in block.items():
                latencies[name, kind] += seconds
            medians[name].append(statistics.median(itertools.chain.from_iterable(block.values())))
    os.kill(follower, signal.SIGCONT)
    for name in _PORTS:
        latencies[name, "all"] = [seconds for kind in _KINDS for seconds in latencies[name, kind]]
    for kind in (*_KINDS, "all"):
        on, off = (statistics.median(latencies[name, kind]) * 1000 for name in ("on", "off"))
        count = len(latencies["on", kind])
        print(f"{kind:8} median of {count}: on {on:.3f} ms, off {off:.3f} ms, ratio {on / off:.3f}")
    ratios = [on / off for on, off in zip(medians["on"], medians["off"], strict=True)]
    low, high = _interval(ratios)
    print(
        f"ratio of neighbouring blocks: median {statistics.median(ratios):.3f}, "
        f"with 95 % certainty between {low:.3f} and {high:.3f}"
    )


def _interval(figures: list[float]) -> tuple[float, float]:
    """Return between what the median lies with 95 % certainty, by drawing as many figures from these again and again.

    en.wikipedia.org/wiki/Bootstrapping_(statistics), "percentile bootstrap".
    """
    chance = random.Random(1)  # noqa: S311 - the same draws in each run
    medians = sorted(statistics.median(chance.choices(figures, k=len(figures))) for _ in range(2000))
    return medians[50], medians[-51]


def _command_line(lab: Lab) -> list[list[str]]:
    """Return the words with which the lab's own API server was started, and its environment."""
    place = "/proc/$(pidof kube-apiserver)"
    node = lab.nodes[lab.spec.node_names[0]]
    return [node.exec(f"tr '\\0' '\\n' <{place}/{of}").split("\n") for of in ("cmdline", "environ")]


def _start_twin(lab: Lab, name: str, words: list[str], variables: list[str]) -> int:
    """Start one more API server on the control plane's node; return its port there."""
    node = lab.spec.node_names[0]
    arguments = [word for word in words if name == "on" or not word.startswith(_CAPTURE)]
    replaced = {
        "--secure-port": str(_PORTS[name]),
        "--audit-log-path": f"/var/log/kubernetes/audit-{name}/audit.log",
        "--endpoint-reconciler-type": "none",  # the lab's own stays the Service's only endpoint
    }
    kept = [word for word in arguments if word.partition("=")[0] not in replaced]
    added = [f"{flag}={value}" for flag, value in replaced.items() if name == "on" or not flag.startswith(_CAPTURE)]
    environment = ["env", *(each for each in variables if each.startswith(("GOGC=", "OTEL_")))]
    subprocess.Popen(  # ends with the lab
        lab.cluster.node_command(node, [*environment, *kept, *added]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    return _PORTS[name]


class _Client:
    """A kept connection to one API server of the lab, as its administrator."""

    def __init__(self, lab: Lab, port: int) -> None:
        config = yaml.safe_load(lab.kubeconfig.read_text())
        authority, user = config["clusters"][0]["cluster"]["certificate-authority-data"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=b64decode(authority).decode())
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(b64decode(user["client-certificate-data"]) + b"\n" + b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        local = lab.cluster.forward(lab.spec.advertise_address, port)
        self._connection = http.client.HTTPSConnection("127.0.0.1", local, context=context, timeout=60)

    def ask(self, verb: str, path: str, body: object = None) -> float:
        """Return the seconds that one request took."""
        data = None if body is None else json.dumps(body)
        started = time.perf_counter()
        self._connection.request(verb, path, data, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        response.read()
        seconds = time.perf_counter() - started
        assert response.status < 300, (verb, path, response.status)
        return seconds

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.ask("GET", "/readyz")
            except (OSError, AssertionError, http.client.HTTPException):
                self._connection.close()
                assert time.monotonic() < deadline, "the API server does not become ready"
                time.sleep(0.2)
            else:
                return


def _block(client: _Client, name: str, count: int) -> list[tuple[str, list[float]]]:
    names = [f"{name}-{number}" for number in range(count)]
    bodies = [{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": each}} for each in names]
    return [
        ("create", [client.ask("POST", _MAPS, body) for body in bodies]),
        ("get", [client.ask("GET", f"{_MAPS}/{each}") for each in names]),
        ("delete", [client.ask("DELETE", f"{_MAPS}/{each}") for each in names]),
    ]


def _delay(lab: Lab, follower: Connection) -> None:
    """Make requests at odd moments to the lab's own API server, whose audit log is followed."""
    client = _Client(lab, 6443)
    chance = random.Random(1)  # noqa: S311 - the same moments in each run
    started = datetime.now(UTC)
    for number in range(100):
        client.ask("POST", _MAPS, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": f"delay-{number}"}})
        time.sleep(chance.uniform(0.02, 0.2))
    time.sleep(0.5)
    follower.send("end")
    delays = sorted(delay for staged, delay in follower.recv() if staged >= started)
    p50, p95 = (delays[int(len(delays) * part)] * 1000 for part in (0.5, 0.95))
    print(
        f"delay of {len(delays)} audit events, polled each {_POLL_SECONDS * 1000:.0f} ms: "
        f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, longest {delays[-1] * 1000:.0f} ms"
    )


def _follow(name: str, pipe: Connection) -> None:
    """Follow a lab's evidence until told to end; send when each audit event was complete and how long it took."""
    delays: list[tuple[datetime, float]] = []
    with LiveEvidence.from_now(labkit.attach(name).cluster) as live:
        pipe.send("following")
        while not pipe.poll():
            evidence = live.poll()
            now = datetime.now(UTC)
            delays += [(event.staged, (now - event.staged).total_seconds()) for event in evidence.audit]
            time.sleep(_POLL_SECONDS)
    pipe.send(delays)


if __name__ == "__main__":
    main()
