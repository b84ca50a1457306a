from __future__ import annotations

from pathlib import Path

import pytest

from labkit.components import Pin, ensure
from labkit.components.pins import Download
from labkit.errors import ComponentError

from .conftest import VERSION, Site


@pytest.fixture
def pin(greet: Pin, only_greet: dict[str, Pin], site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pin:
    """The component as one that Maven has too, on a day when its official site has nothing."""
    archive = site.files.pop("/greet.tgz")
    (tmp_path / "repository.tar.gz").write_bytes(archive)
    assert greet.download is not None
    download = Download(greet.download.url, greet.download.hash, greet.download.folder)
    only_greet["greet"] = Pin(
        "greet", VERSION, greet.programs, maven="org.example:greet:1.2.3:tar.gz", download=download
    )
    # Real Maven needs its repository; what is tested here is what is done with what it fetched.
    mvn = tmp_path / "bin" / "mvn"
    mvn.parent.mkdir()
    mvn.write_text(f"""#!/bin/sh
echo "$@" > {tmp_path}/asked
for word; do case $word in -DoutputDirectory=*) folder=${{word#*=}};; esac; done
cp {tmp_path}/repository.tar.gz "$folder/greet-1.2.3.tar.gz" || echo "[ERROR] no"
""")
    mvn.chmod(0o755)
    monkeypatch.setenv("PATH", f"{mvn.parent}:/usr/bin:/bin")
    return only_greet["greet"]


@pytest.mark.usefixtures("pin")
def test_maven_is_asked_when_the_official_site_has_nothing(site: Site, tmp_path: Path) -> None:
    assert (ensure().folders["greet"] / "greet").is_file()
    assert site.requests == ["/greet.tgz"]
    assert "-Dartifact=org.example:greet:1.2.3:tar.gz" in (tmp_path / "asked").read_text()


def test_what_maven_fetched_is_checked_too(pin: Pin, tmp_path: Path, cache: Path) -> None:
    with (tmp_path / "repository.tar.gz").open("ab") as archive:
        archive.write(b"!")
    with pytest.raises(ComponentError, match=r"(?s)as Maven fetched it has not the pinned checksum.*~/.m2"):
        ensure()
    assert not (cache / pin.folder_name).exists()


@pytest.mark.usefixtures("pin")
def test_what_maven_says_is_told(tmp_path: Path) -> None:
    (tmp_path / "repository.tar.gz").unlink()
    with pytest.raises(ComponentError, match=r"(?s)Maven could not fetch org.example:greet:1.2.3:tar.gz. \[ERROR\] no"):
        ensure()


@pytest.mark.usefixtures("pin")
def test_missing_maven_is_an_error_with_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ComponentError, match="no mvn on PATH"):
        ensure()
