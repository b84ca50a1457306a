"""Programs built by the Go toolchain from a recipe: a `go.mod` with `tool` lines and the `go.sum` that pins it all.

A recipe may have programs of its own beside or instead of them, each in a `main.go`: Go names it after the folder that
this is in, or after the module.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO

from labkit.components.pins import Pin
from labkit.errors import ComponentError
from labkit.language import gettext, gettext_noop
from labkit.progress import Phase

RECIPES: Traversable = resources.files(__package__) / "recipes"

_FIRST_GO_THAT_FETCHES_ITS_SUCCESSOR = (1, 21)  # go.dev/doc/toolchain
_USUAL_PLACE = "/usr/local/go/bin"  # go.dev/doc/install; a login shell's PATH need not have it
_TICK = 0.25  # seconds between two looks at how far Go is
_TAIL = 15  # lines of Go's output to show when it fails
_FIX = gettext_noop(
    "Install Go {need} or newer (go.dev/dl), or name a folder that has the programs with LABKIT_COMPONENTS."
)


def build(pin: Pin, folder: Path, phase: Phase) -> None:
    """Build a component's programs into a folder, in the pinned version, from sources whose checksums are pinned.

    Raises
    ------
    ComponentError
        If Go is absent, too old, or fails.
    """
    recipe = RECIPES / pin.recipe
    go = _toolchain(recipe)
    # A copy: an installed package may be read-only, and Go wants to lock the folder it works in.
    with tempfile.TemporaryDirectory(prefix="labkit-go-") as temporary:
        _copy(recipe, Path(temporary))
        targets = ["tool"] if "\ntool " in (recipe / "go.mod").read_text("utf-8") else []
        targets += ["./..."] if any(Path(temporary).rglob("main.go")) else []
        total = _fetch_modules(go, temporary, targets, phase)
        to_build = len(pin.programs) - sum(len(names) - 1 for names in pin.links.values())

        def tick(lines: list[str]) -> None:
            packages, programs = _packages(lines), len(list(folder.iterdir()))
            phase.advance(
                gettext("building with Go: {packages} of {total} packages, {programs} of {to_build} programs").format(
                    packages=packages, total=total, programs=programs, to_build=to_build
                ),
                min(packages / total + programs / to_build, 2) / 2,
            )

        command = [go, "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false"]
        command += ["-ldflags", " ".join(["-s -w", *pin.ldflags]), "-o", f"{folder}/", *targets]
        _run(command, temporary, tick)
    for made, wanted in pin.renames.items():
        (folder / made).rename(folder / wanted)
    for made, names in pin.links.items():
        for name in names:
            (folder / name).hardlink_to(folder / made)
        (folder / made).unlink()


def _copy(folder: Traversable, target: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            (target / entry.name).mkdir()
            _copy(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}


def _toolchain(recipe: Traversable) -> str:
    """Return the path of a Go that can build a recipe."""
    need = re.search(r"^go (\d+)\.(\d+)", (recipe / "go.mod").read_text("utf-8"), re.MULTILINE)
    assert need is not None, "every go.mod of ours says which Go it needs"  # noqa: S101
    fix = gettext(_FIX).format(need=f"{need[1]}.{need[2]}")
    if (go := shutil.which("go") or shutil.which("go", path=_USUAL_PLACE)) is None:
        raise ComponentError(gettext("There is no go on PATH or in {place}.").format(place=_USUAL_PLACE), fix=fix)
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
        raise ComponentError(
            gettext("{go} does not say its version.").format(go=go), why=done.stderr.strip()[-500:], fix=fix
        )
    version = (int(have[1]), int(have[2]))
    fetches = version >= _FIRST_GO_THAT_FETCHES_ITS_SUCCESSOR and done.stdout.splitlines()[1:] != ["local"]
    if version < (int(need[1]), int(need[2])) and not fetches:
        raise ComponentError(
            gettext("{go} is too old.").format(go=go),
            why=gettext("It is {version}; the recipe needs go{major}.{minor}.").format(
                version=done.stdout.split()[0], major=need[1], minor=need[2]
            ),
            fix=fix,
        )
    return go


def _fetch_modules(go: str, cwd: str, targets: list[str], phase: Phase) -> int:
    """Have Go fetch the recipe's modules, and return how many packages there are to compile."""

    def tick(lines: list[str]) -> None:
        fetched = [line.split()[2] for line in lines if line.startswith("go: downloading")]
        phase.advance(
            gettext("fetching Go modules: {count}, {last}").format(count=len(fetched), last=fetched[-1])
            if fetched
            else gettext("reading Go modules")
        )

    tick([])
    return _packages(_run([go, "list", "-mod=readonly", "-deps", *targets], cwd, tick))


def _run(command: list[str], cwd: str, tick: Callable[[list[str]], None]) -> list[str]:
    """Run Go and return the lines it wrote; `tick` is called with them now and then.

    Go's output goes to a file: then there is one loop here, which can look at other signs of progress as well.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that an interrupt ends Go together with the compilers it started
        )
        try:
            status = None
            while status is None:
                try:
                    status = process.wait(_TICK)
                except subprocess.TimeoutExpired:
                    tick(_lines(output))
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        lines = _lines(output)
    if status != 0:
        raise ComponentError(
            gettext("go {command} failed.").format(command=command[1]),
            why="\n".join(lines[-_TAIL:]),
            fix=gettext(_FIX).format(need="1.24"),
        )
    return lines


def _lines(output: IO[str]) -> list[str]:
    return os.pread(output.fileno(), os.fstat(output.fileno()).st_size, 0).decode(errors="replace").splitlines()


def _packages(lines: list[str]) -> int:
    """Count the lines that name a package: with ``-v`` each one as it is compiled; messages start with ``go: ``."""
    return sum(not line.startswith("go: ") for line in lines)
