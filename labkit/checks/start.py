"""The exercises of notebook 00: who asked for what, which nodes got no points, a deployment of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from labkit.checks import objects
from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.flow import Flow, Hop
from labkit.flow.attempts import SchedulingDecision
from labkit.lab import Lab

#: What is asked for when a deployment is made, and how the request is known: its resource and subresource.
_REQUESTS = {
    "the deployment": ("deployments", ""),
    "the replica set": ("replicasets", ""),
    "the pod": ("pods", ""),
    "the pod's node": ("pods", "binding"),
}
THINGS = tuple(_REQUESTS)
_SERVICE_LABEL = "kubernetes.io/service-name"  # discovery.k8s.io/v1, LabelServiceName


def asked_for(flow: Flow, answer: Mapping[str, str | None]) -> Verdict:
    """Check who sent the requests that created things.

    Parameters
    ----------
    flow : Flow
        Of a deployment that was made.
    answer : mapping of str to str or None
        For each of `THINGS` the name of who asked for it, as the flow's picture has it.
    """
    if any(answer.get(thing) is None for thing in THINGS):
        return unanswered('for each of them a name, for example "kubelet", as it stands in the picture')
    created = {thing: _created(flow, thing) for thing in THINGS}
    if lacking := [thing for thing, hop in created.items() if hop is None]:
        return Verdict(None, f"This flow has no request for {lacking[0]}; deploy anew.")
    wrong = [thing for thing, hop in created.items() if hop and not _is_by(hop, answer[thing])]
    if not wrong:
        return Verdict(True, "Four requests, by four who never call each other.", _told(created))
    evidence = tuple(dict.fromkeys(_sent(flow, answer[thing]) for thing in wrong))
    return Verdict(False, f"{len(wrong)} of your {len(THINGS)} did not ask for that. See what they did.", evidence)


def without_points(decision: SchedulingDecision, answer: Iterable[str] | str | None) -> Verdict:
    """Check which nodes were dropped before the scheduler gave points.

    Parameters
    ----------
    decision : SchedulingDecision
        As `labkit.lab.Lab.why` gives it.
    answer : str, iterable of str, or None
        The nodes' names.
    """
    if answer is None:
        return unanswered('a set of nodes\' names, for example {"node-07"}')
    given = {answer} if isinstance(answer, str) else set(answer)
    attempt = decision.attempts[-1]
    judged = {each.node: each.judgement for each in attempt.verdicts}
    if unknown := sorted(given - judged.keys()):
        return Verdict(False, f"There is no node {unknown[0]}.", (f"the nodes are {', '.join(judged)}",))
    dropped = {node for node, judgement in judged.items() if judgement == "rejected"}
    if wrong := sorted(given - dropped):
        points = tuple(f"{node}: {judged[node]}, {attempt.sums.get(node, 'no')} points" for node in wrong)
        return Verdict(False, f"{len(wrong)} of your {len(given)} could have had the pod.", points)
    if missing := len(dropped - given):
        return Verdict(False, f"{missing} more could not have had it.", (f"nodes with points: {len(attempt.sums)}",))
    reasons = tuple(f"{each.node}: {each.reason}" for each in attempt.verdicts if each.node in dropped)
    return Verdict(True, "Nothing was counted for a node on which the pod may not run.", reasons)


@looks
def served(lab: Lab, name: str, replicas: int) -> Verdict:
    """Check that a deployment has as many Ready pods as it should, and that a Service of its name leads to them.

    Parameters
    ----------
    lab : Lab
        Where to look.
    name : str
        The deployment's and the Service's, in namespace default.
    replicas : int
        How many pods.
    """
    with lab.api_server() as api:
        deployment = objects.deployment(api, name)
        pods = objects.pods_of(api, name)
        service = api.get(f"/api/v1/namespaces/default/services/{quote(name, safe='')}")
        label = quote(f"{_SERVICE_LABEL}={name}", safe="")
        slices = api.get(f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector={label}")
    if deployment is None:
        return Verdict(None, f"There is no deployment {name} yet.")
    wanted, ready = deployment["spec"]["replicas"], deployment["status"].get("readyReplicas", 0)
    evidence = (f"deployment {name}: {ready} of {wanted} pods are Ready", *map(_state, pods))
    if wanted != replicas:
        return Verdict(False, f"The deployment asks for another number of pods than {replicas}.", evidence)
    if ready != replicas:
        return Verdict(False, "Not all pods are Ready. Wait a little, or read why.", evidence)
    if service is None:
        return Verdict(False, f"No Service is called {name}: the pods have no common address.", evidence)
    leads = [address for found in (slices or {"items": []})["items"] for address in _ready(found)]
    led = f"Service {name}, {service['spec'].get('clusterIP')}: leads to {', '.join(leads) or 'nobody'}"
    if sorted(leads) != sorted(pod["status"].get("podIP", "") for pod in pods):
        return Verdict(False, "The Service leads elsewhere than to these pods.", (*evidence, led))
    return Verdict(True, "The pods are Ready, and one address leads to all of them.", (*evidence, led))


def _created(flow: Flow, thing: str) -> Hop | None:
    found = (hop for hop in flow.requests if hop.verb == "create" and not hop.failed)
    return next((hop for hop in found if (hop.object.resource, hop.object.subresource) == _REQUESTS[thing]), None)


def _told(created: Mapping[str, Hop | None]) -> tuple[str, ...]:
    return tuple(f"{thing}: hop {hop.number}, {hop.evidence[0]}" for thing, hop in created.items() if hop)


def _is_by(hop: Hop, name: str | None) -> bool:
    """Whether a hop's source has a name, as pictures have it (``scheduler``) or as its program (``kube-scheduler``)."""
    return name is not None and name.strip() in {hop.source.name, hop.source.id}


def _sent(flow: Flow, name: str | None) -> str:
    """Return in a line what somebody asked the API server to do."""
    found = dict.fromkeys(f"hop {hop.number}: {hop.what}" for hop in flow.requests if _is_by(hop, name))
    if found:
        return f"{name} sent {'; '.join(found)}"
    known = sorted({hop.source.name for hop in flow.requests})
    return f"{name!r} sent nothing; these did: {', '.join(known)}"


def _state(pod: Mapping[str, Any]) -> str:
    status = pod["status"]
    waiting = [
        each["state"]["waiting"].get("reason", "")
        for each in status.get("containerStatuses", ())
        if "waiting" in each["state"]
    ]
    node = pod["spec"].get("nodeName", "no node")
    return f"pod {pod['metadata']['name']} on {node}: {', '.join([status.get('phase', 'unknown'), *waiting])}"


def _ready(endpoint_slice: Mapping[str, Any]) -> list[str]:
    """Return the addresses of an EndpointSlice to which new connections may go."""
    found = [each for each in endpoint_slice.get("endpoints") or () if each["conditions"].get("ready")]
    return [address for each in found for address in each["addresses"]]
