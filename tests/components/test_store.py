from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.components import Pin, ensure, list_components
from labkit.errors import ComponentError
from labkit.progress import PhaseEvent, Progress

from .conftest import Site

pytestmark = pytest.mark.usefixtures("only_greet")


@pytest.fixture
def program(cache: Path) -> Path:
    """The program in the cache."""
    return ensure().folders["greet"] / "greet"


def test_changed_file_is_recognised_and_fetched_again(
    program: Path, site: Site, progress: Progress, events: list[PhaseEvent], caplog: pytest.LogCaptureFixture
) -> None:
    program.write_text("#!/bin/sh\necho greet v1.2.3; steal\n")
    ensure(progress)
    assert "steal" not in program.read_text()
    assert len(site.requests) == 2
    assert "greet has changed since it was put there" in caplog.text
    assert any("greet has changed" in event.detail for event in events)


def test_change_that_keeps_size_and_time_is_found_by_verify(program: Path, site: Site) -> None:
    status = program.stat()
    program.write_text(program.read_text().replace("echo", "eval"))
    os.utime(program, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert list_components()[0].source == "cache"
    assert list_components(verify=True)[0].source == "missing"
    ensure(verify=True)
    assert "echo" in program.read_text()
    assert len(site.requests) == 2


def test_file_touched_but_unchanged_is_kept(program: Path, site: Site) -> None:
    before = program.stat().st_mtime_ns
    program.touch()
    ensure()
    assert len(site.requests) == 1
    assert program.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "left", ["no manifest", "half a manifest", "an empty manifest", "a file missing", "an old attempt"]
)
def test_what_an_interrupted_process_left_is_replaced(
    left: str, program: Path, greet: Pin, site: Site, cache: Path
) -> None:
    home = cache / greet.folder_name
    if left == "no manifest":
        (home / "manifest.json").unlink()
    elif left == "half a manifest":
        manifest = home / "manifest.json"
        manifest.write_text(manifest.read_text()[:20])
    elif left == "an empty manifest":
        (home / "manifest.json").write_text("{}")
    elif left == "a file missing":
        program.unlink()
    else:
        home.rename(cache / f".{greet.folder_name}.abc.part")
    ensure()
    assert program.exists()
    assert len(site.requests) == 2
    assert {path.name for path in cache.iterdir()} == {greet.folder_name, f"{greet.folder_name}.lock"}


def test_read_only_cache_that_is_complete_is_used(program: Path, tmp_path: Path, site: Site) -> None:
    said = _with_mount(tmp_path / "cache", "bind,ro", "print(list_components()[0].source)", site)
    assert said == "cache\n"


def test_read_only_cache_that_is_not_complete_is_an_error(tmp_path: Path, site: Site) -> None:
    (tmp_path / "cache").mkdir()
    said = _with_mount(tmp_path / "cache", "bind,ro", "ensure()", site)
    assert "cannot be written to" in said
    assert "Read-only file system" in said
    assert "LABKIT_CACHE" in said
    assert site.requests == []


def test_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, site: Site) -> None:
    (tmp_path / "cache").mkdir()
    said = _with_mount(tmp_path / "cache", "size=4k", "ensure()", site)
    assert "cannot be written to" in said
    assert "No space left on device" in said


def test_cache_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ComponentError, match="cannot be written to"):
        ensure()


def _with_mount(folder: Path, options: str, code: str, site: Site) -> str:
    """Run code with the tiny component in a mount namespace where a folder is read-only or a small file system."""
    assert shutil.which("unshare"), "util-linux is one of labkit's needs"
    mount = (
        "mount --bind {0} {0} && mount -o remount,{1} {0}" if "bind" in options else "mount -t tmpfs -o {1} none {0}"
    )
    script = f"""
import hashlib
from labkit.components import Pin, ensure, list_components, locate
from labkit.components.pins import Download
from labkit.errors import LabkitError
download = Download("{site.url}/greet.tgz", "sha256:" + {_sha256(site)!r}, "greet/bin")
locate.pins = lambda: {{"greet": Pin("greet", "v1.2.3", {{"greet": ("--version",)}}, download=download)}}
try:
    {code}
except LabkitError as error:
    print(error)
"""
    inside = ["sh", "-c", f'{mount.format(folder, options)} && exec "$@"', "sh", sys.executable, "-c", script]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", *inside],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LABKIT_CACHE": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _sha256(site: Site) -> str:
    return hashlib.sha256(site.files["/greet.tgz"]).hexdigest()
