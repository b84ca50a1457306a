"""The set-up script, as far as it goes without installing anything."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOBODY = 65534
# What the script itself uses.
TOOLS = ["bash", "cat", "sha256sum", "dirname", "id", "sed", "grep", "rm"]


@pytest.fixture
def tree() -> Iterator[Path]:
    """A copy of what the script reads, that an ordinary user may write to; one package in the list nobody has."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        shutil.copytree(ROOT / "scripts", tree / "scripts")
        for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
            shutil.copy(ROOT / name, tree)
        (tree / "scripts" / "debian-packages.txt").write_text(
            "# a comment\n\n"
            "run  present   has sh                  # is there\n"
            "run  imaginary has imaginary-program   # is not\n"
            "test fanciful  has fanciful-program    # is not, and only the tests want it\n"
        )
        tree.chmod(0o777)
        yield tree


def _run(tree: Path, *arguments: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tree / "scripts" / "setup", *arguments],
        cwd="/",
        env={"PATH": path, "HOME": str(tree)},
        user=NOBODY if os.geteuid() == 0 else None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("profile", "missing"), [("run", "imaginary"), ("test", "imaginary fanciful")])
def test_without_root_the_one_command_is_printed(tree: Path, profile: str, missing: str) -> None:
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode == 0
    ):
        pytest.skip("this user may use sudo, and the script would")
    done = _run(tree, profile)
    assert done.returncode == 3
    assert f"    sudo apt-get install --yes --no-install-recommends {missing}\n" in done.stderr
    assert not (tree / ".venv").exists()


def test_machine_that_is_no_debian_is_told_what_is_missing(tree: Path) -> None:
    tools = tree / "tools"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    script = (tree / "scripts" / "setup").read_text()
    # The script adds the folders for administrators to PATH; here it must find no apt-get at all.
    (tree / "scripts" / "setup").write_text(script.replace(":/usr/local/sbin:/usr/sbin:/sbin", ""))
    done = subprocess.run(
        [tools / "bash", tree / "scripts" / "setup"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "no Debian" in done.stderr
    assert "imaginary" in done.stderr
    assert "apt-get" not in done.stderr


def test_second_run_does_nothing(tree: Path) -> None:
    inputs = ["scripts/debian-packages.txt", "pyproject.toml", "requirements.lock", "scripts/setup"]
    digest = hashlib.sha256(b"".join((tree / name).read_bytes() for name in inputs)).hexdigest()
    (tree / ".venv").mkdir()
    (tree / ".venv" / "set-up-run").write_text(f"{digest}  -\n")
    done = _run(tree)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (tree / "requirements.lock").write_text("changed")
    assert _run(tree).returncode == 3


def test_unknown_profile_is_a_usage_error(tree: Path) -> None:
    done = _run(tree, "everything")
    assert done.returncode == 2
    assert "usage: scripts/setup" in done.stderr
