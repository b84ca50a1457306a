"""The exercises of notebook 06, measured: what rules follow from, who outlives whom, what one more Service costs."""

from __future__ import annotations

from collections.abc import Iterable

from labkit.checks.verdict import Verdict, unanswered
from labkit.language import gettext
from labkit.proxy.cause import Chain, Link
from labkit.proxy.measured import Measurement

_TOLERANCE = 0.25  # rules for each Service: a Service may come or go while it is counted


def follows_from(chain: Chain, node: str, answer: int | None) -> Verdict:
    """Check from which request the last change of a node's rules follows.

    Parameters
    ----------
    chain : Chain
        What followed, as `labkit.lab.cause.Follow.chain` has it.
    node : str
        The node's name.
    answer : int or None
        The number of a request in the chain.
    """
    if answer is None:
        return unanswered(gettext("the number of a request, from the table's first column"))
    by_number = {link.number: link for link in chain.links}
    changes = [link for link in chain.links if link.kind == "rules" and link.node == node]
    told = by_number.get(changes[-1].after or 0) if changes else None
    if told is None:
        return Verdict(
            None, gettext("No change of {node}'s rules is known to follow from a request.").format(node=node)
        )
    given = by_number.get(answer)
    if given is None:
        return Verdict(
            False,
            gettext("There is no link {answer}.").format(answer=answer),
            (gettext("the links are 1 to {last}").format(last=len(chain.links)),),
        )
    evidence = (_told(chain, given), _told(chain, changes[-1]))
    if given.kind != "request":
        return Verdict(False, gettext("Link {answer} is no request to the API server.").format(answer=answer), evidence)
    if given.number != told.after:
        why = gettext(
            "After that request alone, the rules would not lead where they do. Go back from the rules, by *after*."
        )
        return Verdict(False, why, evidence)
    return Verdict(True, gettext("kube-proxy watches this kind of object; that it was told is inferred."), evidence)


def outlived(chain: Chain, pod: str, answer: Iterable[str] | str | None) -> Verdict:
    """Check on which nodes a rule still led to a deleted pod when its kubelet reported that it had ended.

    Parameters
    ----------
    chain : Chain
        What followed from the pod's being deleted.
    pod : str
        The pod's name.
    answer : str, iterable of str, or None
        The nodes' names; empty for none.
    """
    if answer is None:
        return unanswered(gettext('a set of nodes\' names, for example {"node-07"}; set() for none'))
    given = {answer} if isinstance(answer, str) else set(answer)
    reports = [link for link in chain.links if link.source.startswith("kubelet") and pod in link.what]
    first = {node.node: _first(chain, node.node) for node in chain.nodes}
    if not reports:
        return Verdict(
            None, gettext("No kubelet has reported pod {pod} in this chain. Delete another one.").format(pod=pod)
        )
    if unknown := sorted(given - first.keys()):
        return Verdict(
            False,
            gettext("There is no node {node}.").format(node=unknown[0]),
            (gettext("the nodes are {nodes}").format(nodes=", ".join(first)),),
        )
    ended = reports[0]
    late = {node for node, change in first.items() if change is None or change.start > ended.start}
    evidence = [_told(chain, ended)]
    if wrong := sorted(given - late):
        evidence += [_told(chain, change) for node in wrong if (change := first[node])]
        return Verdict(
            False,
            gettext("{wrong} of your {given} led nowhere any more by then.").format(wrong=len(wrong), given=len(given)),
            tuple(evidence),
        )
    if missing := len(late - given):
        return Verdict(
            False,
            gettext("On {missing} more it still led there: compare the times.").format(missing=missing),
            tuple(evidence),
        )
    changes = tuple(_told(chain, change) for change in first.values() if change)
    why = gettext("Two work at the same time and do not wait for each other: the kubelet, and each node's kube-proxy.")
    return Verdict(True, why, (*evidence, *changes))


def rules_for_each(measurement: Measurement, mode: str, answer: float | None) -> Verdict:
    """Check how many rules one more Service adds on a node.

    Parameters
    ----------
    measurement : Measurement
        Of two numbers of Services or more.
    mode : str
        kube-proxy's.
    answer : float or None
        Rules for each Service.
    """
    if answer is None:
        return unanswered(gettext("a number of rules"))
    counted = {
        number: measurement.figure(mode, number, "rules").mean for of, number in measurement.groups if of == mode
    }
    evidence = tuple(
        gettext("{number} Services: {rules:.0f} rules").format(number=number, rules=rules)
        for number, rules in counted.items()
    )
    if len(counted) < 2:
        return Verdict(None, gettext("That takes a measurement with two numbers of Services."), evidence)
    few, many = min(counted), max(counted)
    each = (counted[many] - counted[few]) / (many - few)
    if abs(answer - each) <= _TOLERANCE:
        why = gettext("So many rules came with every Service; the others are there without any ({mode} mode).").format(
            mode=mode
        )
        return Verdict(True, why, evidence)
    if any(abs(answer - rules / number) <= _TOLERANCE for number, rules in counted.items()):
        why = gettext("That is all rules divided by all Services. But some rules are there without any Service.")
        return Verdict(False, why, evidence)
    return Verdict(
        False,
        gettext("Compare two lines: {more} Services more, and how many rules more?").format(more=many - few),
        evidence,
    )


def _first(chain: Chain, node: str) -> Link | None:
    """Return the first change of a node's rules by which one went."""
    changes = (link for link in chain.links if link.kind == "rules" and link.node == node)
    return next((link for link in changes if link.went), None)


def _told(chain: Chain, link: Link) -> str:
    return gettext("link {number}, +{milliseconds:.1f} ms: {source} {what}").format(
        number=link.number, milliseconds=chain.milliseconds(link), source=link.source, what=link.what
    )
