"""What a picture says in words: its title, its summary, what a hop and an edge do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import get_args

from labkit.errors import UsageError
from labkit.flow import Flow, Hop
from labkit.flow.model import HopKind
from labkit.language import gettext, gettext_noop, ngettext

NOTE = gettext_noop(
    "Solid: observed. Dashed: inferred by a rule. Square number: refused. "
    "Grey: Events, which tell of the flow and move nothing."
)
_TOLD = 200  # of the hops, how many the words for a picture tell; the table has all


def title(flow: Flow) -> str:
    """Return what the flow follows from."""
    if flow.action:
        return flow.action
    if not flow.hops:
        return gettext("{subject}: nothing happened").format(subject=flow.subject)
    first = flow.hops[0]
    return f"{first.source.name} {first.what}"


def summary(flow: Flow) -> str:
    """Return how many hops of each kind there are, and how long it took."""
    if not flow.hops:
        return gettext("0 hops")
    parts = [hops(len(flow.hops))]
    for kind in get_args(HopKind):
        count = sum(hop.kind == kind for hop in flow.hops)
        if count:
            parts.append(_counted(kind, count))
    if flow.pods:
        parts.append(ngettext("{number} pod", "{number} pods", len(flow.pods)).format(number=len(flow.pods)))
    last = max(flow.hops, key=lambda hop: hop.end)
    parts.append(duration(flow.milliseconds(last) + (last.end - last.start).total_seconds() * 1000))
    return " · ".join(parts)


def alt_text(flow: Flow) -> str:
    """Return in words what a picture shows, for those who do not see it: the hops but Events, in order."""
    told = [hop for hop in flow.hops if hop.kind != "record"]
    inferred = gettext(" (inferred)")
    steps = [f"{hop.number}. {sentence(hop)}{'' if hop.observed else inferred}" for hop in told[:_TOLD]]
    if len(told) > _TOLD:
        steps.append(gettext("and {count} more").format(count=len(told) - _TOLD))
    lost = gettext(" The evidence lacks: {losses}.").format(losses="; ".join(flow.losses)) if flow.losses else ""
    said = gettext("{title}: {summary}. {steps}.").format(
        title=title(flow), summary=summary(flow), steps="; ".join(steps)
    )
    return said + lost


def sentence(hop: Hop) -> str:
    """Return who did what."""
    return f"{hop.source.name} → {hop.target.name}: {hop.what}"


def caption(flow: Flow, hop: Hop) -> str:
    """Return what a picture of one step says of the present hop."""
    known = gettext("observed") if hop.observed else gettext("inferred: {rule}").format(rule=hop.rule)
    return gettext("{number} of {last} · {moment} · {sentence} · {known}").format(
        number=hop.number,
        last=flow.hops[-1].number,
        moment=moment(flow.milliseconds(hop)),
        sentence=sentence(hop),
        known=known,
    )


def label(hop: Hop) -> str:
    """Return what one hop does: ``"create pods/tomcat-5c8-x7k2p/binding"``; of an Event, what it says."""
    if hop.kind == "record":
        return hop.what
    return hop.verb if hop.kind == "runtime" else f"{hop.verb} {hop.object}"


def things(several: Sequence[Hop]) -> str:
    """Return what several hops do: ``"create pods/binding · update replicasets/status"``."""
    return (
        " · ".join(dict.fromkeys(thing(hop) for hop in several))
        if several[0].kind != "runtime"
        else gettext("calls by CRI")
    )


def thing(hop: Hop) -> str:
    """Return verb and kind of object: ``"create pods/binding"``."""
    kind = "/".join(part for part in (hop.object.resource, hop.object.subresource) if part)
    return hop.verb if hop.kind == "runtime" else f"{hop.verb} {kind}"


def duration(milliseconds: float) -> str:
    """Return a length of time with the digits that matter: ``"0.4 ms"``, ``"34 ms"``, ``"1.20 s"``, ``"15 min"``."""
    if milliseconds >= 600_000:
        return f"{milliseconds / 60_000:.0f} min"
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def moment(milliseconds: float) -> str:
    """Return a time since the flow's first hop, to the millisecond: ``"+8.2 ms"``, ``"+1.204 s"``."""
    if abs(milliseconds) >= 1000:
        return f"{milliseconds / 1000:+.3f} s"
    return f"{milliseconds:+.0f} ms" if abs(milliseconds) >= 10 or not milliseconds else f"{milliseconds:+.1f} ms"


def chosen(flow: Flow, *, step: int | None, records: bool) -> Flow:
    """Return the flow with or without Events, checked to have the present hop.

    Raises
    ------
    UsageError
        The flow has no hop of that number.
    """
    if not records:
        flow = dataclasses.replace(flow, hops=tuple(hop for hop in flow.hops if hop.kind != "record"))
    if step is not None and step not in {hop.number for hop in flow.hops}:
        numbers = (
            gettext("{first} to {last}").format(first=flow.hops[0].number, last=flow.hops[-1].number)
            if flow.hops
            else gettext("none")
        )
        raise UsageError(
            gettext("There is no hop {step} in this flow").format(step=step),
            why=gettext("its hops are numbered {numbers}").format(numbers=numbers),
            fix=gettext("choose one of them"),
        )
    return flow


def notes(flow: Flow, *more: str) -> list[str]:
    """Return the lines below a picture: how to read it, and what the evidence lacks."""
    return [
        " ".join((gettext(NOTE), *more)),
        *(gettext("The evidence lacks: {loss}").format(loss=loss) for loss in flow.losses),
    ]


def hops(number: int) -> str:
    """Return ``"1 hop"``, ``"3 hops"``."""
    return ngettext("{number} hop", "{number} hops", number).format(number=number)


def _counted(kind: HopKind, number: int) -> str:
    """Return how many hops of a kind there are: ``"3 writes to etcd"``."""
    match kind:
        case "request":
            said = ngettext("{number} request", "{number} requests", number)
        case "persist":
            said = ngettext("{number} write to etcd", "{number} writes to etcd", number)
        case "notify":
            said = ngettext("{number} notification", "{number} notifications", number)
        case "runtime":
            said = ngettext("{number} runtime call", "{number} runtime calls", number)
        case "record":
            said = ngettext("{number} Event", "{number} Events", number)
    return said.format(number=number)
