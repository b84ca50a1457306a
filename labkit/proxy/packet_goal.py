"""Who asks which address, and on which node that is to be seen: out of what the API says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.errors import UsageError
from labkit.language import gettext
from labkit.proxy.packet import Address


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks.

    Attributes
    ----------
    name : str
        ``"node node-01"`` or ``"pod default/tomcat-…"``.
    node : str
        Where it is.
    pod_address : str
        Empty where it is the node itself.
    """

    name: str
    node: str
    pod_address: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be asked, and where it is to be seen.

    Attributes
    ----------
    client : Client
        Who asks.
    service : str
        ``"default/tomcat"``.
    address : Address
        Where the request goes to.
    node : str
        On which node it is to be seen.
    endpoints : dict of str to str
        The endpoints' names by address: ``"pod/tomcat-…"``.
    """

    client: Client
    service: str
    address: Address
    node: str
    endpoints: dict[str, str]


def find_client(cluster: Cluster, api: ApiServer, namespace: str, node: str | None, pod: str | None) -> Client:
    """Return who asks; by default the first worker.

    Raises
    ------
    UsageError
        There is no such pod, it does not run, or a node was named, too.
    """
    if pod is None:
        chosen = node or (cluster.spec.node_names[1:2] or cluster.spec.node_names)[0]
        return Client(f"node {chosen}", chosen)
    if node is not None:
        raise UsageError(
            gettext("A request comes from a node or from a pod"),
            why=gettext("both were given"),
            fix=gettext("leave out one"),
        )
    *given, name = pod.split("/")
    where = given[0] if given else namespace
    found = api.get(f"/api/v1/namespaces/{where}/pods/{name}")
    if found is None:
        fix = f"labkit kubectl -- get pods --namespace {where}"
        raise UsageError(
            gettext("There is no pod {name!r} in namespace {where!r}").format(name=name, where=where), fix=fix
        )
    status = found["status"]
    if status["phase"] != "Running" or not status.get("podIP"):
        raise UsageError(
            gettext("Pod {name!r} can send nothing").format(name=name),
            why=gettext("it is {phase}").format(phase=status["phase"]),
            fix=gettext("choose one that runs"),
        )
    return Client(f"pod {where}/{name}", found["spec"]["nodeName"], status["podIP"])


def find_goal(
    cluster: Cluster, api: ApiServer, client: Client, service: str, *, port: int | None, node_port: str | None
) -> Goal:
    """Return what is to be asked of a Service, ``"NAMESPACE/NAME"``, and where it is to be seen.

    Raises
    ------
    UsageError
        There is no such Service, port or node, or the Service has nothing that rules could lead to.
    """
    namespace, _, name = service.partition("/")
    found = api.get(f"/api/v1/namespaces/{namespace}/services/{name}")
    if found is None:
        fix = f"labkit kubectl -- get services --namespace {namespace}"
        raise UsageError(
            gettext("There is no Service {name!r} in namespace {namespace!r}").format(name=name, namespace=namespace),
            fix=fix,
        )
    spec = found["spec"]
    _refuse_without_rules(name, spec)
    entry = _port(name, spec["ports"], port)
    if node_port is None:
        address = Address(spec["clusterIP"], entry["port"])
    elif "nodePort" in entry:
        address = Address(str(cluster.node_address(node_port)), entry["nodePort"])
    else:
        raise UsageError(
            gettext("Service {name!r} has no NodePort").format(name=name),
            why=gettext("its type is {type}").format(type=spec["type"]),
            fix=gettext("ask its own address instead"),
        )
    return Goal(client, service, address, node_port or client.node, _endpoints(api, namespace, name))


def _refuse_without_rules(name: str, spec: dict[str, Any]) -> None:
    """Refuse Services for which kube-proxy writes no rules."""
    what, fix = (
        gettext("There is nothing to trace on the way to Service {name!r}").format(name=name),
        gettext("choose a Service with a cluster IP"),
    )
    if spec["type"] == "ExternalName":
        why = gettext("it is an ExternalName: DNS answers with {address}, and kube-proxy does nothing for it").format(
            address=spec["externalName"]
        )
        raise UsageError(what, why=why, fix=fix)
    if spec.get("clusterIP", "None") == "None":
        why = gettext("it is headless: DNS answers with the pods' own addresses, and kube-proxy does nothing for it")
        raise UsageError(what, why=why, fix=fix)


def _port(name: str, ports: list[dict[str, Any]], port: int | None) -> dict[str, Any]:
    fitting = [entry for entry in ports if port in {None, entry["port"]}]
    for entry in fitting:
        if entry.get("protocol", "TCP") == "TCP":
            return entry
    known = ", ".join(f"{entry['port']}/{entry.get('protocol', 'TCP')}" for entry in ports)
    if fitting:
        raise UsageError(
            gettext("Port {port} of Service {name!r} cannot be traced").format(port=fitting[0]["port"], name=name),
            why=gettext("it is for {protocol}, and only requests by TCP are; the Service has {known}").format(
                protocol=fitting[0]["protocol"], known=known
            ),
            fix=gettext("choose a port for TCP, of this Service or of another"),
        )
    raise UsageError(
        gettext("Service {name!r} has no port {port}").format(name=name, port=port),
        why=gettext("it has {known}").format(known=known),
        fix=gettext("choose one of them"),
    )


def _endpoints(api: ApiServer, namespace: str, name: str) -> dict[str, str]:
    """Return what the API calls each endpoint's address: ``"pod/NAME"``."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    slices = api.get(f"{path}?labelSelector=kubernetes.io/service-name={name}") or {}
    return {
        address: f"pod/{endpoint['targetRef']['name']}"
        for found in slices.get("items", [])
        for endpoint in found.get("endpoints") or []
        if "targetRef" in endpoint
        for address in endpoint["addresses"]
    }
