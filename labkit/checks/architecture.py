"""The exercises of notebook 01: who speaks to whom, who is started by whom, who is known as what."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from labkit.checks import experiment, outage
from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.errors import UsageError
from labkit.lab import Lab
from labkit.lab.components import Component, Components
from labkit.lab.session.experiments import one_call
from labkit.language import gettext

_STATIC = "static pod"


@looks
def speaks_to_etcd(lab: Lab, answer: str | None) -> Verdict:
    """Check which component alone speaks to etcd.

    Parameters
    ----------
    lab : Lab
        Where to look.
    answer : str or None
        A component's name.
    """
    if answer is None:
        return unanswered(gettext('a component\'s name, for example "kubelet"'))
    components = lab.components()
    named, verdict = _named(components, answer)
    if verdict:
        return verdict
    if answer == "etcd":
        return Verdict(False, gettext("etcd is who is spoken to. Who calls it?"), _sockets(named))
    right = any(peer.name == "etcd" for component in named for peer in component.calls)
    why = (
        gettext("Its connections lead to etcd.")
        if right
        else gettext("No connection of {answer} leads to etcd.").format(answer=answer)
    )
    return Verdict(right, why, _sockets(named))


@looks
def static_pods(lab: Lab, answer: Iterable[str] | None) -> Verdict:
    """Check which components the kubelet starts from files, with no API server.

    Parameters
    ----------
    lab : Lab
        Where to look.
    answer : iterable of str or None
        Components' names.
    """
    if answer is None:
        return unanswered(gettext('components\' names, for example {"kubelet", "kube-proxy"}'))
    given = {answer} if isinstance(answer, str) else set(answer)
    components = lab.components()
    started = {each.name: each.started_by for each in components.found}
    for name in sorted(given):
        _, verdict = _named(components, name)
        if verdict:
            return verdict
    static = {name for name, by in started.items() if _STATIC in by}
    wrong = tuple(
        gettext("{name}: started by {starter}").format(name=name, starter=started[name])
        for name in sorted(given - static)
    )
    if wrong:
        return Verdict(
            False,
            gettext("{wrong} of your {given} were not started from a file.").format(wrong=len(wrong), given=len(given)),
            wrong,
        )
    if static - given:
        files = lab.nodes[0].exec("ls /etc/kubernetes/manifests").splitlines()
        return Verdict(
            False,
            gettext("Those are, and {missing} more. Look at the files that the kubelet reads.").format(
                missing=len(static - given)
            ),
            (gettext("master: /etc/kubernetes/manifests has {count} files").format(count=len(files)),),
        )
    return Verdict(True, gettext("The kubelet starts these from files, before any API server answers."))


@looks
def known_as(lab: Lab, component: str, answer: str | None) -> Verdict:
    """Check as which user the API server knows a component.

    Parameters
    ----------
    lab : Lab
        Where to look.
    component : str
        Its name.
    answer : str or None
        A user's name.
    """
    if answer is None:
        return unanswered(gettext('a user\'s name, for example "kubernetes-admin"'))
    named = lab.components().named(component)
    identities = {each.identity.partition(" (")[0] for each in named}
    by_user = requests_by_user(lab)
    programs = Counter(by_user.get(answer.strip()))
    requests = tuple(
        gettext("audit log: {count} requests of {answer} by {name}").format(count=count, answer=answer, name=name)
        for name, count in programs.most_common(3)
    )
    if answer.strip() in identities:
        return Verdict(
            True,
            gettext("That is the name that {component} proves to have, and its requests have it.").format(
                component=component
            ),
            requests,
        )
    if not requests:
        why = gettext("The API server has not had a request from a user of that name.")
        evidence = gettext("audit log: {users} users have sent requests, and none is called {answer!r}").format(
            users=len(by_user), answer=answer
        )
        return Verdict(False, why, (evidence,))
    return Verdict(
        False,
        gettext("The API server knows that user, and it is not {component}.").format(component=component),
        requests,
    )


@looks
def stopped(lab: Lab, component: str, predicted: Mapping[str, bool | None]) -> Verdict:
    """Stop a component, ask for a deployment, and compare what happens with what was predicted.

    The component goes on afterwards, and the deployment is removed.

    Parameters
    ----------
    lab : Lab
        Where to do it.
    component : str
        ``"kube-scheduler"``, ``"kube-controller-manager"``, ``"kubelet"``: all that `Lab.freeze` knows.
    predicted : mapping of str to bool or None
        Whether each of `outage.HAPPENINGS` happens within four seconds.

    Raises
    ------
    UsageError
        A prediction is about something else, or there is no such component.
    """
    experiment.refuse_unknown(predicted)
    missing = [each for each in outage.HAPPENINGS if predicted.get(each) is None]
    if missing:
        return unanswered(
            gettext("True or False for: {happenings}").format(happenings="; ".join(map(gettext, missing)))
        )
    seen = experiment.without(lab, component).findings
    evidence = tuple(f"{gettext(what)}: {seen[what].observed}" for what in outage.HAPPENINGS)
    differing = [what for what in outage.HAPPENINGS if predicted[what] != seen[what].worked]
    if not differing:
        return Verdict(
            True,
            gettext("All of it came as you predicted while {component} was stopped.").format(component=component),
            evidence,
        )
    count = len(outage.HAPPENINGS)
    why = gettext("{differing} of your {count} predictions did not come true while {component} was stopped.").format(
        differing=len(differing), count=count, component=component
    )
    return Verdict(False, why, evidence)


@one_call
def requests_by_user(lab: Lab) -> dict[str, dict[str, int]]:
    """Return how many requests the API server had of each user, by program."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for event in lab.evidence().audit:
        found[event.user][event.user_agent.partition("/")[0]] += 1
    return {user: dict(programs) for user, programs in found.items()}


def _named(components: Components, name: str) -> tuple[tuple[Component, ...], Verdict | None]:
    """Return the components of a name, or why there are none."""
    try:
        return components.named(name), None
    except UsageError as error:
        return (), Verdict(False, gettext("No component is called {name!r}.").format(name=name), (error.why,))


def _sockets(named: Iterable[Component]) -> tuple[str, ...]:
    return tuple(
        gettext("{name} on {node}, process {pid}: connected to {peers}").format(
            name=each.name, node=each.node, pid=each.pid, peers=", ".join(map(str, each.calls)) or gettext("nobody")
        )
        for each in named
    )
