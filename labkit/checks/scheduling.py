"""The exercises of notebook 04: which plugin turned a node down, and pods sent to a node of one's choice."""

from __future__ import annotations

from typing import Any

from labkit.checks import objects
from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.flow.attempts import SchedulingDecision
from labkit.lab import Lab
from labkit.language import gettext

_HOSTNAME = "kubernetes.io/hostname"  # k8s.io/api/core/v1, LabelHostname


def turned_down_by(decision: SchedulingDecision, node: str, answer: str | None) -> Verdict:
    """Check which of the scheduler's plugins turned a node down.

    Parameters
    ----------
    decision : SchedulingDecision
        As `labkit.lab.Lab.why` gives it.
    node : str
        The node's name.
    answer : str or None
        The plugin's name.
    """
    if answer is None:
        return unanswered(gettext('a plugin\'s name, for example "NodeName"'))
    verdicts = decision.attempts[-1].verdicts
    evidence = tuple(f"{each.node}: {gettext(each.judgement)}{_because(each.reason)}" for each in verdicts)
    own = [each for each in verdicts if each.node == node]
    if not own or own[0].judgement != "rejected":
        return Verdict(None, gettext("{node} was not turned down in this decision.").format(node=node), evidence)
    if answer.strip() == own[0].plugin:
        return Verdict(
            True,
            gettext("It looked at {node}, and this is what it found.").format(node=node),
            (f"{node}: {own[0].reason}",),
        )
    others = {each.plugin for each in verdicts if each.plugin and each.node != node}
    if answer.strip() in others:
        return Verdict(
            False, gettext("{answer} turned another node down, not {node}.").format(answer=answer, node=node), evidence
        )
    return Verdict(
        False,
        gettext("{answer} turned no node down. Read why {node} was rejected.").format(answer=answer, node=node),
        evidence,
    )


@looks
def sent_to(lab: Lab, deployment: str, node: str) -> Verdict:
    """Check that a deployment's pods run on a node because they ask for it, and not by chance.

    Parameters
    ----------
    lab : Lab
        Where to look.
    deployment, node : str
        Their names.
    """
    with lab.api_server() as api:
        found = objects.deployment(api, deployment)
        pods = objects.staying_pods_of(api, deployment)
        labels = (api.get(f"/api/v1/nodes/{node}") or {"metadata": {"labels": {}}})["metadata"]["labels"]
    if found is None:
        return Verdict(None, gettext("There is no deployment {name} yet.").format(name=deployment))
    spec = found["spec"]["template"]["spec"]
    evidence = (
        gettext("the deployment asks for: {asked}").format(asked=_asks(spec)),
        *(
            gettext("pod {name}: node {node}").format(
                name=pod["metadata"]["name"], node=pod["spec"].get("nodeName", gettext("none"))
            )
            for pod in pods
        ),
    )
    selector = spec.get("nodeSelector") or {}
    if why := _not_by_label(spec):
        return Verdict(False, why, evidence)
    if any(labels.get(key) != value for key, value in selector.items()):
        return Verdict(
            False,
            gettext("{node} does not have what the pods ask for.").format(node=node),
            (*evidence, gettext("{node} has: {labels}").format(node=node, labels=_own(labels))),
        )
    elsewhere = [pod for pod in pods if pod["spec"].get("nodeName") != node]
    if not pods:
        return Verdict(False, gettext("No pods run elsewhere than on {node}.").format(node=node), evidence)
    if elsewhere:
        return Verdict(
            False,
            gettext("{count} pods run elsewhere than on {node}.").format(count=len(elsewhere), node=node),
            evidence,
        )
    return Verdict(True, gettext("The pods ask for a label, and {node} has it.").format(node=node), evidence)


def _not_by_label(spec: dict[str, Any]) -> str:
    """Return why a pod's node is not chosen by a label of one's own; empty where it is."""
    selector = spec.get("nodeSelector") or {}
    if spec.get("nodeName"):
        return gettext("nodeName passes the scheduler by: nobody has checked the node. Use a label.")
    if not selector and not (spec.get("affinity") or {}).get("nodeAffinity"):
        return gettext("The pods ask for no node: where they run is up to the scheduler.")
    if _HOSTNAME in selector:
        return gettext("That names the node itself. Give the node a label of yours, and ask for that.")
    return ""


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _asks(spec: dict[str, Any]) -> str:
    if spec.get("nodeName"):
        return gettext("nodeName {node}").format(node=spec["nodeName"])
    asked = [f"{key}={value}" for key, value in (spec.get("nodeSelector") or {}).items()]
    asked += [gettext("node affinity")] * bool((spec.get("affinity") or {}).get("nodeAffinity"))
    return ", ".join(asked) or gettext("no node")


def _own(labels: dict[str, str]) -> str:
    """Return a node's labels but those that every node has."""
    return ", ".join(f"{key}={value}" for key, value in labels.items() if "kubernetes.io/" not in key) or gettext(
        "no own label"
    )
