"""See how Kubernetes works inside: a real kubeadm cluster, driven from a notebook.

>>> import labkit
>>> with labkit.up() as lab:                      # doctest: +SKIP
...     lab.deploy("tomcat")
...     lab.flow("tomcat")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.cluster.preflight import Report
    from labkit.lab import Lab, attach, doctor, down, lab_names, preflight, replay, up

__all__ = ["Lab", "Report", "attach", "doctor", "down", "lab_names", "preflight", "replay", "up"]

_HOMES = {"Report": "labkit.cluster.preflight"}


def __getattr__(name: str) -> Any:
    """Import on first use: labkit's small programs on each node must not pay for what only notebooks need."""
    if name not in __all__:
        raise AttributeError(f"module 'labkit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "labkit.lab")), name)
