"""What a lab needs of this machine, met or not, why, and the fix: the textbook's host preparation as a check.

The textbook prepares a host by a script (host name, SELinux off, swap off, ip_forward, bridge netfilter, IPv6, ip_vs
modules, ipset and ipvsadm, a container engine). Nothing is changed here: each check looks, and says what it means.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from labkit.cluster.preflight import machine, namespaces, programs
from labkit.cluster.preflight.check import Check, Level, Status, examine
from labkit.cluster.preflight.host import Host
from labkit.errors import PreflightError
from labkit.language import gettext, gettext_noop
from labkit.paths import state_dir

_COLUMNS = (
    gettext_noop("status"),
    gettext_noop("name"),
    gettext_noop("level"),
    gettext_noop("found"),
    gettext_noop("why"),
    gettext_noop("fix"),
)

__all__ = ["Check", "Host", "Level", "Report", "Status", "checks", "require"]


def checks(
    root: Path = Path("/"), *, state: Path | None = None, path: str | None = None, small: bool = False
) -> list[Check]:
    """Check this machine; nothing is changed, and nothing is raised for a need that is unmet or unknown.

    Parameters
    ----------
    root : Path
        The folder that stands for ``/`` when ``/proc``, ``/sys`` and ``/etc`` are read.
    state : Path, optional
        The folder that labs are kept in; by default the user's own.
    path : str, optional
        Folders with programs; by default ``$PATH`` and the sbin folders.
    small : bool
        Whether they are a small lab's needs.

    Returns
    -------
    list of Check
        Kernel and machine first, then programs; on another system than Linux nothing but that it is one.
    """
    host = Host(root, state_dir() if state is None else state, path, small=small)
    linux = examine(machine.LINUX, host)
    if linux.status == "unmet":
        return [linux]
    return [examine(need, host) for need in (*namespaces.NEEDS, *machine.NEEDS, *programs.NEEDS)]


def require(found: Iterable[Check], *, privileged: bool = False) -> None:
    """Raise for what is certainly missing; what is unknown may still work, so it passes.

    Parameters
    ----------
    found : iterable of Check
        From `checks`.
    privileged : bool
        Whether it is for a lab that root makes without a user namespace.

    Raises
    ------
    PreflightError
        Names each required need that is unmet, with its fix.
    """
    unmet = [check for check in found if check.status == "unmet" and check.level == "required"]
    if privileged:
        unmet = [check for check in unmet if check.name != namespaces.USER_NAMESPACES]
    if unmet:
        raise PreflightError(
            gettext("This machine cannot run a lab yet: {names}.").format(
                names=", ".join(gettext(check.name) for check in unmet)
            ),
            why="\n".join(
                gettext("{name}: {found} (needed because {why})").format(
                    name=gettext(check.name), found=check.found, why=check.why
                )
                for check in unmet
            ),
            fix="\n".join(dict.fromkeys(check.fix for check in unmet if check.fix)),
        )


@dataclass(frozen=True)
class Report:
    """The checks as one thing to show.

    Attributes
    ----------
    checks : tuple of Check
        In the order they are shown.
    """

    checks: tuple[Check, ...]

    @property
    def ready(self) -> bool:
        """Whether no required need is unmet."""
        return not any(check.status == "unmet" and check.level == "required" for check in self.checks)

    def to_json(self) -> list[dict[str, str]]:
        """Return the checks as plain objects for `json.dumps`."""
        return [asdict(check) for check in self.checks]

    def _repr_html_(self) -> str:
        """Return a table for notebooks; whatever came from the host is escaped."""
        head = "".join(f'<th scope="col" style="text-align:left">{gettext(name)}</th>' for name in _COLUMNS)
        rows = "".join(
            "<tr>"
            + "".join(f'<td style="text-align:left">{html.escape(_shown(check, name))}</td>' for name in _COLUMNS)
            + "</tr>"
            for check in self.checks
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _shown(check: Check, column: str) -> str:
    """Return what people read of a check; its name, level and status are words of programs, too."""
    text = str(getattr(check, column))
    return gettext(text) if column in {"status", "name", "level"} else text
