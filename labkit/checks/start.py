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
from labkit.language import gettext, gettext_noop

#: What is asked for when a deployment is made, and how the request is known: its resource and subresource.
_REQUESTS = {
    gettext_noop("the deployment"): ("deployments", ""),
    gettext_noop("the replica set"): ("replicasets", ""),
    gettext_noop("the pod"): ("pods", ""),
    gettext_noop("the pod's node"): ("pods", "binding"),
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
        return unanswered(gettext('for each of them a name, for example "kubelet", as it stands in the picture'))
    created = {thing: _created(flow, thing) for thing in THINGS}
    if lacking := [thing for thing, hop in created.items() if hop is None]:
        return Verdict(
            None, gettext("This flow has no request for {thing}; deploy anew.").format(thing=gettext(lacking[0]))
        )
    wrong = [thing for thing, hop in created.items() if hop and not _is_by(hop, answer[thing])]
    if not wrong:
        return Verdict(True, gettext("Four requests, by four who never call each other."), _told(created))
    evidence = tuple(dict.fromkeys(_sent(flow, answer[thing]) for thing in wrong))
    return Verdict(
        False,
        gettext("{wrong} of your {asked} did not ask for that. See what they did.").format(
            wrong=len(wrong), asked=len(THINGS)
        ),
        evidence,
    )


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
        return unanswered(gettext('a set of nodes\' names, for example {"node-07"}'))
    given = {answer} if isinstance(answer, str) else set(answer)
    attempt = decision.attempts[-1]
    judged = {each.node: each.judgement for each in attempt.verdicts}
    if unknown := sorted(given - judged.keys()):
        return Verdict(
            False,
            gettext("There is no node {unknown}.").format(unknown=unknown[0]),
            (gettext("the nodes are {nodes}").format(nodes=", ".join(judged)),),
        )
    dropped = {node for node, judgement in judged.items() if judgement == "rejected"}
    if wrong := sorted(given - dropped):
        points = tuple(_points(node, judged[node], attempt.sums.get(node)) for node in wrong)
        return Verdict(
            False,
            gettext("{wrong} of your {given} could have had the pod.").format(wrong=len(wrong), given=len(given)),
            points,
        )
    if missing := len(dropped - given):
        return Verdict(
            False,
            gettext("{missing} more could not have had it.").format(missing=missing),
            (gettext("nodes with points: {count}").format(count=len(attempt.sums)),),
        )
    reasons = tuple(f"{each.node}: {each.reason}" for each in attempt.verdicts if each.node in dropped)
    return Verdict(True, gettext("Nothing was counted for a node on which the pod may not run."), reasons)


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
        pods = objects.staying_pods_of(api, name)
        service = api.get(f"/api/v1/namespaces/default/services/{quote(name, safe='')}")
        label = quote(f"{_SERVICE_LABEL}={name}", safe="")
        slices = api.get(f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector={label}")
    if deployment is None:
        return Verdict(None, gettext("There is no deployment {name} yet.").format(name=name))
    wanted, ready = deployment["spec"]["replicas"], deployment["status"].get("readyReplicas", 0)
    evidence = (
        gettext("deployment {name}: {ready} of {wanted} pods are Ready").format(name=name, ready=ready, wanted=wanted),
        *map(_state, pods),
    )
    if wanted != replicas:
        return Verdict(
            False,
            gettext("The deployment asks for another number of pods than {replicas}.").format(replicas=replicas),
            evidence,
        )
    if ready != replicas:
        return Verdict(False, gettext("Not all pods are Ready. Wait a little, or read why."), evidence)
    if service is None:
        return Verdict(
            False, gettext("No Service is called {name}: the pods have no common address.").format(name=name), evidence
        )
    leads = [address for found in (slices or {"items": []})["items"] for address in _ready(found)]
    led = gettext("Service {name}, {ip}: leads to {leads}").format(
        name=name, ip=service["spec"].get("clusterIP"), leads=", ".join(leads) or gettext("nobody")
    )
    if sorted(leads) != sorted(pod["status"].get("podIP", "") for pod in pods):
        return Verdict(False, gettext("The Service leads elsewhere than to these pods."), (*evidence, led))
    return Verdict(True, gettext("The pods are Ready, and one address leads to all of them."), (*evidence, led))


def _points(node: str, judgement: str, points: int | None) -> str:
    """Return in a line what a node's points are, if it has any."""
    if points is None:
        return gettext("{node}: {judgement}, no points").format(node=node, judgement=gettext(judgement))
    return gettext("{node}: {judgement}, {points} points").format(
        node=node, judgement=gettext(judgement), points=points
    )


def _created(flow: Flow, thing: str) -> Hop | None:
    found = (hop for hop in flow.requests if hop.verb == "create" and not hop.failed)
    return next((hop for hop in found if (hop.object.resource, hop.object.subresource) == _REQUESTS[thing]), None)


def _told(created: Mapping[str, Hop | None]) -> tuple[str, ...]:
    return tuple(
        gettext("{thing}: hop {number}, {evidence}").format(
            thing=gettext(thing), number=hop.number, evidence=hop.evidence[0]
        )
        for thing, hop in created.items()
        if hop
    )


def _is_by(hop: Hop, name: str | None) -> bool:
    """Whether a hop's source has a name, as pictures have it (``scheduler``) or as its program (``kube-scheduler``)."""
    return name is not None and name.strip() in {hop.source.name, hop.source.id}


def _sent(flow: Flow, name: str | None) -> str:
    """Return in a line what somebody asked the API server to do."""
    found = dict.fromkeys(
        gettext("hop {number}: {what}").format(number=hop.number, what=hop.what)
        for hop in flow.requests
        if _is_by(hop, name)
    )
    if found:
        return gettext("{name} sent {requests}").format(name=name, requests="; ".join(found))
    known = sorted({hop.source.name for hop in flow.requests})
    return gettext("{name!r} sent nothing; these did: {known}").format(name=name, known=", ".join(known))


def _state(pod: Mapping[str, Any]) -> str:
    status = pod["status"]
    waiting = [
        each["state"]["waiting"].get("reason", "")
        for each in status.get("containerStatuses", ())
        if "waiting" in each["state"]
    ]
    node = pod["spec"].get("nodeName", gettext("no node"))
    return gettext("pod {name} on {node}: {states}").format(
        name=pod["metadata"]["name"], node=node, states=", ".join([status.get("phase", "unknown"), *waiting])
    )


def _ready(endpoint_slice: Mapping[str, Any]) -> list[str]:
    """Return the addresses of an EndpointSlice to which new connections may go."""
    found = [each for each in endpoint_slice.get("endpoints") or () if each["conditions"].get("ready")]
    return [address for each in found for address in each["addresses"]]
