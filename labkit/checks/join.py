"""The exercises of notebook 07 about joining: which token lets a machine in, and who said yes to its certificate."""

from __future__ import annotations

from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.lab import Lab
from labkit.lab.installation.join import Joined


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
        return unanswered('a token\'s id, for example "abcdef"')
    tokens = {each.id: each for each in lab.token.list()}
    given = str(answer).strip().partition(".")[0]
    if given not in tokens:
        lines = (f"there are {len(tokens)} tokens: {', '.join(tokens) or 'none'}",)
        return Verdict(False, f"The cluster has no token {given!r}: it would let nobody in.", lines)
    chosen = tokens[given]
    evidence = (f"token {given}: {chosen.left}",)
    if chosen.expires is None:
        return Verdict(True, "It never expires: who finds it in ten years can still join.", evidence)
    if longer := sum(each.expires is None or each.expires > chosen.expires for each in tokens.values()):
        return Verdict(False, f"{longer} of the cluster's tokens live longer than that one.", evidence)
    return Verdict(True, "No other one lives longer.", evidence)


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
        return unanswered('a component\'s name, for example "scheduler"')
    given = answer.strip().lower().removeprefix("the ")
    hops = [hop for hop in joined.flow.hops if hop.kind == "request"]
    own = [hop for hop in hops if given in {hop.source.name.lower(), hop.source.id.lower()}]
    if not own:
        names = ", ".join(dict.fromkeys(hop.source.name for hop in hops))
        return Verdict(False, f"The flow has no request of {answer!r}.", (f"it has those of: {names}",))
    evidence = tuple(f"hop {hop.number}: {hop.source.name} {hop.what}" for hop in own)
    if any(hop.object.subresource == "approval" for hop in own):
        return Verdict(True, "A part of the controller-manager: no person was asked.", evidence)
    return Verdict(
        False, f"{own[0].source.name} asked for something else. Look for the subresource approval.", evidence
    )
