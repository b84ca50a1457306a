"""Ordinary users, made by root for tests that run as one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can make another user; as a user, all other tests are this one"
)


@contextmanager
def ordinary_user(name: str, home: Path | None = None) -> Iterator[None]:
    """Make a user, with a home of the usual kind or one that is there already; remove both in the end."""
    place = ["--create-home"] if home is None else ["--no-create-home", "--home-dir", str(home)]
    subprocess.run(["useradd", *place, "--shell", "/bin/sh", name], check=True, capture_output=True)
    try:
        yield
    finally:
        remove = [] if home else ["--remove"]
        subprocess.run(["userdel", *remove, name], check=True, capture_output=True)


def as_user(name: str, *, no_new_privileges: bool) -> list[str]:
    """Return what a command line begins with that runs as a user (setpriv(1))."""
    identity = ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups"]
    return [*identity, "--no-new-privs"] if no_new_privileges else identity


def link(source: Path, target: Path) -> None:
    """Copy a tree by hard links, or for real where the target is on another file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["cp", "-al", source, target], check=False, capture_output=True).returncode != 0:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", source, target], check=True, capture_output=True)
