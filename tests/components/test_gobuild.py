from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import psutil
import pytest

from labkit.components import Pin, ensure, gobuild
from labkit.errors import ComponentError
from labkit.progress import PhaseEvent, Progress
from tests import traces

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go on this machine")

MAIN = """package main

import "fmt"

var version = "unset"

func main() { fmt.Println("greet", version) }
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe like labkit's own, of a module that lies on this disk."""
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example.com/greeter\n\ngo 1.24\n")
    (module / "main.go").write_text(MAIN)
    folder = tmp_path / "recipes" / "greet"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(
        "module labkit/recipes/greet\n\ngo 1.24\n\ntool example.com/greeter\n\n"
        f"require example.com/greeter v0.0.0\n\nreplace example.com/greeter => {module}\n"
    )
    (folder / "go.sum").write_text("")
    for path in (folder / "go.mod", folder / "go.sum", folder):
        path.chmod(path.stat().st_mode & ~0o222)  # as in an installed package that the user may not write to
    monkeypatch.setattr(gobuild, "RECIPES", tmp_path / "recipes")
    return folder


@pytest.fixture
def pin(recipe: Path, only_greet: dict[str, Pin]) -> Pin:
    only_greet["greet"] = Pin(
        "greet",
        "v1.2.3",
        {"greet": ()},
        recipe="greet",
        ldflags=("-X main.version=v1.2.3",),
        renames={"greeter": "greet"},
    )
    return only_greet["greet"]


@needs_go
@pytest.mark.usefixtures("pin")
def test_recipe_is_built_with_its_version_and_proved(progress: Progress, events: list[PhaseEvent]) -> None:
    folder = ensure(progress).folders["greet"]
    assert [path.name for path in folder.iterdir()] == ["greet"]
    assert any("Go modules" in event.detail for event in events)
    assert events[-1].state == "finished"


@needs_go
def test_programs_that_are_one_file(pin: Pin, recipe: Path, only_greet: dict[str, Pin]) -> None:
    recipe.chmod(0o755)
    main = 'package main\n\nimport (\n\t"fmt"\n\t"os"\n)\n\nfunc main() { fmt.Println(os.Args[0], "v1.2.3") }\n'
    (recipe / "several").mkdir()
    (recipe / "several" / "main.go").write_text(main)
    names = ("ask", "answer")
    only_greet["greet"] = dataclasses.replace(
        pin, programs=dict.fromkeys(("greeter", *names), ()), links={"several": names}, renames={}
    )
    folder = ensure().folders["greet"]
    assert sorted(path.name for path in folder.iterdir()) == ["answer", "ask", "greeter"]
    assert (folder / "ask").samefile(folder / "answer")
    assert not (folder / "ask").samefile(folder / "greeter")


@needs_go
def test_program_that_calls_itself_otherwise_is_refused(pin: Pin, only_greet: dict[str, Pin], cache: Path) -> None:
    only_greet["greet"] = Pin(pin.name, pin.version, pin.programs, recipe=pin.recipe, renames=pin.renames)
    with pytest.raises(ComponentError, match="greet unset"):
        ensure()
    assert not (cache / "greet-v1.2.3").exists()


@needs_go
@pytest.mark.usefixtures("pin")
def test_failing_build_shows_what_go_said(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "module" / "main.go").write_text("package main\n\nfunc main() { undefined_thing() }\n")
    with pytest.raises(ComponentError, match="undefined: undefined_thing"):
        ensure()
    assert [path.name for path in cache.iterdir()] == ["greet-v1.2.3.lock"]


@needs_go
@pytest.mark.usefixtures("pin")
def test_interrupted_build_leaves_no_trace(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "_TICK", 0.001)

    def interrupt(event: PhaseEvent) -> None:
        if "building" in event.detail:
            raise KeyboardInterrupt

    before = _children()
    with pytest.raises(KeyboardInterrupt):
        ensure(Progress(interrupt))
    assert [path.name for path in cache.iterdir()] == ["greet-v1.2.3.lock"]
    assert _children() - before == set()


def _children() -> set[int]:
    """Return this process's children; what a lab of other tests starts by itself is in a PID namespace of its own."""
    ours = str(Path("/proc/self/ns/pid").readlink())
    return {child.pid for child in psutil.Process().children(recursive=True)} & set(traces.pid_namespace_members(ours))


@pytest.mark.usefixtures("pin")
def test_missing_go_is_an_error_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(gobuild, "_USUAL_PLACE", "/nowhere-else")
    with pytest.raises(ComponentError, match=r"(?s)There is no go on PATH.*Install Go 1.24 or newer"):
        ensure()


@pytest.mark.usefixtures("pin")
@pytest.mark.parametrize(("version", "toolchain"), [("go1.19.8", ""), ("go1.22.1", "local")])
def test_go_that_is_too_old_is_an_error_with_a_fix(
    version: str, toolchain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old" / "go"
    old.parent.mkdir()
    old.write_text(f"#!/bin/sh\nprintf '%s\\n' '{version}' '{toolchain}'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}{os.pathsep}/usr/bin:/bin")
    with pytest.raises(ComponentError, match=f"(?s)is too old.*{version}.*Install Go 1.24 or newer"):
        ensure()
