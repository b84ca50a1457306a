from __future__ import annotations

import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labkit.components import Pin, ensure, find, list_components
from labkit.components.pins import Download
from labkit.errors import ComponentError, UsageError
from labkit.progress import PhaseEvent, Progress

from .conftest import VERSION, Site, write_program

pytestmark = pytest.mark.usefixtures("only_greet")


def test_release_is_downloaded_once_and_then_found_in_the_cache(
    cache: Path, site: Site, progress: Progress, events: list[PhaseEvent]
) -> None:
    first = ensure(progress).folders["greet"]
    assert first == cache / "greet-v1.2.3" / "files"
    assert [path.name for path in first.iterdir()] == ["greet"]
    assert not (cache / "evil").exists()
    assert {event.phase for event in events} == {"greet v1.2.3"}
    assert events[-1].state == "finished"
    assert any(event.fraction == 1 and "downloading greet.tgz" in event.detail for event in events)

    events.clear()
    assert ensure(progress).folders["greet"] == first
    assert events == []
    assert site.requests == ["/greet.tgz"]


def test_order_is_named_folder_then_cache_then_path(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = write_program(tmp_path / "named" / "bin" / "greet").parent
    on_path = write_program(tmp_path / "path" / "greet").parent
    monkeypatch.setenv("PATH", f"{on_path}:/usr/bin:/bin")

    assert (list_components()[0].source, ensure().folders["greet"]) == ("path", on_path)
    assert site.requests == []

    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert list_components()[0].source == "missing"
    cached = ensure().folders["greet"]
    monkeypatch.setenv("PATH", f"{on_path}:/usr/bin:/bin")
    assert (list_components()[0].source, ensure().folders["greet"]) == ("cache", cached)

    assert ensure(folder=tmp_path / "named").folders["greet"] == named
    monkeypatch.setenv("LABKIT_COMPONENTS", str(tmp_path / "named"))
    row = list_components()[0]
    assert (row.source, row.path, row.bytes) == ("folder", named, (named / "greet").stat().st_size)


@pytest.mark.parametrize("other", ["v1.2.4", "v1.2.30", "v1.2.3+k3s1", "v1.2.3-rc.1", "v11.2.3", ""])
def test_program_of_another_version_is_passed_over(
    other: str, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tmp_path / "path" / "greet", other)
    write_program(tmp_path / "named" / "greet", other)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    assert list_components(folder=tmp_path / "named")[0].source == "missing"
    assert tmp_path / "cache" in ensure(folder=tmp_path / "named").folders["greet"].parents
    assert site.requests == ["/greet.tgz"]


def test_program_that_cannot_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = write_program(tmp_path / "path" / "greet")
    program.write_bytes(b"\x7fELF and no more")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    assert list_components()[0].source == "missing"


def test_named_folder_may_be_a_copy_of_the_cache(cache: Path, tmp_path: Path) -> None:
    ensure()
    shutil.copytree(cache, tmp_path / "copy")
    found = ensure(folder=tmp_path / "copy").folders["greet"]
    assert found == tmp_path / "copy" / "greet-v1.2.3" / "files"
    (found / "greet").write_text("#!/bin/sh\necho greet v1.2.3; steal\n")
    assert ensure(folder=tmp_path / "copy").folders["greet"] == cache / "greet-v1.2.3" / "files"


def test_named_folder_that_does_not_exist_is_an_error(tmp_path: Path, site: Site) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        ensure(folder=tmp_path / "nowhere")
    assert site.requests == []


def test_wrong_checksum_is_refused(greet: Pin, site: Site, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    site.files["/greet.tgz"] += b"!"
    with pytest.raises(ComponentError, match="has not the pinned checksum"):
        ensure()
    assert "has not the pinned checksum" in caplog.text
    assert not (cache / greet.folder_name).exists()


def test_half_a_download_is_refused(greet: Pin, site: Site, cache: Path) -> None:
    site.files["/greet.tgz"] = site.files["/greet.tgz"][:-20]
    with pytest.raises(ComponentError, match="has not the pinned checksum"):
        ensure()
    assert [path.name for path in cache.iterdir()] == [f"{greet.folder_name}.lock"]


def test_unreachable_release_says_why(greet: Pin, site: Site) -> None:
    del site.files["/greet.tgz"]
    with pytest.raises(ComponentError, match=r"(?s)greet v1.2.3 could not be obtained.*404.*What to do"):
        ensure()


def test_archive_without_the_program_is_refused(greet: Pin, only_greet: dict[str, Pin], cache: Path) -> None:
    assert greet.download is not None
    elsewhere = Download(greet.download.url, greet.download.hash, "greet/sbin")
    only_greet["greet"] = Pin("greet", VERSION, greet.programs, download=elsewhere)
    with pytest.raises(ComponentError, match="has no greet in greet/sbin"):
        ensure()
    assert not (cache / greet.folder_name).exists()


def test_many_at_once_download_once(site: Site) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = {str(done.folders["greet"]) for done in pool.map(lambda _: ensure(), range(8))}
    assert len(found) == 1
    assert site.requests == ["/greet.tgz"]


def test_tomcat_says_its_version_by_its_jar(tmp_path: Path) -> None:
    pin = Pin("tomcat", "10.1.34")
    (tmp_path / "apache-tomcat-10.1.34" / "lib").mkdir(parents=True)
    jar = tmp_path / "apache-tomcat-10.1.34" / "lib" / "catalina.jar"

    def say(version: str) -> None:
        with zipfile.ZipFile(jar, "w") as archive:
            archive.writestr(
                "org/apache/catalina/util/ServerInfo.properties",
                f"server.info=Apache Tomcat/{version}\r\nserver.number=1",
            )

    say("10.1.34")
    assert find.in_folder(pin, tmp_path) == jar.parent.parent
    say("10.1.3")
    assert find.in_folder(pin, tmp_path) is None
    jar.write_bytes(b"no jar")
    assert find.in_folder(pin, tmp_path) is None
