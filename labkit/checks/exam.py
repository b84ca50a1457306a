"""The exam: what it makes on a cluster to be repaired and looked at, and the checks that are its own."""

from __future__ import annotations

import time
from typing import Any

from labkit.checks import objects
from labkit.checks.verdict import Verdict, looks, unanswered, yes_or_no
from labkit.cluster.freeze import Freeze
from labkit.cluster.rest import ApiServer
from labkit.lab import Lab
from labkit.language import gettext, gettext_noop

#: What `prepare` makes: some of it does not work, and which and why is for the learner to find out.
OBJECTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: {app: shop}}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: web, image: ngnix}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, labels: {app: front}}
spec:
  replicas: 3
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front, tier: web}}
    spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec:
  selector: {app: front, tier: wep}
  ports: [{port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: side}
spec:
  selector: {app: front}
  ports: [{port: 80}]
---
apiVersion: v1
kind: Pod
metadata: {name: twins, labels: {app: twins}}
spec:
  shareProcessNamespace: true
  containers:
  - {name: left, image: busybox, command: [sleep, infinity]}
  - {name: right, image: busybox, command: [sleep, infinity]}
"""
#: The deployment that is asked for while a component stands still.
PROBE = "probe"
#: Who may stand still, as it is asked.
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")

_HIDDEN = ("kube-controller-manager", "kube-scheduler")  # without them the cluster still tells what there is
_SETTLES = 2.0  # seconds in which all comes about that can, with something standing still
_MESSAGE = 160  # characters of what a kubelet says
#: What happens after a deployment was asked for, in order; and the first of it that each component does.
_STORED, _REPLICA_SET, _POD, _NODE, _RUNS = _HAPPENINGS = (
    gettext_noop("the deployment is stored"),
    gettext_noop("a replica set is made"),
    gettext_noop("a pod is made"),
    gettext_noop("the pod gets a node"),
    gettext_noop("the pod runs"),
)
_WORK = {
    "kube-apiserver": _STORED,
    "etcd": _STORED,
    "kube-controller-manager": _REPLICA_SET,
    "kube-scheduler": _NODE,
    "kubelet": _RUNS,
}


def prepare(lab: Lab) -> None:
    """Make what the exam asks about, and wait until that part of it runs which can.

    Parameters
    ----------
    lab : Lab
        Where.
    """
    lab.kubectl("apply --filename -", stdin=OBJECTS)
    lab.kubectl("wait --for=condition=Available deployment/front --timeout=60s")
    lab.kubectl("wait --for=condition=Ready pod/twins --timeout=60s")


@looks
def repaired(lab: Lab, deployment: str, image: str = "nginx") -> Verdict:
    """Check that all pods of a deployment are Ready, from an image that there is.

    Parameters
    ----------
    lab : Lab
        Where.
    deployment : str
        Its name, in namespace default.
    image : str
        The program that it is to run.
    """
    with lab.api_server() as api:
        found = objects.deployment(api, deployment)
        pods = objects.pods_of(api, deployment)
    if found is None:
        return Verdict(
            False,
            gettext("There is no deployment {deployment} any more. Repair it instead.").format(deployment=deployment),
        )
    wanted, status = found["spec"]["replicas"], found["status"]
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    asked = ", ".join(each["image"] for each in found["spec"]["template"]["spec"]["containers"])
    evidence = (
        gettext("the deployment asks for: {wanted} pods of {asked}").format(wanted=wanted, asked=asked),
        *map(_told, pods),
    )
    if not wanted:
        return Verdict(
            False, gettext("A deployment of no pods has nothing that fails, and nothing that works."), evidence
        )
    observed = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    if not observed or not ready == updated == status.get("replicas", 0) == wanted:
        why = gettext(
            "{ready} of {wanted} pods are Ready, {updated} are made from the present template. What do the others "
            "wait for?"
        ).format(ready=ready, wanted=wanted, updated=updated)
        return Verdict(False, why, evidence)
    if asked.rpartition("/")[2].partition(":")[0] != image:
        return Verdict(False, gettext("These pods run, but they run another program than was asked for."), evidence)
    return Verdict(True, gettext("All {wanted} pods are Ready.").format(wanted=wanted), evidence)


def hide(lab: Lab, component: str | None = None) -> Freeze:
    """Freeze a component without saying which, and ask for a deployment `PROBE`; what comes of it is left to be seen.

    Parameters
    ----------
    lab : Lab
        Where.
    component : str, optional
        Which; by default chance decides.

    Returns
    -------
    Freeze
        Ends it, as a context manager or by its own limit of ten minutes.
    """
    lab.thaw()
    lab.kubectl(f"delete deployment {PROBE} --ignore-not-found --cascade=foreground")
    frozen = lab.freeze(component or objects.drawn(lab, _HIDDEN))
    lab.kubectl(f"create deployment {PROBE} --image=nginx")
    time.sleep(_SETTLES)
    return frozen


@looks
def stands_still(lab: Lab, answer: str | None) -> Verdict:
    """Check which component stands still, after `hide`.

    Parameters
    ----------
    lab : Lab
        Where.
    answer : str or None
        One of `COMPONENTS`.
    """
    if answer is None:
        return unanswered(gettext("one of these: {components}").format(components=", ".join(COMPONENTS)))
    frozen = {each.partition("/")[0] for each in lab.frozen}
    if not frozen:
        why = gettext(
            "Nothing stands still any more: it was let go, or ten minutes are over. Run the cell that froze it again."
        )
        return Verdict(None, why)
    with lab.api_server() as api:
        happened = _happened(api)
    evidence = tuple(yes_or_no(what, done=done) for what, done in happened.items())
    if answer in frozen:
        return Verdict(
            True,
            gettext("What {answer} does has not happened, and everything before it has.").format(answer=answer),
            evidence,
        )
    work = _WORK.get(answer)
    if work is None:
        return Verdict(
            False, gettext("{answer} has no part in how a deployment comes to run.").format(answer=answer), evidence
        )
    if happened[work]:
        return Verdict(
            False,
            gettext("{answer} is at work: without it, this would be missing: {part}.").format(
                answer=answer, part=gettext(work)
            ),
            evidence,
        )
    return Verdict(
        False,
        gettext("It is not yet the turn of {answer}: something that comes before is missing.").format(answer=answer),
        evidence,
    )


def _happened(api: ApiServer) -> dict[str, bool]:
    """Return how far the deployment `PROBE` has come."""
    deployment = objects.deployment(api, PROBE)
    sets = api.get(f"/apis/apps/v1/namespaces/default/replicasets?labelSelector=app%3D{PROBE}") or {"items": []}
    pods = objects.pods_of(api, PROBE)
    placed = any(pod["spec"].get("nodeName") for pod in pods)
    runs = any(pod["status"].get("phase") == "Running" for pod in pods)
    seen = (deployment is not None, bool(sets["items"]), bool(pods), placed, runs)
    return dict(zip(_HAPPENINGS, seen, strict=True))


def _told(pod: dict[str, Any]) -> str:
    """Return how a pod is, with what its node's kubelet says of a container that waits."""
    if "deletionTimestamp" in pod["metadata"]:
        return gettext("pod {name}: Terminating").format(name=pod["metadata"]["name"])
    for each in pod["status"].get("containerStatuses") or ():
        if waiting := each["state"].get("waiting"):
            said = " ".join(waiting.get("message", "").split())[:_MESSAGE]
            return (
                gettext("pod {name}: {reason} {said}")
                .format(name=pod["metadata"]["name"], reason=waiting.get("reason", "waiting"), said=said)
                .strip()
            )
    return gettext("pod {name}: {phase}").format(
        name=pod["metadata"]["name"], phase=pod["status"].get("phase", "unknown")
    )
