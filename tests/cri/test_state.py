import subprocess
import sys
from pathlib import Path

import pytest

from labkit.cri.config import Config
from labkit.cri.state import Folder, write_atomically
from labkit.errors import UsageError


def test_a_record_is_found_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "containers")
    folder.create("a", b"config")
    folder.save("a", {"id": "a", "state": 1})
    folder.save("a", {"id": "a", "state": 2})
    assert Folder(tmp_path / "containers").load() == [({"id": "a", "state": 2}, b"config")]


def test_what_was_being_made_when_the_runtime_died_is_removed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.create("half", b"config")
    folder.create("broken", b"config")
    (folder.of("broken") / "record.json").write_text('{"id":')
    assert folder.load() == []
    assert list(tmp_path.iterdir()) == []


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.create("a", b"")
    folder.remove("a")
    folder.remove("a")


def test_files_are_private_and_replaced_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_atomically(file, b"one")
    reader = file.open("rb")
    write_atomically(file, b"two")
    with reader:
        assert (reader.read(), file.read_bytes()) == (b"one", b"two")
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_the_runtime_is_lean() -> None:
    heavy = {"kubernetes", "yaml", "networkx", "rich", "typer", "psutil", "matplotlib", "IPython", "websockets"}
    script = f"import sys, labkit.cri.__main__; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"node_name": "a", "socket": 3, "kubernetes_version": "v1"}'])
def test_settings_that_cannot_be_used_are_a_clear_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "runtime.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"runtime\.json") as caught:
        Config.read(file)
    assert "socket" in caught.value.fix


def test_settings_are_read(tmp_path: Path) -> None:
    file = tmp_path / "runtime.json"
    file.write_text('{"node_name": "a", "socket": "unix:///run/x.sock", "kubernetes_version": "1.34.3"}')
    config = Config.read(file)
    assert (config.socket, config.kubernetes_version) == (Path("/run/x.sock"), "v1.34.3")
    assert (config.full_id_map, config.catalogue) == (False, None)
