"""The components as a file: damage and other machines are refused; the file of the real ones is in test_carried_lab."""

from __future__ import annotations

import io
import json
import platform
import tarfile
from pathlib import Path

import pytest

from labkit.components import carry, pins
from labkit.errors import ComponentError, UsageError
from labkit.progress import Progress


def written(file: Path, index: object, files: dict[str, bytes] | None = None) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for name, content in {"labkit-components.json": json.dumps(index).encode(), **(files or {})}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/components"


def index(**changes: object) -> dict[str, object]:
    components = {pin.name: {"version": pin.version, "files": {"one": "0" * 64}} for pin in pins().values()}
    return {"format": carry.FORMAT, "machine": platform.machine(), "components": components, **changes}


def refused(file: Path, match: str, cache: Path) -> None:
    with pytest.raises(ComponentError, match=match):
        carry.load(file, Progress())
    assert not [path for path in cache.glob("*") if path.is_dir()], "something is left in the cache"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        carry.load(tmp_path / "nothing", Progress())


def test_what_is_no_such_file(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "some"
    for content in (b"", b"text", written(tmp_path / "other", ["no", "index"]).read_bytes()):
        file.write_bytes(content)
        refused(file, "is no file of labkit's components", cache)


def test_another_machine_or_another_labkit(tmp_path: Path, cache: Path) -> None:
    refused(written(tmp_path / "a", index(machine="s390x")), "for machines of another kind", cache)
    refused(written(tmp_path / "b", index(components={})), "was written by another labkit", cache)


def test_a_changed_file_and_a_cut_off_one(tmp_path: Path, cache: Path) -> None:
    files = {f"{name}/one": b"x" * 100_000 for name in pins()}
    file = written(tmp_path / "whole", index(), files)
    refused(file, "is not what was written", cache)
    cut = tmp_path / "cut"
    cut.write_bytes(file.read_bytes()[:-100])
    refused(cut, "cut off or damaged", cache)


def test_a_file_that_would_leave_its_folder(tmp_path: Path, cache: Path) -> None:
    refused(written(tmp_path / "evil", index(), {"../../outside": b"x"}), "does not speak", cache)
    components = {
        pin.name: {"version": pin.version, "files": {"../../../outside": "0" * 64}} for pin in pins().values()
    }
    evil = written(tmp_path / "worse", index(components=components), {"etcd/../../../outside": b"x"})
    refused(evil, "does not speak", cache)
    assert not (tmp_path / "outside").exists()
