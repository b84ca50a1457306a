"""The exercises of notebook 05: who heals what, an update within limits, a pod taken out, pods with a new owner."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from labkit.checks import objects
from labkit.checks.healing import ACCIDENTS, COMPONENTS, accidents, belongs, who, written
from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.errors import EvidenceError
from labkit.flow import ObjectName
from labkit.flow.names import name_of
from labkit.flow.rollout import Count, Rollout
from labkit.lab import Lab
from labkit.lab.owners import reference
from labkit.language import gettext

Json = Mapping[str, Any]
#: ms. A new pod takes longer until it is ready, and so long does an update last that makes it beside the old ones.
_MOMENT = 300.0


@looks
def healed(lab: Lab, deployment: str, answer: Mapping[str, str | None] | None) -> Verdict:
    """Check who brought back what two accidents took away.

    Parameters
    ----------
    lab : Lab
        Where to look.
    deployment : str
        Whose pods had the accidents.
    answer : mapping of str to str, or None
        For each of `labkit.checks.healing.ACCIDENTS` one of `labkit.checks.healing.COMPONENTS`.
    """
    given = {what: name.strip() for what, name in (answer or {}).items() if name}
    if missing := [what for what in ACCIDENTS if what not in given]:
        return unanswered(
            gettext("the name of a component for: {accidents}").format(accidents="; ".join(map(gettext, missing)))
        )
    if unknown := sorted(set(given.values()) - set(COMPONENTS)):
        return Verdict(
            False, gettext("{unknown!r} is none of these.").format(unknown=unknown[0]), (", ".join(COMPONENTS),)
        )
    evidence = lab.evidence_about(ObjectName("deployments", "default", deployment))
    found = {each.what: each for each in accidents(lab, deployment, evidence)}
    if unseen := [what for what in ACCIDENTS if what not in found]:
        return Verdict(
            None,
            gettext("With {deployment} this has not happened yet: {accidents}.").format(
                deployment=deployment, accidents="; ".join(map(gettext, unseen))
            ),
        )
    wrong = [each for each in found.values() if given[each.what] != each.healer]
    if not wrong:
        return Verdict(
            True, gettext("That is who did it."), tuple(line for each in found.values() for line in each.seen)
        )
    lines = tuple(line for each in wrong for line in (*each.seen, each.written_by(given[each.what])))
    return Verdict(
        False,
        gettext("{wrong} of your {asked} did something else.").format(wrong=len(wrong), asked=len(ACCIDENTS)),
        lines,
    )


@looks
def updated_within(lab: Lab, deployment: str, *, most: int, least: int) -> Verdict:
    """Check that the last update of a deployment kept the number of its pods within limits.

    Parameters
    ----------
    lab : Lab
        Where to look.
    deployment : str
        Which; it is to have `most` pods.
    most, least : int
        How many pods there may be, for longer than a moment, that nobody has deleted; and how many must be ready.
    """
    with lab.api_server() as api:
        found = objects.deployment(api, deployment)
    if found is None:
        return Verdict(None, gettext("There is no deployment {name}.").format(name=deployment))
    if why := _unsettled(found, most):
        return Verdict(False, why, (gettext("ready: {ready}").format(ready=found["status"].get("readyReplicas", 0)),))
    strategy = (gettext("the deployment's strategy is now: {strategy}").format(strategy=_strategy(found["spec"])),)
    try:
        rollout = lab.rollout(deployment, action="update").rollout
    except EvidenceError as error:
        return Verdict(None, gettext("There is no update to look at yet."), (str(error).splitlines()[0],))
    counts = rollout.counts()
    if (count := _outside(counts, most, least)) is not None:
        evidence = (gettext("there were: {pods}").format(pods=_alive(rollout, count.at)), *strategy)
        after = f"{count.at / 1000:.1f}"
        if count.alive > most:
            why = gettext("{after} s after {action!r} there were {alive} pods.").format(
                after=after, action=rollout.action, alive=count.alive
            )
        else:
            why = gettext("{after} s after {action!r} there were {ready} ready pods.").format(
                after=after, action=rollout.action, ready=count.ready
            )
        return Verdict(False, why, evidence)
    if len(rollout.versions) < 2:
        return Verdict(None, gettext("The last update made no new pods."), strategy)
    kept = gettext("{action!r} never had more than {most} pods, nor fewer than {least} ready.")
    if any(count.alive > most for count in counts):
        kept = gettext("{action!r} had more than {most} pods only for a moment, and never fewer than {least} ready.")
    return Verdict(True, kept.format(action=rollout.action, most=most, least=least), strategy)


def _outside(counts: Sequence[Count], most: int, least: int) -> Count | None:
    """Return the first moment at which there were too many pods, or too few ready ones; None where there was none.

    The deployment's controller counts the pods that replica sets are to have. Their own controller goes about each by
    itself, so that the new pod may be made a moment before the old one is deleted (rolling.go and replica_set.go of
    Kubernetes' pkg/controller/deployment and replicaset).
    """
    for number, count in enumerate(counts):
        fewer = next((each.at for each in counts[number:] if each.alive <= most), math.inf)
        if count.ready < least or fewer - count.at > _MOMENT:
            return count
    return None


@looks
def taken_out(lab: Lab, deployment: str) -> Verdict:
    """Check that a pod of a deployment goes on running without an owner, and that the deployment has all its pods.

    Parameters
    ----------
    lab : Lab
        Where to look.
    deployment : str
        Whose pod it was.
    """
    with lab.api_server() as api:
        pods = (api.get("/api/v1/namespaces/default/pods") or {"items": []})["items"]
        found = objects.deployment(api, deployment)
    if found is None:
        return Verdict(None, gettext("There is no deployment {name}.").format(name=deployment))
    mine = [pod for pod in pods if belongs(pod, deployment)]
    out = [pod for pod in pods if reference(pod) is None and _made_for(pod) == deployment]
    selector = found["spec"]["selector"]["matchLabels"]
    evidence = (
        gettext("{deployment} selects: {labels}").format(deployment=deployment, labels=_labels(selector)),
        *map(_with_labels, [*mine, *out]),
    )
    if not out:
        return Verdict(
            False,
            gettext("Every pod that was made for {deployment} still has an owner.").format(deployment=deployment),
            evidence,
        )
    if not any(_is_ready(pod) for pod in out):
        return Verdict(False, gettext("The pod is out, and does not run any more."), evidence)
    wanted, ready = found["spec"]["replicas"], sum(map(_is_ready, mine))
    if ready != wanted:
        return Verdict(
            False,
            gettext("{deployment} has {ready} of {wanted} ready pods without it.").format(
                deployment=deployment, ready=ready, wanted=wanted
            ),
            evidence,
        )
    return Verdict(True, gettext("It runs, nobody owns it, and another has taken its place."), evidence)


@looks
def adopted(lab: Lab, deployment: str) -> Verdict:
    """Check that a deployment took over pods that were there before it.

    Parameters
    ----------
    lab : Lab
        Where to look.
    deployment : str
        Its name, which is the former owner's.
    """
    with lab.api_server() as api:
        found = objects.deployment(api, deployment)
        pods = (api.get("/api/v1/namespaces/default/pods") or {"items": []})["items"]
    mine = [pod for pod in pods if belongs(pod, deployment) and "deletionTimestamp" not in pod["metadata"]]
    if found is None:
        return Verdict(
            None,
            gettext("There is no deployment {name}.").format(name=deployment),
            tuple(map(_with_labels, mine)),
        )
    about = ObjectName("deployments", "default", deployment)
    writes = written(lab.evidence_about(about))
    done = [each for each in lab.actions() if each.kind == "create" and not each.refused]
    same = [each.time for each in done if each.object.resource == about.resource and each.object.name == about.name]
    born = max(same, default=_made(found))
    since = [each for each in writes if each.received >= born and each.object and each.object[:2] == ("pods", "")]
    evidence = (
        gettext("deployment {deployment}: made at {time:%H:%M:%S}, wants {wanted} pods").format(
            deployment=deployment, time=_made(found), wanted=found["spec"]["replicas"]
        ),
        *(
            gettext("pod {name}: made at {time:%H:%M:%S}").format(name=pod["metadata"]["name"], time=_made(pod))
            for pod in mine
        ),
    )
    made = {name_of(each).name for each in since if each.verb == "create"}
    young = [pod for pod in mine if pod["metadata"]["name"] in made]
    if young or not mine:
        deleted = Counter(who(each) for each in since if each.verb == "delete")
        lines = tuple(
            gettext("{name} deleted pods {count} times since").format(name=name, count=count)
            for name, count in deleted.items()
        )
        why = gettext("{young} of its {mine} pods were made after the deployment, for it.").format(
            young=len(young), mine=len(mine)
        )
        return Verdict(False, why, (*evidence, *lines))
    if len(mine) != found["spec"]["replicas"]:
        return Verdict(False, gettext("It has {mine} of the pods that it wants.").format(mine=len(mine)), evidence)
    return Verdict(True, gettext("The pods are older than their deployment: it found them, and made none."), evidence)


def _unsettled(deployment: Json, wanted: int) -> str:
    """Return why a deployment does not have the pods that it is to have; empty where it has them."""
    spec, status, name = deployment["spec"], deployment["status"], deployment["metadata"]["name"]
    if spec["replicas"] != wanted:
        return gettext("{name} is to have {wanted} pods, and wants {asked}.").format(
            name=name, wanted=wanted, asked=spec["replicas"]
        )
    counted = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")}
    if counted != {wanted} or status.get("observedGeneration") != deployment["metadata"]["generation"]:
        return gettext("{name} is still on its way to {wanted} pods of one version.").format(name=name, wanted=wanted)
    return ""


def _strategy(spec: Json) -> str:
    strategy = spec["strategy"]
    limits = [f"{key} {value}" for key, value in (strategy.get("rollingUpdate") or {}).items()]
    return ", ".join([strategy["type"], *limits])


def _alive(rollout: Rollout, at: float) -> str:
    """Return the pods that nobody had deleted at a moment, and how each was."""
    phases = {life.name: life.phase(at) for life in rollout.lives}
    return ", ".join(f"{name} ({gettext(phase)})" for name, phase in phases.items() if phase in {"ready", "not ready"})


def _made_for(pod: Json) -> str:
    """Return the deployment for whose replica set a pod was made: its name begins as theirs do."""
    return str(pod["metadata"].get("generateName", "")).removesuffix("-").rpartition("-")[0]


def _made(body: Json) -> datetime:
    return datetime.fromisoformat(body["metadata"]["creationTimestamp"])


def _with_labels(pod: Json) -> str:
    owner = reference(pod)
    name, labels = pod["metadata"]["name"], _labels(pod["metadata"].get("labels") or {})
    if owner is None:
        return gettext("pod {name}: {labels}; owned by nobody").format(name=name, labels=labels)
    return gettext("pod {name}: {labels}; owned by {owner}").format(name=name, labels=labels, owner=owner["name"])


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or gettext("no labels")


def _is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]
