"""Archives from Maven's repository, fetched by Maven's own client and checked like any other."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pooch

from labkit.components import download
from labkit.components.pins import Pin
from labkit.errors import ComponentError
from labkit.language import gettext
from labkit.progress import Phase

# The plugin is pinned too: without a version, Maven takes whatever its super POM names.
_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_PATIENCE = 600  # seconds


def fetch(pin: Pin, folder: Path, phase: Phase) -> None:
    """Fetch a component's archive with ``mvn dependency:copy`` and unpack it into a folder.

    Raises
    ------
    ComponentError
        If there is no Maven, it fails, or the archive has not the pinned checksum.
    """
    assert pin.download is not None, "what Maven has is checked against the official checksum"  # noqa: S101
    if (mvn := shutil.which("mvn")) is None:
        raise ComponentError(
            gettext("There is no mvn on PATH."), fix=gettext("Install Maven (Debian: apt-get install maven).")
        )
    phase.advance(gettext("fetching {maven} with Maven's client").format(maven=pin.maven))
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        # Run in an empty folder, or Maven would read the pom.xml of whatever folder labkit was started in.
        command = [mvn, "--quiet", "--batch-mode", _GOAL, f"-Dartifact={pin.maven}", f"-DoutputDirectory={temporary}"]
        try:
            done = subprocess.run(
                command,
                cwd=temporary,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ComponentError(
                gettext("{mvn} did not work.").format(mvn=mvn), why=str(error), fix=gettext("Try again.")
            ) from error
        archives = list(Path(temporary).glob("*.tar.gz"))
        if done.returncode != 0 or not archives:
            said = next((line for line in done.stdout.splitlines() if "ERROR" in line), "it said nothing")
            raise ComponentError(
                gettext("Maven could not fetch {maven}.").format(maven=pin.maven),
                why=said,
                fix=gettext("Connect to the internet."),
            )
        algorithm, _, expected = pin.download.hash.partition(":")
        if pooch.file_hash(str(archives[0]), alg=algorithm) != expected:
            raise ComponentError(
                gettext("{maven} as Maven fetched it has not the pinned checksum; it was thrown away.").format(
                    maven=pin.maven
                ),
                fix=gettext("Remove it from Maven's own cache (~/.m2/repository) and try again."),
            )
        download.unpack(pin, archives[0], pin.download.folder, folder, phase)
