"""Where a Service can be reached, for `labkit.lab.Lab.open`."""

from __future__ import annotations

from typing import Any

from labkit.cluster.rest import ApiServer
from labkit.cluster.spec import service_name
from labkit.errors import UsageError


def address_of(api: ApiServer, target: str, port: int | None) -> tuple[str, int]:
    """Return a Service's address inside the cluster, and one of its ports.

    Parameters
    ----------
    api : ApiServer
        To ask.
    target : str
        ``"svc/tomcat"``, in namespace default.
    port : int or None
        Which of its ports; None for the first.

    Raises
    ------
    UsageError
        There is no such Service or port, or the Service has no address of its own.
    """
    name = service_name(target)
    if name is None:
        raise UsageError(f"{target!r} cannot be opened", why="it does not name a Service", fix="for example svc/tomcat")
    service = api.get(f"/api/v1/namespaces/default/services/{name}")
    if service is None:
        raise UsageError(f"There is no Service {name!r}", fix="labkit kubectl -- get services")
    spec: dict[str, Any] = service["spec"]
    if spec.get("clusterIP", "None") == "None":
        raise UsageError(f"Service {name!r} cannot be opened", why="it has no address of its own", fix="open another")
    ports = [entry["port"] for entry in spec["ports"]]
    chosen = ports[0] if port is None else port
    if chosen not in ports:
        raise UsageError(
            f"Service {name!r} has no port {port}", why=f"it has {', '.join(map(str, ports))}", fix="choose one of them"
        )
    return str(spec["clusterIP"]), int(chosen)
