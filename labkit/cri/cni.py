"""The pod network, by the real CNI plugins.

Sources: the CNI specification 1.0 and 1.1 (``SPEC.md`` of github.com/containernetworking/cni), sections 1 (format of a
network configuration list), 2 (environment), 3 (execution, derived requests) and its ``CONVENTIONS.md`` (the
``portMappings`` capability, the ``CNI_ARGS`` that kubelet's runtimes pass).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.cri.errors import StateError
from labkit.cri.processes import run

_TIMEOUT = 30.0
INTERFACE = "eth0"


@dataclass(frozen=True, slots=True)
class Network:
    """A network configuration list.

    Attributes
    ----------
    name, version : str
        The network's name and the version of the specification it is written to.
    plugins : tuple of dict
        The plugins' configurations, in the order of ADD.
    """

    name: str
    version: str
    plugins: tuple[dict[str, Any], ...]

    def values(self) -> dict[str, Any]:
        """Return the list as JSON values, as `parse` takes them."""
        return {"cniVersion": self.version, "name": self.name, "plugins": list(self.plugins)}


@dataclass(frozen=True, slots=True)
class Attachment:
    """Which pod is connected.

    Attributes
    ----------
    sandbox_id : str
        The CRI's id, CNI's container id.
    netns : str
        The network namespace's path; empty once it is gone (then only DEL is possible).
    pod : tuple of str
        The pod's namespace, name and uid.
    ports : tuple of dict
        Host ports: ``hostPort``, ``containerPort``, ``protocol``, ``hostIP``.
    """

    sandbox_id: str
    netns: str
    pod: tuple[str, str, str]
    ports: tuple[dict[str, Any], ...] = ()


def parse(values: Any, origin: str) -> Network:
    """Make a network of a configuration file's content, a list or a single plugin.

    Raises
    ------
    StateError
        If it is neither.
    """
    try:
        single = "plugins" not in values
        plugins = tuple(
            plugin | {"type": str(plugin["type"])} for plugin in ([values] if single else values["plugins"])
        )
        return Network(values["name"], values.get("cniVersion", "0.1.0"), plugins)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StateError(
            f"The network configuration {origin} cannot be used",
            why=f"{type(error).__name__}: {error}",
            fix="It needs a name and plugins that each have a type.",
        ) from error


def load(folder: Path, plugins: Path) -> Network:
    """Return the first usable network of a folder, by file name.

    Raises
    ------
    StateError
        If there is none, with the reason for each file.
    """
    reasons = []
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in files:
        if file.suffix not in {".conflist", ".conf", ".json"}:
            continue
        try:
            network = parse(json.loads(file.read_bytes()), file.name)
        except (OSError, ValueError, StateError) as error:
            reasons.append(f"{file.name}: {error}")
            continue
        missing = [plugin["type"] for plugin in network.plugins if not (plugins / plugin["type"]).is_file()]
        if not missing:
            return network
        reasons.append(f"{file.name} needs plugin {', '.join(missing)}, which {plugins} lacks")
    raise StateError(
        "The pod network is not configured yet",
        why="; ".join(reasons) or f"{folder} has no network configuration",
        fix="Apply a network add-on: its DaemonSet writes the configuration.",
    )


async def add(network: Network, attachment: Attachment, plugins: Path) -> dict[str, Any]:
    """Connect a pod and return CNI's result.

    Raises
    ------
    StateError
        If a plugin fails; what earlier plugins did has been undone.
    """
    result: dict[str, Any] | None = None
    try:
        for plugin in network.plugins:
            request = _request(network, plugin, attachment, result)
            result = await _execute("ADD", request, attachment, plugins) or {}
    except StateError:
        await delete(network, attachment, plugins, result, tolerant=True)
        raise
    return result or {}


async def delete(
    network: Network,
    attachment: Attachment,
    plugins: Path,
    result: dict[str, Any] | None,
    *,
    tolerant: bool = False,
) -> None:
    """Disconnect a pod, plugins in reverse, each given the result of ADD.

    Raises
    ------
    StateError
        If a plugin fails, unless `tolerant`.
    """
    for plugin in reversed(network.plugins):
        try:
            await _execute("DEL", _request(network, plugin, attachment, result), attachment, plugins)
        except StateError:
            if not tolerant:
                raise


def addresses(result: dict[str, Any]) -> list[str]:
    """Return the pod's addresses in CNI's result, without prefix lengths."""
    return [address["address"].partition("/")[0] for address in result.get("ips", ())]


def _request(
    network: Network, plugin: dict[str, Any], attachment: Attachment, result: dict[str, Any] | None
) -> dict[str, Any]:
    """Return what one plugin reads from its standard input (specification, section 3, "deriving")."""
    request = {key: value for key, value in plugin.items() if key != "capabilities"}
    request |= {"cniVersion": network.version, "name": network.name}
    if plugin.get("capabilities", {}).get("portMappings") and attachment.ports:
        request["runtimeConfig"] = {"portMappings": list(attachment.ports)}
    if result is not None:
        request["prevResult"] = result
    return request


async def _execute(
    command: str, request: dict[str, Any], attachment: Attachment, plugins: Path
) -> dict[str, Any] | None:
    namespace, name, uid = attachment.pod
    arguments = {
        "IgnoreUnknown": "1",
        "K8S_POD_NAMESPACE": namespace,
        "K8S_POD_NAME": name,
        "K8S_POD_INFRA_CONTAINER_ID": attachment.sandbox_id,
        "K8S_POD_UID": uid,
    }
    env = {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": attachment.sandbox_id,
        "CNI_NETNS": attachment.netns,
        "CNI_IFNAME": INTERFACE,
        "CNI_ARGS": ";".join(f"{key}={value}" for key, value in arguments.items()),
        "CNI_PATH": str(plugins),
    }
    program = plugins / request["type"]
    try:
        code, out, err = await run([str(program)], env=env, stdin=json.dumps(request).encode(), timeout=_TIMEOUT)
    except (OSError, TimeoutError) as error:
        raise _failure(command, request, f"{type(error).__name__}: {error}") from error
    if code:
        raise _failure(command, request, _reason(out) or err.decode(errors="replace").strip() or f"exit code {code}")
    return json.loads(out) if out.strip() else None


def _reason(out: bytes) -> str:
    """Return the message of CNI's error result, if it is one (specification, section 5)."""
    try:
        error = json.loads(out)
        return f"{error['msg']} {error.get('details', '')}".strip()
    except (ValueError, KeyError, TypeError):
        return ""


def _failure(command: str, request: dict[str, Any], why: str) -> StateError:
    return StateError(f"The CNI plugin {request['type']} failed at {command}", why=why)
