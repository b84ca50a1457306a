"""What was seen while a component stood still, and afterwards: read from the evidence that the components left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from labkit.evidence.model import Evidence
from labkit.flow.actors import actor
from labkit.flow.names import name_of
from labkit.flow.runtime import started
from labkit.language import gettext, gettext_noop
from labkit.proxy.connections import Counts
from labkit.proxy.table import Table
from labkit.views import outages, words
from labkit.views.outages import Cell, Row

ANSWERS = gettext_noop("a running Service answers")
KUBECTL = gettext_noop("kubectl gets an answer")
STORED = gettext_noop("the deployment is stored")
REPLICA_SET = gettext_noop("a replica set is made")
POD = gettext_noop("a pod is made")
NODE = gettext_noop("the pod gets a node")
RUNS = gettext_noop("the pod runs")
RESTARTED = gettext_noop("a container that ends is started again")
#: What follows from a deployment, in the order in which it would.
HAPPENINGS = (STORED, REPLICA_SET, POD, NODE, RUNS)
#: All that is tried.
ABILITIES = (ANSWERS, RESTARTED, KUBECTL, *HAPPENINGS)
#: What each is called in short, in predictions and in pictures.
LETTERS = dict(zip(ABILITIES, "ABCDEFGH", strict=True))

#: What is created, as the audit log has it: resource and subresource.
_CREATED = {
    ("deployments", ""): STORED,
    ("replicasets", ""): REPLICA_SET,
    ("pods", ""): POD,
    ("pods", "binding"): NODE,
}
_ENOUGH = 0.9  # of a Service's requests: on a busy machine one may come late
_REFUSED = 300  # HTTP's lowest status that is no success
_STYLE = "div.labkit-outages svg{max-width:100%;height:auto;display:block}"
_PAINTS = {
    "etcd": "etcd",
    "kube-apiserver": "ink",
    "kube-controller-manager": "controller",
    "kube-scheduler": "scheduler",
    "kubelet": "kubelet",
    "kube-proxy": "proxy",
}


@dataclass(frozen=True, slots=True)
class Times:
    """From when until when a component stood still, UTC."""

    stopped: datetime
    went_on: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something worked while a component stood still.

    Attributes
    ----------
    worked : bool
        Whether it did.
    observed : str
        How that is known.
    note : str
        The same in a word or two.
    """

    worked: bool
    observed: str
    note: str


@dataclass(frozen=True, slots=True, repr=False)
class Outage(Table):
    """What worked while a component stood still, beside what was predicted.

    Attributes
    ----------
    component : str
        Which stood still.
    predicted : mapping of str to bool or None
        Which of `ABILITIES` would work; None, or not there, where nobody said.
    findings : mapping of str to Finding
        Those of `ABILITIES` that were tried.
    """

    component: str
    predicted: Mapping[str, bool | None]
    findings: Mapping[str, Finding]

    TITLES: ClassVar[Sequence[str]] = ("", gettext_noop("predicted"), gettext_noop("seen"), gettext_noop("observed"))

    @property
    def worked(self) -> dict[str, bool]:
        """Whether each of what was tried worked."""
        return {ability: finding.worked for ability, finding in self.findings.items()}

    def caption(self) -> str:
        """Return what it is, in a line."""
        asked = [each for each in self.findings if self.predicted.get(each) is not None]
        came = sum(self.predicted[each] == self.findings[each].worked for each in asked)
        if not asked:
            return gettext("While {component} stood still").format(component=self.component)
        return gettext("While {component} stood still; {came} of {asked} predictions came true").format(
            component=self.component, came=came, asked=len(asked)
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text for each of what was tried."""
        return [
            (
                _named(ability),
                gettext(outages.word(self.predicted.get(ability))),
                gettext(outages.word(finding.worked)),
                finding.observed,
            )
            for ability, finding in self.findings.items()
        ]

    def row(self) -> Row:
        """Return it as a row of the picture."""
        cells = (
            Cell(_named(ability), self.predicted.get(ability), finding.worked, finding.note)
            for ability, finding in self.findings.items()
        )
        return Row(self.component, _PAINTS[self.component.partition("/")[0]], tuple(cells))

    def to_svg(self) -> str:
        """Return the picture."""
        return outages.to_svg([self.row()], prefix=_prefix([self]))

    def _repr_html_(self) -> str:
        return f"{_framed(self.to_svg())}{Table._repr_html_(self)}"


@dataclass(frozen=True, slots=True, repr=False)
class Outages(Table):
    """Several outages beside each other.

    Attributes
    ----------
    of : sequence of Outage
        In order.
    """

    of: Sequence[Outage]

    TITLES: ClassVar[Sequence[str]] = (gettext_noop("stood still"), *Outage.TITLES)

    def caption(self) -> str:
        """Return what it is, in a line."""
        return gettext("What works while one component stands still")

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text for each component and each of what was tried."""
        return [(each.component, *row) for each in self.of for row in each.rows()]

    def to_svg(self) -> str:
        """Return the picture."""
        return outages.to_svg([each.row() for each in self.of], prefix=_prefix(self.of))

    def _repr_html_(self) -> str:
        summary = gettext("As a table")
        table = f"<details><summary>{summary}</summary>{Table._repr_html_(self)}</details>"
        return f"{_framed(self.to_svg())}{table}"


def answered(counts: Counts) -> Finding:
    """Return whether a Service answered."""
    got = counts.asked - counts.failed
    if counts.failed:
        gap = f"{counts.longest:.1f}"
        observed = gettext("{got} of {asked} requests were answered; the longest gap was {gap} s").format(
            got=got, asked=counts.asked, gap=gap
        )
    else:
        observed = gettext("{got} of {asked} requests were answered").format(got=got, asked=counts.asked)
    return Finding(
        got >= _ENOUGH * counts.asked > 0, observed, gettext("{got} of {asked}").format(got=got, asked=counts.asked)
    )


def replied(refusal: str) -> Finding:
    """Return whether kubectl got an answer, by what it said when it got none."""
    return Finding(
        not refusal, refusal or gettext("it printed the nodes"), gettext("no answer") if refusal else gettext("at once")
    )


def read(evidence: Evidence, times: Times, deployment: str, pod: str) -> dict[str, Finding]:
    """Return what was done while a component stood still, or later, or never, and by whom.

    Parameters
    ----------
    evidence : Evidence
        Since the component was stopped.
    times : Times
        When that was, and when it went on.
    deployment, pod : str
        What was asked for meanwhile, and the pod whose container was ended.
    """
    done: dict[str, tuple[datetime, str]] = {}
    for ability, when, who in sorted(
        [*_created(evidence, deployment), *_started(evidence, deployment, pod)], key=_when
    ):
        done.setdefault(ability, (when, who))
    return {ability: _finding(done.get(ability), times) for ability in (RESTARTED, *HAPPENINGS)}


def _when(deed: tuple[str, datetime, str]) -> datetime:
    return deed[1]


def _created(evidence: Evidence, deployment: str) -> Iterator[tuple[str, datetime, str]]:
    """Return what was stored because of a deployment, as the audit log has it."""
    for event in evidence.audit:
        about = name_of(event)
        ability = _CREATED.get((about.resource, about.subresource))
        named = about.name == deployment or about.name.startswith(f"{deployment}-")
        if ability and named and event.verb == "create" and event.code is not None and event.code < _REFUSED:
            yield ability, event.staged, actor(event.user, event.user_agent).name


def _started(evidence: Evidence, deployment: str, pod: str) -> Iterator[tuple[str, datetime, str]]:
    """Return the containers that were started; a kubelet asked for it."""
    for node in evidence.cluster.nodes:
        for each in started(evidence, node):
            if each.pod == pod:
                yield RESTARTED, each.begun, gettext("kubelet on {node}").format(node=node)
            elif each.pod.startswith(f"{deployment}-"):
                yield RUNS, each.begun, gettext("kubelet on {node}").format(node=node)


def _finding(deed: tuple[datetime, str] | None, times: Times) -> Finding:
    still = (times.went_on - times.stopped).total_seconds()
    if deed is None:
        return Finding(
            False,
            gettext("not in {still:.0f} s, and never later: nobody asks again").format(still=still),
            gettext("never"),
        )
    when, who = deed
    if when <= times.went_on:
        passed = words.duration((when - times.stopped).total_seconds() * 1000)
        return Finding(
            True,
            gettext("after {passed}, by {who}").format(passed=passed, who=who),
            gettext("after {passed}").format(passed=passed),
        )
    passed = words.duration((when - times.went_on).total_seconds() * 1000)
    return Finding(
        False,
        gettext("not in {still:.0f} s; {passed} after it went on, by {who}").format(
            still=still, passed=passed, who=who
        ),
        gettext("{passed} later").format(passed=passed),
    )


def _named(ability: str) -> str:
    return f"{LETTERS[ability]}: {gettext(ability)}"


def _prefix(several: Sequence[Outage]) -> str:
    """Return what a picture's ids begin with: letters and hyphens only."""
    return "-".join(["labkit-outages", *(each.component.replace("/", "-") for each in several)])


def _framed(picture: str) -> str:
    """Return a picture that becomes smaller where a notebook has no room for it."""
    return f'<div class="labkit-outages"><style>{_STYLE}</style>{picture}</div>'
