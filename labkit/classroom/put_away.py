"""The program that puts an account's labs away before its server ends: what happened in them is kept, then they stop.

The Hub runs it as the account. A stopped lab keeps its cluster: `labkit.up` starts it again.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import labkit
from labkit.errors import LabkitError
from labkit.evidence.recording import SUFFIX, save

#: Below the account's home.
FOLDER = "labkit-recordings"
_KEPT = timedelta(hours=1)  # of what was left: a lesson's length


def put_away(name: str, folder: Path) -> Path | None:
    """Record what a lab's components left during the last hour, and stop it.

    Parameters
    ----------
    name : str
        The lab's.
    folder : Path
        Where its recording goes; made if missing.

    Returns
    -------
    Path or None
        The recording; None where the lab does not run.
    """
    lab = labkit.attach(name)
    if not lab.cluster.running:
        return None
    now = datetime.now(UTC)
    path = folder / f"{name}-{now:%Y%m%dT%H%M%SZ}{SUFFIX}"
    try:
        folder.mkdir(exist_ok=True)
        evidence = lab.evidence(since=now - _KEPT)
        save(evidence, path, title=f"Lab {name!r}, before it was stopped", recorded=now)
    finally:
        lab.stop()
    return path


def main() -> int:
    """Put every lab of this account away; return how many could not be."""
    failed = 0
    for name in labkit.lab_names():
        try:
            path = put_away(name, Path.home() / FOLDER)
        except (LabkitError, OSError) as error:
            failed += 1
            print(f"lab {name}: {error}", flush=True)
        else:
            print(f"lab {name}: {path or 'it did not run'}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
