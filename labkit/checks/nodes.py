"""Notebook 07, its nodes: what a preparation protects, a node repaired, who refused an eviction, how one comes back."""

from __future__ import annotations

from datetime import datetime

from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.errors import ClusterError
from labkit.flow.names import name_of
from labkit.lab import Lab
from labkit.lab.installation.preparation import Preparation
from labkit.lab.installation.restart import Restart
from labkit.language import gettext

_TOO_MANY_REQUESTS = 429  # what an eviction gets that a PodDisruptionBudget does not allow
_COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "kube-proxy",
)


def protects(preparation: Preparation, check: str, answer: str | None) -> Verdict:
    """Check which part of a node a check of its preparation protects.

    Parameters
    ----------
    preparation : Preparation
        A node's or a machine's.
    check : str
        The check's name.
    answer : str or None
        The part's name.

    Raises
    ------
    UsageError
        There is no such check.
    """
    line = preparation[check].to_json()[0]
    parts = sorted({each.part for each in preparation.lines})
    if answer is None:
        return unanswered(gettext("one of {parts}").format(parts=", ".join(parts)))
    given = answer.strip().lower()
    if given not in parts:
        return Verdict(
            False,
            gettext("{answer!r} is no part of the picture.").format(answer=answer),
            (gettext("parts: {parts}").format(parts=", ".join(parts)),),
        )
    if given == line["part"]:
        return Verdict(True, f"{line['why'][0].upper()}{line['why'][1:]}.", (f"{check}: {line['found']}",))
    own = ", ".join(each.name for each in preparation.lines if each.part == given)
    return Verdict(
        False,
        gettext("It does nothing for that part. Read why {check} is needed.").format(check=check),
        (f"{given}: {own}", line["why"]),
    )


@looks
def repaired(lab: Lab, node: str, answer: str | None) -> Verdict:
    """Run the answer on a node, and check that the node is prepared again.

    Parameters
    ----------
    lab : Lab
        Where.
    node : str
        The node's name.
    answer : str or None
        A command.
    """
    if answer is None:
        return unanswered(gettext('a command for the node, for example "sysctl -a"'))
    try:
        lab.nodes[node].exec(answer)
    except ClusterError as error:
        return Verdict(False, gettext("Your command failed."), tuple(error.why.splitlines()[-2:]))
    lines = [line for line in lab.preflight(node).lines if line.level == "required"]
    unmet = [line for line in lines if line.status == "unmet"]
    if unmet:
        return Verdict(
            False,
            gettext("It ran, and something is still amiss."),
            tuple(f"{each.name}: {each.found}" for each in unmet),
        )
    return Verdict(
        True,
        gettext("All that is required of {node} is met.").format(node=node),
        tuple(f"{each.name}: {each.found}" for each in lines),
    )


@looks
def refused_by(lab: Lab, since: datetime, answer: str | None) -> Verdict:
    """Check who refused an eviction.

    Parameters
    ----------
    lab : Lab
        Where to look.
    since : datetime.datetime
        Before the eviction, UTC.
    answer : str or None
        A component's name.
    """
    if answer is None:
        return unanswered(gettext('a component\'s name, for example "etcd"'))
    given = answer.strip().lower().replace("api server", "kube-apiserver").removeprefix("the ")
    evictions = [event for event in lab.evidence(since).audit if name_of(event).subresource == "eviction"]
    refused = [event for event in evictions if event.code == _TOO_MANY_REQUESTS]
    if not refused:
        return Verdict(None, gettext("No eviction was refused since then. Drain the node first."))
    told = f"{refused[0].user} by {refused[0].user_agent.partition(' ')[0]}: create {name_of(refused[0]).name}/eviction"
    if given not in _COMPONENTS:
        return Verdict(
            False,
            gettext("{answer!r} is no component.").format(answer=answer),
            (gettext("components: {names}").format(names=", ".join(_COMPONENTS)),),
        )
    if given == "kube-apiserver":
        every = (
            told,
            gettext("its answer, {count} times: {code} Too Many Requests").format(
                count=len(refused), code=_TOO_MANY_REQUESTS
            ),
        )
        return Verdict(True, gettext("It compares each eviction with the budgets before it deletes the pod."), every)
    if given == "kubectl":
        return Verdict(False, gettext("kubectl asked, again and again. Who answered?"), (told,))
    return Verdict(False, gettext("{given} was not asked. To whom did this request go?").format(given=given), (told,))


def registered(restart: Restart, answer: int | str | None) -> Verdict:
    """Check with which status code a restarted node's wish to be registered was answered.

    Parameters
    ----------
    restart : Restart
        As `Lab.restart` gave it.
    answer : int or str or None
        An HTTP status code.
    """
    if answer is None:
        return unanswered(gettext("a status code, for example 404"))
    told = [(what, known) for _, _, what, known in restart.moments if what.startswith("create Node ")]
    if not told:
        return Verdict(None, gettext("{node} did not ask to be registered.").format(node=restart.node))
    what, known = told[-1]
    code = what.partition(": ")[2].partition(",")[0]
    if str(answer).strip() == code:
        return Verdict(
            True, gettext("The Node was there all the time: who comes back is no new node."), (f"{known}: {what}",)
        )
    kubelet = tuple(f"{when:.2f} s, {who}: {what}" for when, who, what, _ in restart.moments if who == "kubelet")
    return Verdict(False, gettext("That is not what it was answered. Look at what the kubelet was told next."), kubelet)
