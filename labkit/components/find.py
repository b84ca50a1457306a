"""Programs that are on the machine already: in a folder the user names, in a conda environment or on PATH."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from labkit.components.pins import Pin
from labkit.errors import ComponentError
from labkit.language import gettext

log = logging.getLogger(__name__)

# Where distributions put CNI plugins, besides PATH: kubernetes-cni's package, and Debian's containernetworking-plugins.
_CNI_DIRS = (Path("/opt/cni/bin"), Path("/usr/lib/cni"))
_PATIENCE = 20  # seconds for a program to say its version; a cold disk needs some


def in_folder(pin: Pin, folder: Path) -> Path | None:
    """Return the component's folder inside one that the user names, or None.

    It may lie there in a folder of its own name, in ``bin``, or its files directly.
    """
    names = [pin.folder_name, f"apache-{pin.folder_name}", pin.name, "bin", "."]
    return _first_right(pin, (folder / name for name in names))


def on_path(pin: Pin) -> Path | None:
    """Return the one folder of the conda environment or of PATH that has the whole component, or None."""
    if not pin.programs:
        return None
    folders = [Path(sys.prefix, "bin"), *(Path(entry) for entry in os.get_exec_path() if entry)]
    return _first_right(pin, [*folders, *(_CNI_DIRS if pin.name == "cni" else ())])


def prove(pin: Pin, folder: Path) -> None:
    """Make sure that a folder has a whole component of the pinned version.

    Raises
    ------
    ComponentError
        Saying which program is missing or what it calls itself.
    """
    if not pin.programs:
        _prove_tomcat(pin, folder)
    for program, arguments in pin.programs.items():
        path = folder / program
        if not os.access(path, os.X_OK) or not path.is_file():
            raise ComponentError(
                gettext("{folder} has no program {program}.").format(folder=folder, program=program),
                fix="labkit components fetch",
            )
        said = _version_of(path, arguments)
        # "Kubernetes v1.34.3", "CoreDNS-1.12.1": the version with nothing that would make it another one beside it.
        if not re.search(rf"(?<![\w.]){re.escape(pin.version)}(?![\w.+-])", said):
            raise ComponentError(
                gettext("{path} is not {name} {version}.").format(path=path, name=pin.name, version=pin.version),
                why=gettext("It calls itself {said!r}.").format(said=said.strip().partition(chr(10))[0] or "(nothing)"),
                fix="labkit components fetch",
            )


def _first_right(pin: Pin, folders: Iterable[Path]) -> Path | None:
    for folder in _that_could_hold(pin, folders):
        try:
            prove(pin, folder)
        except ComponentError as error:
            log.info("Passed over %s: %s", folder, error)
        else:
            return folder.absolute()
    return None


def _that_could_hold(pin: Pin, folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the folders with a file of each program's name: cheap, so that few programs are run in vain."""
    files = list(pin.programs) or ["lib/catalina.jar"]
    return (folder for folder in dict.fromkeys(folders) if all((folder / file).is_file() for file in files))


def _version_of(program: Path, arguments: tuple[str, ...]) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CNI_")}
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ComponentError(
            gettext("{program} cannot be run.").format(program=program), why=str(error), fix="labkit components fetch"
        ) from error
    return done.stdout.decode(errors="replace")


def _prove_tomcat(pin: Pin, folder: Path) -> None:
    """Read Tomcat's own record of its version (org/apache/catalina/util/ServerInfo.properties)."""
    jar = folder / "lib" / "catalina.jar"
    try:
        with zipfile.ZipFile(jar) as archive:
            said = archive.read("org/apache/catalina/util/ServerInfo.properties").decode()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ComponentError(
            gettext("{folder} is no Apache Tomcat.").format(folder=folder),
            why=str(error),
            fix="labkit components fetch",
        ) from error
    if f"Apache Tomcat/{pin.version}\n" not in said.replace("\r", ""):
        raise ComponentError(
            gettext("{folder} is not Apache Tomcat {version}.").format(folder=folder, version=pin.version),
            fix="labkit components fetch",
        )
