"""Notebook 08: drills with a prediction; what a request needs, who starts what was killed, which one stands still."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from labkit.checks import experiment, objects
from labkit.checks.outage import ANSWERS, LETTERS, Outage
from labkit.checks.verdict import Lettered, Verdict, looks, unanswered, yes_or_no
from labkit.errors import ClusterError, UsageError
from labkit.flow.runtime import started
from labkit.lab import Lab
from labkit.lab.components import RUNTIME
from labkit.lab.session.experiments import one_call
from labkit.language import gettext, gettext_noop

#: What a drill tries, for people: a letter each.
TRIED = Lettered({letter: ability for ability, letter in LETTERS.items()})

_POLL_SECONDS = 0.1
_AGAIN_SECONDS = 60.0
_RIDDLE = "riddle"
#: Who does what for a deployment, in order: the components, and what one sees when they have.
_CHAIN: Sequence[tuple[frozenset[str], str]] = (
    (frozenset({"kube-apiserver", "etcd"}), gettext_noop("the deployment is stored")),
    (frozenset({"kube-controller-manager"}), gettext_noop("it has a pod")),
    (frozenset({"kube-scheduler"}), gettext_noop("the pod has a node")),
    (frozenset({"kubelet"}), gettext_noop("the pod runs")),
)
#: What `hide` chooses from: with the others away, kubectl itself gets no answer.
_HIDDEN = ("kube-controller-manager", "kube-scheduler", "kubelet")


def drill(lab: Lab, component: str, prediction: str | None, *, service: str) -> Outage:
    """Hold a component still, and see what works meanwhile, beside what was predicted.

    Parameters
    ----------
    lab : Lab
        Where.
    component : str
        As `experiment.without` takes it.
    prediction : str or None
        The letters of `TRIED` that work meanwhile, ``"ABC"``; None for no prediction.
    service : str
        The Service that is asked.

    Raises
    ------
    UsageError
        There is no such letter, component or Service.
    """
    if prediction is None:
        return experiment.without(lab, component, service=service)
    given = {letter for letter in prediction.upper() if letter.isalnum()}
    if unknown := given - set(LETTERS.values()):
        raise UsageError(
            gettext("There is no {unknown!r} in a drill").format(unknown=min(unknown)),
            why=gettext("it tries {letters}").format(letters=", ".join(LETTERS.values())),
            fix=gettext("use these letters"),
        )
    predicted = {ability: letter in given for ability, letter in LETTERS.items()}
    return experiment.without(lab, component, predicted, service=service)


def worked(outage: Outage) -> str:
    """Return the letters of `TRIED` that worked."""
    return "".join(letter for ability, letter in LETTERS.items() if outage.worked.get(ability))


def needed(outages: Iterable[Outage], answer: Iterable[str] | None) -> Verdict:
    """Check which components a request to a running Service needs.

    Parameters
    ----------
    outages : iterable of Outage
        In which the Service was asked.
    answer : iterable of str or None
        Names of the components that stood still in them.
    """
    if answer is None:
        return unanswered(gettext('a set of names, for example {"etcd", "kubelet"}, and set() for none of them'))
    given = {answer} if isinstance(answer, str) else set(answer)
    seen = {each.component: each.findings[ANSWERS] for each in outages}
    if unknown := given - set(seen):
        return Verdict(
            False,
            gettext("{unknown} did not stand still in a drill.").format(unknown=min(unknown)),
            (gettext("drills: {components}").format(components=", ".join(seen)),),
        )
    evidence = tuple(
        gettext("while {name} stood still: {observed}").format(name=name, observed=seen[name].observed)
        for name in seen
        if name in given
    )
    if spared := {name for name in given if seen[name].worked}:
        return Verdict(
            False,
            gettext("The Service did without {spared} of your {given}.").format(spared=len(spared), given=len(given)),
            evidence,
        )
    missing = {name for name, finding in seen.items() if not finding.worked} - given
    if missing:
        return Verdict(
            False,
            gettext("{missing} more were needed. Look at the first column of the picture.").format(
                missing=len(missing)
            ),
            evidence,
        )
    every = tuple(
        gettext("while {name} stood still: {observed}").format(name=name, observed=finding.observed)
        for name, finding in seen.items()
    )
    return Verdict(True, gettext("The first column of the picture says so."), every)


@dataclass(frozen=True, slots=True)
class Killed:
    """A component whose process was killed, and which runs again.

    Attributes
    ----------
    component, node : str
        Which, and where.
    time : datetime.datetime
        When it was killed, UTC.
    seconds : float
        After how many of them another process of it was there.
    """

    component: str
    node: str
    time: datetime
    seconds: float


@one_call
def kill(lab: Lab, component: str) -> Killed:
    """Kill a component of the control plane, and wait until it is there again.

    Parameters
    ----------
    lab : Lab
        Where.
    component : str
        Its name: ``"kube-scheduler"``.

    Raises
    ------
    UsageError
        No such component runs on the master.
    ClusterError
        It did not come back within a minute.
    """
    node = lab.nodes[0]
    before = _pids(lab, component)
    if not before:
        raise UsageError(
            gettext("{component!r} cannot be killed").format(component=component),
            why=gettext("no such process is on {name}").format(name=node.name),
            fix="lab.components()",
        )
    killed, began = datetime.now(UTC), time.monotonic()
    node.exec(["kill", "-KILL", *before])
    while not _pids(lab, component) - before:
        if time.monotonic() - began > _AGAIN_SECONDS:
            raise ClusterError(
                gettext("{component} did not come back").format(component=component),
                why=gettext("{seconds:.0f} s have passed").format(seconds=_AGAIN_SECONDS),
                fix="labkit status",
            )
        time.sleep(_POLL_SECONDS)
    return Killed(component, node.name, killed, time.monotonic() - began)


@looks
def started_again_by(lab: Lab, killed: Killed, answer: str | None) -> Verdict:
    """Check who had a killed component started again.

    Parameters
    ----------
    lab : Lab
        Where to look.
    killed : Killed
        As `kill` gave it.
    answer : str or None
        A component's name.
    """
    if answer is None:
        return unanswered(gettext('a component\'s name, for example "etcd"'))
    name = answer.strip().removeprefix("the ").partition("/")[0].partition(" on ")[0]
    pod = f"{killed.component}-{killed.node}"
    starts = [each for each in started(lab.evidence(killed.time), killed.node) if each.pod == pod]
    if not starts:
        return Verdict(
            None, gettext("Nobody has had {component} started again yet.").format(component=killed.component)
        )
    after = (starts[0].begun - killed.time).total_seconds()
    told = gettext("{runtime} of {node}: StartContainer {component}, {after:.1f} s after it was killed").format(
        runtime=RUNTIME, node=killed.node, component=killed.component, after=after
    )
    if name == RUNTIME:
        return Verdict(False, gettext("The runtime does what it is told. Who called it?"), (told,))
    try:
        own = [each for each in lab.components().named(name) if each.node == killed.node]
    except UsageError as error:
        return Verdict(False, gettext("No component is called {name!r}.").format(name=name), (error.why,))
    sockets = tuple(
        gettext("{name} on {node} calls: {peers}").format(
            name=each.name, node=each.node, peers=", ".join(map(str, each.calls)) or gettext("nobody")
        )
        for each in own
    )
    if any(peer.name == RUNTIME for each in own for peer in each.calls):
        return Verdict(True, gettext("It calls the runtime, and it needs no API server for that."), (told, *sockets))
    return Verdict(
        False, gettext("{name} starts no containers: it does not call the runtime.").format(name=name), (told, *sockets)
    )


@dataclass(eq=False)
class Hidden:
    """A component that stands still, and nobody says which; `end` lets it go on.

    Parameters
    ----------
    component : str
        Which.
    """

    component: str = field(repr=False)
    held: ExitStack = field(repr=False, default_factory=ExitStack)

    def end(self) -> None:
        """Let the component go on."""
        self.held.close()


def hide(lab: Lab, component: str = "") -> Hidden:
    """Hold a component still, for ten minutes at most, and ask for a deployment ``riddle``.

    Parameters
    ----------
    lab : Lab
        Where.
    component : str
        Which; by default any of controller-manager, scheduler and the workers' kubelets.

    Raises
    ------
    ClusterError
        There is a deployment ``riddle`` already.
    """
    hidden = Hidden(component or objects.drawn(lab, _HIDDEN))
    hidden.held.enter_context(experiment.still(lab, hidden.component))
    try:
        lab.kubectl(f"create deployment {_RIDDLE} --image={experiment.IMAGE}")
    except ClusterError:
        hidden.end()
        raise
    time.sleep(experiment.SECONDS)
    return hidden


@looks
def found(lab: Lab, hidden: Hidden, answer: str | None) -> Verdict:
    """Check which component stands still; if the answer is right, it goes on.

    Parameters
    ----------
    lab : Lab
        Where to look.
    hidden : Hidden
        As `hide` gave it.
    answer : str or None
        A component's name.
    """
    if answer is None:
        return unanswered(gettext('a component\'s name, for example "etcd"'))
    name = answer.strip().partition("/")[0]
    reached, evidence = _reached(lab)
    places = [place for place, (names, _) in enumerate(_CHAIN) if name in names]
    if name == hidden.component:
        hidden.end()
        return Verdict(
            True,
            gettext("{name} stood still. It goes on now: look at the deployment once more.").format(name=name),
            evidence,
        )
    if not places:
        known = ", ".join(sorted(each for names, _ in _CHAIN for each in names))
        return Verdict(
            False,
            gettext("{name!r} does nothing for a deployment.").format(name=name),
            (gettext("these do: {known}").format(known=known),),
        )
    if places[0] < reached:
        return Verdict(
            False,
            gettext("{name} has done its part: {part}.").format(name=name, part=gettext(_CHAIN[places[0]][1])),
            evidence,
        )
    return Verdict(False, gettext("It was not yet {name}'s turn. Who acts before?").format(name=name), evidence)


def _reached(lab: Lab) -> tuple[int, tuple[str, ...]]:
    """Return how many parts of the chain are done for the riddle, and what one sees of it."""
    with lab.api_server() as api:
        deployment = objects.deployment(api, _RIDDLE)
        pods = objects.pods_of(api, _RIDDLE)
    placed = [pod for pod in pods if pod["spec"].get("nodeName")]
    running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
    done: list[Any] = [deployment, pods, placed, running]
    reached = next((place for place, part in enumerate(done) if not part), len(done))
    return reached, tuple(yes_or_no(what, done=bool(part)) for (_, what), part in zip(_CHAIN, done, strict=True))


def _pids(lab: Lab, component: str) -> set[str]:
    lines = lab.nodes[0].exec("ps -ww -eo pid=,args=").splitlines()
    programs = (line.split() for line in lines)
    return {pid for pid, program, *_ in programs if program.rpartition("/")[2] == component}
