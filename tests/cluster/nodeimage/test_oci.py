"""Image archives as another reader of the format would read them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from labkit.cluster.nodeimage import oci

pytestmark = pytest.mark.skipif(shutil.which("zstd") is None, reason="there is no zstd on this machine")


def _archive(folder: Path) -> dict[str, bytes]:
    layer = oci.pack(folder / "layer.tar.zst", lambda archive: oci.add_text(archive, "hello", "etc/greeting"))
    images = [
        oci.Image(("example.org/one:1", "example.org/uno:1"), (layer,), {"Cmd": ["cat"]}),
        oci.Image(("example.org/two:1",), (layer, layer)),
    ]
    oci.write_archive(folder / "images.tar", images)
    with tarfile.open(folder / "images.tar") as archive:
        names = archive.getnames()
        assert len(names) == len(set(names)), "each blob once"
        return {name: found.read() for name in names if (found := archive.extractfile(name)) is not None}


def _blob(files: dict[str, bytes], digest: str) -> bytes:
    data = files[f"blobs/{digest.replace(':', '/')}"]
    assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    return data


def _unpacked(layer: bytes) -> bytes:
    return subprocess.run(["zstd", "--decompress", "--quiet"], input=layer, capture_output=True, check=True).stdout


def test_every_descriptor_leads_to_what_it_says(tmp_path: Path) -> None:
    files = _archive(tmp_path)
    index: dict[str, Any] = json.loads(files["index.json"])
    names = [each["annotations"]["io.containerd.image.name"] for each in index["manifests"]]
    assert names == ["example.org/one:1", "example.org/uno:1", "example.org/two:1"]
    for descriptor in index["manifests"]:
        manifest = json.loads(_blob(files, descriptor["digest"]))
        config = json.loads(_blob(files, manifest["config"]["digest"]))
        layers = [_blob(files, each["digest"]) for each in manifest["layers"]]
        assert [len(layer) for layer in layers] == [each["size"] for each in manifest["layers"]]
        unpacked = [f"sha256:{hashlib.sha256(_unpacked(layer)).hexdigest()}" for layer in layers]
        assert config["rootfs"]["diff_ids"] == unpacked


def test_a_layer_has_roots_files_and_hard_links_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 100_000)
    (tmp_path / "two").hardlink_to(tmp_path / "one")

    def add(archive: tarfile.TarFile) -> None:
        for name in ("one", "two"):
            oci.add_file(archive, tmp_path / name, f"usr/bin/{name}")

    layer = oci.pack(tmp_path / "layer.tar.zst", add)
    with tarfile.open(fileobj=io.BytesIO(_unpacked(layer.path.read_bytes()))) as archive:
        one, two = archive.getmembers()
        assert (one.uid, one.gid, two.type, two.linkname) == (0, 0, tarfile.LNKTYPE, "usr/bin/one")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this machine")
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / "source.tar").write_bytes(os.urandom(1 << 20))
    with pytest.raises(OSError, match="No space left"):
        oci.pack_tar(Path("/dev/full"), tmp_path / "source.tar")


def test_a_layer_of_the_rest_leaves_out_what_is_below(tmp_path: Path) -> None:
    files = {"below.tar": ("./usr/lib/libc", "./usr/bin/sh"), "whole.tar": ("./usr/lib/libc", "./usr/bin/php")}
    for archive, names in files.items():
        with tarfile.open(tmp_path / archive, "w") as written:
            oci.add_folder(written, "./usr/lib", 0o755)
            for name in names:
                oci.add_text(written, name, name)
            oci.add_link(written, "./lib", "usr/lib")
    layer = oci.pack_rest(tmp_path / "rest.tar.zst", tmp_path / "whole.tar", tmp_path / "below.tar", level=oci.SMALLEST)
    plain = _unpacked(layer.path.read_bytes())
    assert layer.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(plain)) as rest:
        assert rest.getnames() == ["./usr/lib", "./usr/bin/php"]
        program = rest.extractfile("./usr/bin/php")
        assert program is not None
        assert program.read() == b"./usr/bin/php"
