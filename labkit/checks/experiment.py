"""An experiment on the real cluster: what still works while one component stands still, and who does the rest later."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime

from labkit.checks import objects
from labkit.checks.outage import ABILITIES, ANSWERS, KUBECTL, Finding, Outage, Times, answered, read, replied
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError, UsageError
from labkit.lab import Lab, services
from labkit.lab.session.experiments import one_call
from labkit.language import gettext
from labkit.proxy.connections import Counts, asking

#: Seconds for which a component stands still: what works has happened long since.
SECONDS = 4.0
_PATIENCE = 2  # seconds that kubectl waits for an answer, each of the two times
_READY_SECONDS = 60
_SETTLE_SECONDS = 60.0
_POLL_SECONDS = 0.1
IMAGE = "labkit/standin"
#: Ends the processes that have a container's files (namespaces(7)), on its node: no API server is asked.
_END = 'for p in /proc/[0-9]*; do [ "$(readlink $p/ns/mnt)" = "$1" ] && kill -KILL "${p##*/}"; done; true'


def without(
    lab: Lab, component: str, predicted: Mapping[str, bool | None] | None = None, *, service: str = ""
) -> Outage:
    """Hold a component still for four seconds, try what a cluster can do, and see what is done later.

    Meanwhile a Service is asked 20 times a second, the container of a pod ends, and kubectl asks for the nodes and for
    a deployment. Then the component goes on, what was left undone is waited for, and all of it is removed.

    Parameters
    ----------
    lab : Lab
        Where.
    component : str
        As `Lab.freeze` names it; ``"kubelet"`` are those of all workers.
    predicted : mapping of str to bool or None
        Which of `labkit.checks.outage.ABILITIES` will work meanwhile.
    service : str
        Whom to ask, in namespace default; empty for nobody.

    Raises
    ------
    UsageError
        There is no such component or Service, or a prediction is about something else.
    """
    refuse_unknown(predicted or {})
    findings = _tried(lab, component, service)
    return Outage(component, dict(predicted or {}), {each: findings[each] for each in ABILITIES if each in findings})


@one_call
def _tried(lab: Lab, component: str, service: str) -> dict[str, Finding]:
    """Do it, and return what was found; it is the same whatever was predicted."""
    token = uuid.uuid4().hex[:6]
    deployment, pod = f"try-{token}", f"ended-{token}"
    asked = _requests(lab, service) if service else nullcontext()
    try:
        node, files = _victim(lab, pod)
        with still(lab, component):
            began = datetime.now(UTC)
            with asked as counts:
                lab.nodes[node].exec(["sh", "-c", _END, "sh", files])
                refusal = _refusal(lab, f"get nodes --request-timeout={_PATIENCE}s")
                _refusal(lab, f"create deployment {deployment} --image={IMAGE} --request-timeout={_PATIENCE}s")
                time.sleep(max(0.0, SECONDS - (datetime.now(UTC) - began).total_seconds()))
            times = Times(began, datetime.now(UTC))
        _settle(lab, deployment, pod)
        findings = {KUBECTL: replied(refusal), **read(lab.evidence(began), times, deployment, pod)}
    finally:
        lab.kubectl(f"delete deployment {deployment} --ignore-not-found --wait=false")
        lab.kubectl(f"delete pod {pod} --ignore-not-found --wait=false --grace-period=1")
    if counts:
        findings[ANSWERS] = answered(counts)
    return findings


@one_call
def requests(lab: Lab, service: str, seconds: float) -> Counts:
    """Ask a Service 20 times a second, by its cluster IP and from the master, and count the answers.

    Parameters
    ----------
    lab : Lab
        Where.
    service : str
        Its name, in namespace default.
    seconds : float
        For how long.

    Raises
    ------
    UsageError
        There is no such Service.
    """
    with _requests(lab, service) as counts:
        time.sleep(seconds)
    return counts


def refuse_unknown(predicted: Mapping[str, bool | None]) -> None:
    """Refuse predictions of what is not tried.

    Raises
    ------
    UsageError
        One is about something else than `labkit.checks.outage.ABILITIES`.
    """
    if unknown := set(predicted) - set(ABILITIES):
        raise UsageError(
            gettext("Nothing is known of {unknown!r}").format(unknown=", ".join(sorted(unknown))),
            why=gettext("what may happen is: {abilities}").format(abilities="; ".join(map(gettext, ABILITIES))),
            fix=gettext("use these words"),
        )


def _requests(lab: Lab, service: str) -> AbstractContextManager[Counts]:
    """Return the block during which a Service is asked; its address is asked for now, while somebody answers."""
    with lab.api_server() as api:
        address, port = services.address_of(api, f"svc/{service}", None)
    return asking(lab.cluster, lab.nodes[0].name, address, port)


@contextmanager
def still(lab: Lab, component: str) -> Iterator[None]:
    """Hold a component still during the block."""
    every = [f"kubelet/{node.name}" for node in lab.nodes[1:] or lab.nodes]
    with ExitStack() as held:
        for each in every if component == "kubelet" else [component]:
            held.enter_context(lab.freeze(each))
        yield


def _victim(lab: Lab, pod: str) -> tuple[str, str]:
    """Make a pod whose container is going to end; return its node, and the mount namespace of its container."""
    lab.kubectl(f"run {pod} --image={IMAGE}")
    lab.kubectl(f"wait pod {pod} --for=condition=Ready --timeout={_READY_SECONDS}s")
    files = lab.kubectl(["exec", pod, "--", "readlink", "/proc/self/ns/mnt"])
    return lab.kubectl(f"get pod {pod} --output jsonpath={{.spec.nodeName}}"), files


def _refusal(lab: Lab, arguments: str) -> str:
    """Run kubectl, and return what it says at last if it fails; empty if it does not."""
    try:
        lab.kubectl(arguments)
    except ClusterError as error:
        return error.why.splitlines()[-1]
    return ""


def _settle(lab: Lab, deployment: str, pod: str) -> None:
    """Wait until the API server answers, the deployment, if it was stored, is there, and the container runs again."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    with lab.api_server() as api:
        while not _settled(api, deployment, pod) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def _settled(api: ApiServer, deployment: str, pod: str) -> bool:
    ended = api.get(f"/api/v1/namespaces/default/pods/{pod}")
    if ended is None or not ended["status"]["containerStatuses"][0]["restartCount"]:
        return False
    made = objects.deployment(api, deployment)
    return made is None or made["status"].get("readyReplicas") == 1
