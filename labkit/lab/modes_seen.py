"""One Service in all modes of kube-proxy: what this lab has seen, and what was recorded where it has not."""

from __future__ import annotations

from typing import cast

from labkit.errors import UsageError
from labkit.evidence.recording import load
from labkit.lab.lessons import shipped
from labkit.lab.shown import ComparedModes
from labkit.language import gettext
from labkit.proxy.mode import MODES
from labkit.proxy.model import Mode
from labkit.proxy.seen import Seen, SeenRules
from labkit.proxy.side_by_side import ModeComparison, ServiceInMode, service_in_mode

#: The recordings that come with labkit and have kube-proxy's rules have names that begin so.
RECORDINGS = "kube-proxy"


def compare_modes(seen: Seen, service: str, node: str, source: str) -> ComparedModes:
    """Return a Service in kube-proxy's modes.

    Parameters
    ----------
    seen : Seen
        What was seen of kube-proxy here.
    service : str
        ``"svc/tomcat"``, ``"tomcat"``, ``"shop/web"``.
    node : str
        On which node.
    source : str
        Where what was seen is from: ``"read on master"``.

    Raises
    ------
    UsageError
        No mode's rules have such a Service on that node.
    """
    name = full_name(service)
    found: dict[Mode, ServiceInMode] = {}
    for mode in cast("tuple[Mode, ...]", MODES):
        sight = seen.rules.get((mode, node))
        own = sight and _service(sight, name, f"{source} at {sight.time:%H:%M:%S} UTC")
        if own:
            found[mode] = own
    if not found:
        raise UsageError(
            gettext("{node} has no rules of Service {name!r}").format(node=node, name=name),
            why=gettext("there is no such Service, or it has no address of its own (headless, ExternalName)"),
            fix=gettext("labkit proxy rules shows all"),
        )
    for mode in cast("tuple[Mode, ...]", MODES):
        other = None if mode in found else _recorded(mode, name)
        if other:
            found[mode] = other
    order = sorted(found, key=MODES.index)
    missing = tuple(mode for mode in cast("tuple[Mode, ...]", MODES) if mode not in found)
    return ComparedModes(ModeComparison(name, tuple(found[mode] for mode in order), missing))


def full_name(service: str) -> str:
    """Return ``"default/tomcat"`` for ``"svc/tomcat"`` and for ``"tomcat"``; else the name has its namespace."""
    kind, _, name = service.rpartition("/")
    return f"default/{name}" if kind in {"", "svc", "service", "services"} else service


def _recorded(mode: Mode, service: str) -> ServiceInMode | None:
    """Return a Service in a mode out of what comes with labkit: of that name, or the one with most endpoints."""
    for name, path in shipped().items():
        if name.startswith(RECORDINGS):
            evidence = load(path).evidence
            sight = Seen(evidence.proxy).rules.get((mode, evidence.cluster.control_plane))
            if sight and sight.parse().ports:
                ports = sight.parse().ports
                names = {port.service for port in ports}
                largest = max(ports, key=lambda port: len(port.endpoints)).service
                chosen = service if service in names else largest
                return _service(sight, chosen, f"recorded: Service {chosen} of lesson {name}")
    return None


def _service(sight: SeenRules, service: str, source: str) -> ServiceInMode | None:
    return service_in_mode(sight.parse(), sight.tables.iptables, service, source)
