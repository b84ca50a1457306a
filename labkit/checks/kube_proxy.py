"""The exercises of notebook 06: shares by rules, whose rules they are, where a packet went, why a Service refuses."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from labkit.checks import objects
from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.lab import Lab
from labkit.lab.shown import TracedPacket
from labkit.language import gettext, gettext_noop
from labkit.proxy.model import Endpoint, Mode, NodeRules

NO_POD = gettext_noop("no pod has the labels that the Service asks for")
NOT_READY = gettext_noop("there are such pods, but none of them is Ready")
NO_PORT = gettext_noop("the pods are Ready, but nothing listens on the port that the Service leads to")
NO_RULES = gettext_noop("kube-proxy has not written a rule for the Service")
#: Why a Service may refuse connections.
REASONS = (NO_POD, NOT_READY, NO_PORT, NO_RULES)

_PROBABILITY = re.compile(r"--probability (\S+)")
_TOLERANCE = 0.01  # a share that is right to the percent is right
_SYNC_SECONDS = 4.0  # kube-proxy waits up to a second between two rounds
_POLL_SECONDS = 0.2
#: What the rules of a mode look like.
_LOOKS: Mapping[Mode, str] = {
    "iptables": gettext_noop("lines that begin with -A and a chain KUBE-…, one after the other"),
    "nftables": gettext_noop("a map service-ips, and chains that end in vmap or goto"),
    "ipvs": gettext_noop("virtual servers, each followed by its real servers"),
}


def share(rules: NodeRules, service: str, number: int, answer: str | None) -> Verdict:
    """Check which share of a Service's new connections one of its rules takes, in iptables mode.

    Parameters
    ----------
    rules : NodeRules
        Of a node.
    service : str
        ``"tomcat"``, in namespace default.
    number : int
        Which of the rules that choose an endpoint, from 1.
    answer : str or None
        In percent of all new connections: ``"12"``.
    """
    if answer is None:
        return unanswered(gettext('a number of percent, for example "12"'))
    chosen = _in_order(rules, service)
    if not 1 <= number <= len(chosen):
        return Verdict(
            None,
            gettext("{node} has no rule {number} of {service} that iptables mode wrote.").format(
                node=rules.node, number=number, service=service
            ),
        )
    try:
        given = float(str(answer).strip().removesuffix("%").replace(",", ".")) / 100
    except ValueError:
        return Verdict(False, gettext("{answer!r} is no number of percent.").format(answer=answer))
    told = tuple(
        gettext("rule {place}: {told}").format(place=place, told=_number_in(each))
        for place, each in enumerate(chosen, 1)
    )
    asked = chosen[number - 1]
    if abs(given - asked.probability) <= _TOLERANCE:
        return Verdict(
            True, gettext("A rule's number is a share of the connections that come to it, not of all."), told
        )
    if abs(given - _own_number(asked)) <= _TOLERANCE:
        why = gettext(
            "That is the number in rule {number}. Only what the rules before it did not take comes to rule {number}."
        ).format(number=number)
        return Verdict(False, why, told)
    return Verdict(False, gettext("Follow 300 connections: how many does each rule take, and how many go on?"), told)


def written_by(rules: NodeRules, answer: str | None) -> Verdict:
    """Check which of kube-proxy's modes wrote a node's rules.

    Parameters
    ----------
    rules : NodeRules
        Of the node.
    answer : str or None
        A mode's name.
    """
    if answer is None:
        return unanswered(gettext("the name of a mode"))
    sample = tuple(rule for port in rules.ports[:1] for rule in port.rules[:3])
    looks = {str(mode): gettext(look) for mode, look in _LOOKS.items()}
    if answer not in looks:
        return Verdict(False, gettext("kube-proxy has no mode {answer!r}.").format(answer=answer), (", ".join(looks),))
    if answer == rules.mode:
        return Verdict(True, gettext("{node}'s kernel has {look}.").format(node=rules.node, look=looks[answer]), sample)
    return Verdict(
        False,
        gettext("In {answer} mode there would be {look}. Compare.").format(answer=answer, look=looks[answer]),
        sample,
    )


@looks
def reached(lab: Lab, packet: TracedPacket, answer: str | None) -> Verdict:
    """Check which pod a packet to a Service reached.

    Parameters
    ----------
    lab : Lab
        Where it was sent.
    packet : TracedPacket
        As `labkit.lab.proxy.LabProxy.trace` gives it.
    answer : str or None
        The pod's name, or its address.
    """
    if answer is None:
        return unanswered(gettext("a pod's name"))
    path = packet.path
    rewritten = tuple(f"{step.chain}: {step.rule}" for step in path.steps if step.translation == "DNAT")
    if path.endpoint is None or not rewritten:
        return Verdict(None, gettext("No rule gave this packet a pod's address. Send another."))
    namespace = path.request.service.partition("/")[0]
    with lab.api_server() as api:
        listed = api.get(f"/api/v1/namespaces/{quote(namespace)}/pods") or {"items": []}
    addresses = {pod["metadata"]["name"]: pod["status"].get("podIP", "") for pod in listed["items"]}
    given = answer.strip().removeprefix("pod/").partition(":")[0]
    if given == path.request.destination.ip:
        return Verdict(
            False, gettext("That is the address that the client asked for. A rule put another in its place.")
        )
    address = addresses.get(given, given if given in addresses.values() else "")
    if not address:
        return Verdict(
            False,
            gettext("No pod in namespace {namespace} has the name or the address {given!r}.").format(
                namespace=namespace, given=given
            ),
        )
    if address == path.endpoint.ip:
        return Verdict(
            True, gettext("This rule gave the packet the address {address}.").format(address=address), rewritten
        )
    evidence = (gettext("{given} has the address {address}").format(given=given, address=address), *rewritten)
    return Verdict(False, gettext("That pod has another address than the packet was given."), evidence)


@looks
def refused(lab: Lab, service: str, answer: str | None) -> Verdict:
    """Check why a Service refuses connections.

    Parameters
    ----------
    lab : Lab
        Where.
    service : str
        Its name, in namespace default.
    answer : str or None
        One of `REASONS`.
    """
    if answer is None:
        return unanswered(gettext("one of these: {reasons}").format(reasons="; ".join(map(gettext, REASONS))))
    if answer not in REASONS:
        return Verdict(False, gettext("That is none of the reasons."), tuple(map(gettext, REASONS)))
    facts = _facts(lab, service)
    if facts is None:
        return Verdict(None, gettext("There is no Service {name}.").format(name=service))
    reason = _reason(lab, facts)
    if reason is None:
        return Verdict(
            None, gettext("{service} refuses nobody now: a request was answered.").format(service=service), facts.lines
        )
    if answer == reason:
        return Verdict(True, gettext("The API's objects and the node's rules say the same."), facts.lines)
    return Verdict(False, _objection(facts, answer), facts.lines)


@looks
def leads_to(lab: Lab, service: str, deployment: str) -> Verdict:
    """Check that a Service leads to the Ready pods of a deployment, on every node, and that they answer.

    Parameters
    ----------
    lab : Lab
        Where.
    service, deployment : str
        Their names, in namespace default.
    """
    with lab.api_server() as api:
        found = objects.deployment(api, deployment)
    facts = _facts(lab, service)
    if facts is None or found is None:
        none = gettext("There is no Service {name}.") if found else gettext("There is no deployment {name}.")
        return Verdict(None, none.format(name=service if found else deployment))
    labels = found["spec"]["selector"]["matchLabels"]
    own = {pod["status"].get("podIP", "") for pod in _pods(lab, labels) if _ready(pod)}
    if not facts.pods:
        has = gettext("the pods of deployment {deployment} have: {labels}").format(
            deployment=deployment, labels=_words(found["spec"]["template"]["metadata"]["labels"])
        )
        return Verdict(False, gettext("The Service asks for labels that no pod has."), (*facts.lines, has))
    if not own:
        return Verdict(False, gettext("No pod of {deployment} is Ready.").format(deployment=deployment), facts.lines)
    _await_kube_proxy(lab)
    if astray := _astray(lab, service, own):
        why = gettext("The rules lead elsewhere than to the {count} pods of {deployment}.")
        return Verdict(False, why.format(count=len(own), deployment=deployment), (*facts.lines, astray))
    path = lab.proxy.trace(f"svc/{service}").path
    sent = gettext("a request from {client} to {destination}: {result}, {answer}").format(
        client=path.request.client, destination=path.request.destination, result=path.result, answer=path.answer
    )
    if path.status is None:
        return Verdict(False, gettext("The rules lead to the pods, and no answer comes back."), (*facts.lines, sent))
    return Verdict(
        True,
        gettext("Every node leads {service} to the pods of {deployment}.").format(
            service=service, deployment=deployment
        ),
        (*facts.lines, sent),
    )


def _astray(lab: Lab, service: str, own: set[str]) -> str:
    """Return where the first node that leads a Service elsewhere leads it; empty where there is none."""
    for node in lab.nodes:
        leads = {each.ip for port in lab.proxy.rules(node.name).of(service).ports for each in port.endpoints}
        if leads != own:
            addresses = ", ".join(sorted(leads)) or gettext("nowhere")
            return gettext("{node}'s rules lead to: {addresses}").format(node=node.name, addresses=addresses)
    return ""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the API and the control plane's rules say of a Service."""

    service: str
    pods: tuple[dict[str, Any], ...]
    rules: NodeRules
    lines: tuple[str, ...]


def _facts(lab: Lab, service: str) -> _Facts | None:
    with lab.api_server() as api:
        found = api.get(f"/api/v1/namespaces/default/services/{quote(service, safe='')}")
    if found is None:
        return None
    selector = found["spec"].get("selector") or {}
    pods = _pods(lab, selector) if selector else ()
    rules = lab.proxy.rules().of(service)
    ready = sum(map(_ready, pods))
    says = [str(refusal) for port in rules.ports for refusal in port.refusals]
    says += [str(endpoint) for port in rules.ports for endpoint in port.endpoints]
    lines = (
        gettext("Service {service} asks for: {labels}").format(
            service=service, labels=_words(selector) or gettext("nothing")
        ),
        gettext("pods with that: {count}, Ready: {ready}").format(count=len(pods), ready=ready),
        gettext("the rules on {node}: {says}").format(node=rules.node, says=", ".join(says) or gettext("none")),
    )
    return _Facts(service, pods, rules, lines)


def _reason(lab: Lab, facts: _Facts) -> str | None:
    """Return why a Service refuses connections; None where it does not."""
    if not facts.rules.ports:
        return NO_RULES
    if not facts.pods:
        return NO_POD
    if not any(map(_ready, facts.pods)):
        return NOT_READY
    return None if lab.proxy.trace(f"svc/{facts.service}").path.status else NO_PORT


def _objection(facts: _Facts, answer: str) -> str:
    """Return what speaks against a reason that is not the one."""
    ready = sum(map(_ready, facts.pods))
    if answer == NO_POD:
        return gettext("{count} pods have these labels.").format(count=len(facts.pods))
    if answer == NOT_READY:
        return gettext("{ready} of {count} such pods are Ready: is it that?").format(ready=ready, count=len(facts.pods))
    if answer == NO_PORT:
        return gettext("No packet came as far as a port: look where the rules lead.")
    return gettext("A rule for this Service is there. What does it say?")


def _await_kube_proxy(lab: Lab) -> None:
    """Give kube-proxy the time to write on every node what the API says."""
    deadline = time.monotonic() + _SYNC_SECONDS
    while not lab.proxy.check().agrees and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _pods(lab: Lab, labels: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    """Return the pods in namespace default that have labels, without those that are about to go."""
    selector = quote(_words(labels).replace(" ", ""), safe="")
    with lab.api_server() as api:
        listed = api.get(f"/api/v1/namespaces/default/pods?labelSelector={selector}") or {"items": []}
    return tuple(pod for pod in listed["items"] if "deletionTimestamp" not in pod["metadata"])


def _ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())


def _in_order(rules: NodeRules, service: str) -> list[Endpoint]:
    """Return a Service's endpoints as iptables mode's rules choose them: a third, half of what is left, the rest."""
    ports = rules.of(service).ports if rules.mode == "iptables" else ()
    return sorted((each for port in ports[:1] for each in port.endpoints), key=_own_number)


def _own_number(endpoint: Endpoint) -> float:
    """Return the number in the rule that chooses an endpoint; the last rule has none, and takes all."""
    found = _PROBABILITY.search(endpoint.rules[0])
    return float(found[1]) if found else 1.0


def _number_in(endpoint: Endpoint) -> str:
    found = _PROBABILITY.search(endpoint.rules[0])
    return (
        gettext("--probability {probability}, leads to {endpoint}").format(probability=found[1], endpoint=endpoint)
        if found
        else gettext("no probability, leads to {endpoint}").format(endpoint=endpoint)
    )
