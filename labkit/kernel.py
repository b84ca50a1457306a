"""Which notebook this process is the kernel of."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def notebook() -> Path | None:
    """Return the file of the notebook whose kernel this is, None where nobody tells.

    Jupyter Server gives a kernel its notebook's path as ``JPY_SESSION_NAME``
    (jupyter_server.services.sessions.sessionmanager); VS Code as a variable of the notebook.
    """
    kernel = sys.modules.get("ipykernel.kernelapp")
    if kernel is None or not kernel.IPKernelApp.initialized():
        return None
    variables = kernel.IPKernelApp.instance().shell.user_ns
    path = variables.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return Path(path) if path else None
