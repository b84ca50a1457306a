"""What a check of the host says, and where the checks meet: a need, what was found, and the fix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from labkit.cluster.preflight.host import Host
from labkit.language import gettext, gettext_noop

Status = Literal["met", "unmet", "not needed", "unknown"]
Level = Literal["required", "recommended", "only for ipvs", "only for images"]

#: As people read them; programs read what `Check` has.
LEVELS = (
    gettext_noop("required"),
    gettext_noop("recommended"),
    gettext_noop("only for ipvs"),
    gettext_noop("only for images"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one need.

    Attributes
    ----------
    status : {"met", "unmet", "not needed", "unknown"}
        Whether the need is met; ``unknown`` where the host would not say.
    found : str
        What was found, for people.
    fix : str
        One command or sentence that meets the need; empty where nothing has to be done.
    """

    status: Status
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a lab needs of its host, and how to look for it.

    Attributes
    ----------
    name : str
        Short, for people.
    level : {"required", "recommended", "only for ipvs", "only for images"}
        What fails without it: the lab, something in it, kube-proxy's ipvs mode, or some images.
    why : str
        Why Kubernetes, or labkit's nodes, need it.
    look : callable
        Finds out; may raise `OSError` or `ValueError`, which make the finding unknown.
    """

    name: str
    level: Level
    why: str
    look: Callable[[Host], Finding]


@dataclass(frozen=True, slots=True)
class Check:
    """A need together with what was found: see `Need` and `Finding` for the attributes."""

    name: str
    status: Status
    level: Level
    found: str
    why: str
    fix: str = ""


def examine(need: Need, host: Host) -> Check:
    """Look for one need; a host that cannot be read gives ``unknown``, never an exception."""
    try:
        finding = need.look(host)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        place = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        finding = Finding("unknown", gettext("unknown, because of: {reason}{place}").format(reason=reason, place=place))
    return Check(need.name, finding.status, need.level, finding.found, gettext(need.why), finding.fix)
