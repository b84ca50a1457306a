"""Programs built by the Go toolchain from a recipe: a `go.mod` with `tool` lines and the `go.sum` that pins it all."""

from __future__ import annotations

import collections
import os
import re
import shutil
import signal
import subprocess
import tempfile
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from labkit.components.pins import Pin
from labkit.errors import ComponentError
from labkit.progress import Phase

_FIRST_GO_THAT_FETCHES_ITS_SUCCESSOR = (1, 21)  # go.dev/doc/toolchain
_TAIL = 15  # lines of Go's output to show when it fails
_FIX = "Install Go {need} or newer (go.dev/dl), or name a folder that has the programs with LABKIT_COMPONENTS."


def build(pin: Pin, folder: Path, phase: Phase) -> None:
    """Build a component's programs into a folder, in the pinned version, from sources whose checksums are pinned.

    Raises
    ------
    ComponentError
        If Go is absent, too old, or fails.
    """
    recipe = resources.files(__package__) / "recipes" / pin.recipe
    go = _toolchain(recipe)
    # A copy: an installed package may be read-only, and Go wants to lock the folder it works in.
    with tempfile.TemporaryDirectory(prefix="labkit-go-") as temporary:
        for name in ("go.mod", "go.sum"):
            Path(temporary, name).write_bytes((recipe / name).read_bytes())
        total = _count_packages(go, temporary, phase)
        command = [go, "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false"]
        command += ["-ldflags", " ".join(["-s -w", *pin.ldflags]), "-o", f"{folder}/", "tool"]
        _run(command, temporary, phase, total)
    for made, wanted in pin.renames.items():
        (folder / made).rename(folder / wanted)


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}


def _toolchain(recipe: Traversable) -> str:
    """Return the path of a Go that can build a recipe."""
    need = re.search(r"^go (\d+)\.(\d+)", (recipe / "go.mod").read_text("utf-8"), re.MULTILINE)
    assert need is not None, "every go.mod of ours says which Go it needs"  # noqa: S101
    fix = _FIX.format(need=f"{need[1]}.{need[2]}")
    if (go := shutil.which("go")) is None:
        raise ComponentError("There is no go on PATH.", fix=fix)
    # In the root folder: in one with a go.mod, a Go that is too old would refuse to answer.
    done = subprocess.run(
        [go, "env", "GOVERSION", "GOTOOLCHAIN"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=_environment(),
    )
    have = re.match(r"go(\d+)\.(\d+)", done.stdout)
    if have is None:
        raise ComponentError(f"{go} does not say its version.", why=done.stderr.strip()[-500:], fix=fix)
    version = (int(have[1]), int(have[2]))
    fetches = version >= _FIRST_GO_THAT_FETCHES_ITS_SUCCESSOR and done.stdout.splitlines()[1:] != ["local"]
    if version < (int(need[1]), int(need[2])) and not fetches:
        raise ComponentError(
            f"{go} is too old.", why=f"It is {have[0]}; the recipe needs go{need[1]}.{need[2]}.", fix=fix
        )
    return go


def _count_packages(go: str, cwd: str, phase: Phase) -> int:
    """Return how many packages there are to compile; as a side effect the modules get downloaded."""
    phase.advance("fetching Go modules")
    return len(_run([go, "list", "-mod=readonly", "-deps", "tool"], cwd, phase, 0))


def _run(command: list[str], cwd: str, phase: Phase, total: int) -> list[str]:
    """Run Go, tell how far it is, and return the lines it wrote that are no message about a download."""
    lines: list[str] = []
    downloads = 0
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that an interrupt ends Go together with the compilers it started
    )
    assert process.stdout is not None, "it is a pipe"  # noqa: S101
    try:
        for line in process.stdout:
            if line.startswith("go: downloading"):
                downloads += 1
                phase.advance(f"fetching Go modules: {downloads}, {line.split()[2]}")
                continue
            lines.append(line.rstrip())
            if total:
                phase.advance(f"building with Go: package {len(lines)} of {total}", min(len(lines) / total, 1.0))
        status = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        process.stdout.close()
    if status != 0:
        tail = "\n".join(collections.deque(lines, _TAIL))
        raise ComponentError(f"go {command[1]} failed.", why=tail, fix=_FIX.format(need="1.24"))
    return lines
