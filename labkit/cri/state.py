"""What the runtime remembers on disk: a folder per sandbox and container, replaced in one step.

A runtime that is killed at any moment finds either the old record or the new one when it starts again.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's content in one step, readable by its owner alone."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
    temporary.replace(path)


class Folder:
    """The records of one kind (sandboxes or containers): a folder each, named by id.

    Parameters
    ----------
    path : Path
        Where the folders are; it is made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path

    def of(self, identifier: str) -> Path:
        """Return a record's own folder."""
        return self._path / identifier

    def create(self, identifier: str, config: bytes) -> Path:
        """Make a record's folder with the configuration that never changes."""
        folder = self.of(identifier)
        folder.mkdir(mode=0o700)
        write_atomically(folder / "config.pb", config)
        return folder

    def save(self, identifier: str, values: dict[str, Any]) -> None:
        """Write a record's changing values."""
        write_atomically(self.of(identifier) / "record.json", json.dumps(values).encode())

    def load(self) -> list[tuple[dict[str, Any], bytes]]:
        """Return every whole record with its configuration; remove the ones that were being made."""
        records = []
        for folder in sorted(self._path.iterdir()):
            try:
                records.append((json.loads((folder / "record.json").read_bytes()), (folder / "config.pb").read_bytes()))
            except (OSError, ValueError):
                shutil.rmtree(folder, ignore_errors=True)
        return records

    def remove(self, identifier: str) -> None:
        """Remove a record and all that is in its folder."""
        shutil.rmtree(self.of(identifier), ignore_errors=True)
