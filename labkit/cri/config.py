"""What the runtime is told about its node."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.errors import UsageError
from labkit.language import gettext


@dataclass(frozen=True, slots=True)
class Config:
    """The runtime's settings, read from one JSON object with these keys.

    Attributes
    ----------
    node_name : str
        The node's name, for what containers say about where they run.
    socket : Path
        The unix socket on which CRI is served.
    state_dir : Path
        Where sandboxes, containers and their roots are kept.
    cni_conf_dir, cni_bin_dir : Path
        Where the network's configuration appears, and where the CNI plugins are.
    kubernetes_version : str
        The tag of the control plane's images, as in ``v1.34.3``.
    readonly_binds : tuple of Path
        Folders with the lab's Python, for images that ask for it.
    catalogue : Path or None
        The user's own images, in the form of ``images.toml``.
    full_id_map : bool
        Whether ids other than 0 exist here (``id_map`` is ``"full"``, else ``"single"``).
    calls_log : Path
        Where each call that changes something is written, as a line of JSON.
    """

    node_name: str
    socket: Path
    state_dir: Path
    cni_conf_dir: Path
    cni_bin_dir: Path
    kubernetes_version: str
    readonly_binds: tuple[Path, ...]
    catalogue: Path | None
    full_id_map: bool
    calls_log: Path

    @classmethod
    def read(cls, path: Path) -> Config:
        """Read the settings.

        Raises
        ------
        UsageError
            If the file is missing, is no JSON object, or lacks a key.
        """
        try:
            values: dict[str, Any] = json.loads(path.read_text())
            return cls(
                node_name=values["node_name"],
                socket=Path(values["socket"].removeprefix("unix://")),
                state_dir=Path(values.get("state_dir", "/var/lib/labkit")),
                cni_conf_dir=Path(values.get("cni_conf_dir", "/etc/cni/net.d")),
                cni_bin_dir=Path(values.get("cni_bin_dir", "/opt/cni/bin")),
                kubernetes_version="v" + values["kubernetes_version"].removeprefix("v"),
                readonly_binds=tuple(Path(bind) for bind in values.get("readonly_binds", ())),
                catalogue=Path(values["catalogue"]) if values.get("catalogue") else None,
                full_id_map=values.get("id_map", "single") == "full",
                calls_log=Path(values.get("calls_log", "/var/log/labkit/cri.jsonl")),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                gettext("The runtime's settings in {path} cannot be used").format(path=path),
                why=f"{type(error).__name__}: {error}",
                fix=gettext("It must be one JSON object with at least node_name, socket and kubernetes_version."),
            ) from error
