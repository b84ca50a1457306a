"""Where a Service can be reached, for `labkit.lab.Lab.open`."""

from __future__ import annotations

from typing import Any

from labkit.cluster.rest import ApiServer
from labkit.cluster.spec import service_name
from labkit.errors import UsageError
from labkit.language import gettext


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
        raise UsageError(
            gettext("{target!r} cannot be opened").format(target=target),
            why=gettext("it does not name a Service"),
            fix=gettext("for example svc/tomcat"),
        )
    service = api.get(f"/api/v1/namespaces/default/services/{name}")
    if service is None:
        raise UsageError(
            gettext("There is no Service {name!r}").format(name=name), fix="labkit kubectl -- get services"
        )
    spec: dict[str, Any] = service["spec"]
    if spec.get("clusterIP", "None") == "None":
        raise UsageError(
            gettext("Service {name!r} cannot be opened").format(name=name),
            why=gettext("it has no address of its own"),
            fix=gettext("open another"),
        )
    ports = [entry["port"] for entry in spec["ports"]]
    chosen = ports[0] if port is None else port
    if chosen not in ports:
        raise UsageError(
            gettext("Service {name!r} has no port {port}").format(name=name, port=port),
            why=gettext("it has {ports}").format(ports=", ".join(map(str, ports))),
            fix=gettext("choose one of them"),
        )
    return str(spec["clusterIP"]), int(chosen)
