"""What each hop of a flow is, in one word and what came of it: ``"pod.stored.told.scheduler"``."""

from __future__ import annotations

from collections.abc import Mapping

from labkit.flow.model import Flow, Hop

_STARTS = frozenset({"RunPodSandbox", "PullImage", "CreateContainer", "StartContainer"})


def labels(flow: Flow) -> Mapping[int, str]:
    """Return a label for each hop, by its number.

    A request is called after what it asks: ``ask`` (the person's own), ``pod``, ``bind``, ``report``, ...; what was
    stored adds ``.stored``, that the API server heard of it ``.heard``, that a watcher was told ``.told.KIND``. A
    runtime's work is ``run`` or ``halt``.
    """
    found: dict[int, str] = {}
    for hop in flow.hops:
        if hop.kind == "request":
            found[hop.number] = "ask" if hop.cause is None and hop.number == 1 else _request(hop)
        elif hop.kind == "record":
            found[hop.number] = "event"
        elif hop.kind == "runtime":
            found[hop.number] = "run" if hop.verb in _STARTS else "halt"
        else:
            before = found.get(hop.cause or 0, "other")
            if hop.kind == "persist":
                found[hop.number] = f"{before}.stored"
            elif hop.source.kind == "etcd":
                found[hop.number] = f"{before}.heard"
            else:
                found[hop.number] = f"{before.removesuffix('.heard')}.told.{hop.target.kind}"
    return found


_PLAIN = {"endpointslices": "slices", "endpoints": "slices", "ipaddresses": "address"}


def _request(hop: Hop) -> str:
    name = hop.object
    if name.resource in _PLAIN:
        return _PLAIN[name.resource]
    if name.subresource == "token":
        return "token"
    if name.resource == "pods" and hop.verb != "get":
        return _about_pod(hop)
    if name.subresource == "status" or hop.verb == "get":
        return "status"
    if name.resource == "replicasets":
        return {"create": "rs", "delete": "rs.delete"}.get(hop.verb, "rs.scale")
    return "more"


def _about_pod(hop: Hop) -> str:
    kubelet = hop.source.kind == "kubelet"
    if hop.object.subresource == "binding":
        return "bind"
    if hop.object.subresource == "status":
        return "report" if kubelet else "unplaced"
    if hop.verb == "delete":
        return "gone" if kubelet else "pod.delete"
    return "pod" if hop.verb == "create" else "more"
