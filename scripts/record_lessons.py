"""Record the lessons that come with labkit, each from a real run, on a lab made for it: `make recordings`.

With names, ``record_lessons.py kube-proxy``, it records only those.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import labkit
from labkit.evidence.recording import SUFFIX
from labkit.lab import Lab

FOLDER = Path(labkit.__file__).parent / "recordings"
_SETTLE = 3.0  # seconds: what is still on its way belongs to the lesson
_ROLLED_OUT = "rollout status deployment/tomcat --timeout=60s"
_BLOG = """
apiVersion: v1
kind: Pod
metadata: {name: blog, labels: {app: blog}}
spec:
  containers:
  - {name: php, image: php, ports: [{containerPort: 80}]}
  - {name: mysql, image: mysql, env: [{name: MYSQL_ALLOW_EMPTY_PASSWORD, value: "yes"}]}
"""


@dataclass(frozen=True)
class Lesson:
    """One recording: kubectl's command lines before it, in it, until it is over, and after it.

    Attributes
    ----------
    name, title : str
        Of the file, and for people.
    does : str
        What the learner does.
    until : str
        Returns when it is done; empty where only time tells.
    stdin : str
        What `does` reads.
    seconds : float
        How long to look on afterwards.
    before, after : tuple of str
        What is not recorded.
    frozen : str
        A component that is held still all the while.
    modes : tuple of str
        To which kube-proxy is switched afterwards, one after the other; in each a packet is followed to Service tomcat.
    """

    name: str
    title: str
    does: str
    until: str = ""
    stdin: str = ""
    seconds: float = _SETTLE
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    frozen: str = ""
    modes: tuple[str, ...] = ()


LESSONS = (
    Lesson(
        "deploy-tomcat",
        "Deploy Tomcat: the fourteen steps",
        "create deployment tomcat --image=tomcat8",
        _ROLLED_OUT,
    ),
    Lesson("expose-tomcat", "A Service for Tomcat", "expose deployment tomcat --port=8080"),
    Lesson("scale-tomcat", "From one pod to three", "scale deployment tomcat --replicas=3", _ROLLED_OUT),
    Lesson("update-tomcat", "A rolling update", "set image deployment/tomcat tomcat8=tomcat:9", _ROLLED_OUT),
    Lesson(
        "delete-tomcat",
        "A deployment is deleted with all that it owns",
        "delete deployment tomcat",
        "wait pods --selector=app=tomcat --for=delete --timeout=60s",
        after=("delete service tomcat",),
    ),
    Lesson(
        "blog",
        "A pod of two containers: php and mysql",
        "apply --filename=-",
        "wait pod/blog --for=condition=Ready --timeout=60s",
        stdin=_BLOG,
        after=("delete pod blog --grace-period=1",),
    ),
    Lesson(
        "missing-image",
        "An image that nobody has",
        "create deployment missing --image=no-such-image",
        seconds=8,
        after=("delete deployment missing",),
    ),
    Lesson(
        "crash-loop",
        "A program that ends at once, again and again",
        "create deployment crash --image=busybox -- sh -c 'exit 3'",
        seconds=18,
        after=("delete deployment crash",),
    ),
    Lesson(
        "unschedulable",
        "A pod for which there is no node",
        "create deployment nowhere --image=labkit/standin",
        before=("cordon node-01", "cordon node-02"),
        after=("delete deployment nowhere", "uncordon node-01", "uncordon node-02"),
    ),
    Lesson(
        "no-scheduler",
        "A deployment while the scheduler is frozen",
        "create deployment waiting --image=labkit/standin",
        seconds=8,
        after=("delete deployment waiting",),
        frozen="kube-scheduler",
    ),
    Lesson(
        "kube-proxy",
        "A Service in kube-proxy's modes: its rules, and a packet's way by them",
        "expose deployment tomcat --port=8080 --type=NodePort",
        before=("create deployment tomcat --image=tomcat8 --replicas=3", _ROLLED_OUT),
        modes=("iptables", "nftables", "iptables"),
        after=("delete deployment,service tomcat",),
    ),
)


def main() -> None:
    """Record all lessons."""
    FOLDER.mkdir(exist_ok=True)
    with labkit.up("lab", provider="rootless") as lab:
        time.sleep(10)  # the cluster's own first business is over
        for lesson in (each for each in LESSONS if each.name in sys.argv[1:] or not sys.argv[1:]):
            path = FOLDER / f"{lesson.name}{SUFFIX}"
            _record(lab, lesson, path)
            path.chmod(0o644)  # a recording holds no secrets, and this one is for everybody
            print(f"{lesson.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def _record(lab: Lab, lesson: Lesson, path: Path) -> None:
    for command in lesson.before:
        lab.kubectl(command)
    time.sleep(1)
    held = lab.freeze(lesson.frozen) if lesson.frozen else contextlib.nullcontext()
    with held, lab.record(path, lesson.title) as recorder:
        for command in lesson.before:
            recorder.mark(f"done before: kubectl {command}")
        recorder.mark(f"kubectl {lesson.does}")
        lab.kubectl(lesson.does, stdin=lesson.stdin)
        if lesson.until:
            lab.kubectl(lesson.until)
        time.sleep(lesson.seconds)
        for mode in lesson.modes:
            recorder.mark(f"labkit proxy mode {mode}")
            lab.proxy.switch(mode)
            recorder.mark("labkit proxy trace svc/tomcat")
            lab.proxy.trace("svc/tomcat", from_node="node-01")
    for command in lesson.after:
        lab.kubectl(command)


if __name__ == "__main__":
    main()
