"""The exercises of notebook 03: the order of what happens, what is observed or inferred, a cluster held still."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from labkit.checks import objects
from labkit.checks.verdict import Lettered, Verdict, looks, unanswered
from labkit.flow import Flow, Hop
from labkit.flow.story import Story
from labkit.lab import Lab
from labkit.language import gettext, gettext_noop

#: What happens when somebody deploys, and how its hop is known: who does it, with which verb, to what.
_HAPPENINGS = {
    "A": (gettext_noop("the pod is bound to a node"), "kube-scheduler", "create", "pods", "binding"),
    "B": (gettext_noop("a pod is made"), "replicaset-controller", "create", "pods", ""),
    "C": (gettext_noop("the container is started"), "kubelet", "StartContainer", "pods", ""),
    "D": (gettext_noop("the deployment is made"), "kubectl", "create", "deployments", ""),
    "E": (gettext_noop("a replica set is made"), "deployment-controller", "create", "replicasets", ""),
}
#: The same as text, for people.
HAPPENINGS = Lettered({letter: happening[0] for letter, happening in _HAPPENINGS.items()})


def order(flow: Flow, answer: str | None) -> Verdict:
    """Check the order of what happens when a deployment is made.

    Parameters
    ----------
    flow : Flow
        Of a deployment that was made.
    answer : str or None
        The letters of `HAPPENINGS`, the first first: ``"ABCDE"``.
    """
    if answer is None:
        return unanswered(gettext('the letters in order, for example "ABCDE"'))
    letters = [letter for letter in answer.upper() if not letter.isspace() and letter not in ",→>-"]
    if sorted(letters) != sorted(_HAPPENINGS):
        return Verdict(
            False,
            gettext("Each of the letters {letters} must be there once.").format(letters=", ".join(_HAPPENINGS)),
            (answer,),
        )
    hops = {letter: _hop(flow, letter) for letter in letters}
    if missing := [letter for letter, hop in hops.items() if hop is None]:
        return Verdict(
            None,
            gettext("This flow has no evidence that {happening}; deploy anew.").format(
                happening=gettext(_HAPPENINGS[missing[0]][0])
            ),
        )
    told = {letter: _told(flow, letter, hop) for letter, hop in hops.items() if hop}
    for earlier, later in pairwise(letters):
        first, second = hops[earlier], hops[later]
        if first and second and first.start > second.start:
            why = gettext("Two that stand next to each other happened the other way round.")
            return Verdict(False, why, (told[earlier], told[later]))
    return Verdict(
        True, gettext("That is the order in which they happened."), tuple(told[letter] for letter in letters)
    )


def inferred(story: Story, answer: Iterable[int] | int | None) -> Verdict:
    """Check which steps of a story nobody recorded.

    Parameters
    ----------
    story : Story
        Of a deployment.
    answer : int, iterable of int, or None
        Numbers of steps.
    """
    if answer is None:
        return unanswered(gettext("a set of steps' numbers, for example {1, 2}"))
    given = {answer} if isinstance(answer, int) else set(answer)
    steps = {step.number: step for step in story.steps}
    if unknown := given - set(steps):
        return Verdict(
            False,
            gettext("There is no step {number}.").format(number=min(unknown)),
            (gettext("the story has steps 0 to {last}").format(last=max(steps)),),
        )
    right = {number for number, step in steps.items() if step.seen == "inferred"}
    if wrong := sorted(given - right):
        evidence = tuple(
            gettext("step {number}: {seen}; hops {hops}").format(
                number=number,
                seen=gettext(steps[number].seen),
                hops=", ".join(map(str, steps[number].hops)) or gettext("none"),
            )
            for number in wrong
        )
        return Verdict(
            False,
            gettext("{wrong} of your {given} were recorded, or never seen.").format(wrong=len(wrong), given=len(given)),
            evidence,
        )
    if missing := len(right - given):
        return Verdict(
            False, gettext("These were inferred, and {missing} more. Look for dashed arrows.").format(missing=missing)
        )
    return Verdict(
        True, gettext("That a watcher was told of something is in no log: it follows from what it did next.")
    )


@looks
def held(lab: Lab, name: str) -> Verdict:
    """Check that a deployment stands still between step 6 (its pod is stored) and step 8 (the scheduler has chosen).

    Parameters
    ----------
    lab : Lab
        Where to look.
    name : str
        The deployment's.
    """
    with lab.api_server() as api:
        pods = objects.pods_of(api, name)
        deployment = objects.deployment(api, name)
    frozen = ", ".join(lab.frozen) or gettext("nobody")
    evidence = (
        gettext("frozen: {frozen}").format(frozen=frozen),
        *(
            gettext("pod {name}: node {node}").format(
                name=pod["metadata"]["name"], node=pod["spec"].get("nodeName", gettext("none"))
            )
            for pod in pods
        ),
    )
    if deployment is None:
        return Verdict(None, gettext("There is no deployment {name} yet.").format(name=name), evidence)
    if not pods:
        return Verdict(
            False,
            gettext("{name} has no pod: somebody who would make it stands still, too.").format(name=name),
            evidence,
        )
    if placed := [pod for pod in pods if pod["spec"].get("nodeName")]:
        return Verdict(
            False,
            gettext("{placed} of {pods} pods have a node already: who gave it to them?").format(
                placed=len(placed), pods=len(pods)
            ),
            evidence,
        )
    return Verdict(
        True, gettext("The pod of {name} is stored, and nobody has chosen a node.").format(name=name), evidence
    )


def _hop(flow: Flow, letter: str) -> Hop | None:
    _, who, verb, resource, subresource = _HAPPENINGS[letter]
    for hop in flow.hops:
        actor = who in {hop.source.name, hop.source.id} or (who in {"kubectl", "kubelet"} and who in hop.source.id)
        about = (hop.verb, hop.object.resource, hop.object.subresource) == (verb, resource, subresource)
        if actor and about:
            return hop
    return None


def _told(flow: Flow, letter: str, hop: Hop) -> str:
    evidence: Sequence[object] = hop.evidence
    return gettext("{letter} at +{milliseconds:.1f} ms: hop {number}, {evidence}").format(
        letter=letter, milliseconds=flow.milliseconds(hop), number=hop.number, evidence=evidence[0]
    )
