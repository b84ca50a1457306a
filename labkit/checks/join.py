"""The exercises of notebook 07 about joining: which token lets a machine in, and who said yes to its certificate."""

from __future__ import annotations

from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.lab import Lab
from labkit.lab.installation.join import Joined
from labkit.language import gettext


@looks
def longest(lab: Lab, answer: str | None) -> Verdict:
    """Check which of the lab's tokens lives longest.

    Parameters
    ----------
    lab : Lab
        Where to look.
    answer : str or None
        A token's id.
    """
    if answer is None:
        return unanswered(gettext('a token\'s id, for example "abcdef"'))
    tokens = {each.id: each for each in lab.token.list()}
    given = str(answer).strip().partition(".")[0]
    if given not in tokens:
        lines = (
            gettext("there are {count} tokens: {ids}").format(
                count=len(tokens), ids=", ".join(tokens) or gettext("none")
            ),
        )
        return Verdict(
            False, gettext("The cluster has no token {given!r}: it would let nobody in.").format(given=given), lines
        )
    chosen = tokens[given]
    evidence = (gettext("token {given}: {left}").format(given=given, left=chosen.left),)
    if chosen.expires is None:
        return Verdict(True, gettext("It never expires: who finds it in ten years can still join."), evidence)
    if longer := sum(each.expires is None or each.expires > chosen.expires for each in tokens.values()):
        return Verdict(
            False,
            gettext("{longer} of the cluster's tokens live longer than that one.").format(longer=longer),
            evidence,
        )
    return Verdict(True, gettext("No other one lives longer."), evidence)


def said_yes(joined: Joined, answer: str | None) -> Verdict:
    """Check who approved the certificate of a machine that joined.

    Parameters
    ----------
    joined : Joined
        How it joined.
    answer : str or None
        A component's name, as the flow has it.
    """
    if answer is None:
        return unanswered(gettext('a component\'s name, for example "scheduler"'))
    given = answer.strip().lower().removeprefix("the ")
    hops = [hop for hop in joined.flow.hops if hop.kind == "request"]
    own = [hop for hop in hops if given in {hop.source.name.lower(), hop.source.id.lower()}]
    if not own:
        names = ", ".join(dict.fromkeys(hop.source.name for hop in hops))
        return Verdict(
            False,
            gettext("The flow has no request of {answer!r}.").format(answer=answer),
            (gettext("it has those of: {names}").format(names=names),),
        )
    evidence = tuple(
        gettext("hop {number}: {name} {what}").format(number=hop.number, name=hop.source.name, what=hop.what)
        for hop in own
    )
    if any(hop.object.subresource == "approval" for hop in own):
        return Verdict(True, gettext("A part of the controller-manager: no person was asked."), evidence)
    return Verdict(
        False,
        gettext("{name} asked for something else. Look for the subresource approval.").format(name=own[0].source.name),
        evidence,
    )
