"""The ways to get a component that the machine does not have, tried in order."""

from __future__ import annotations

import logging
from pathlib import Path

from labkit.components import download, gobuild, maven
from labkit.components.pins import Pin
from labkit.errors import ComponentError
from labkit.language import gettext, gettext_noop
from labkit.progress import Phase

log = logging.getLogger(__name__)


def into(pin: Pin, folder: Path, phase: Phase) -> None:
    """Put a component's files into an empty folder: official release, then Maven's client or the Go toolchain.

    Raises
    ------
    ComponentError
        If every way failed; why each did, is told.
    """
    ways = [(gettext_noop("Official release"), download.official)] if pin.download else []
    ways += [(gettext_noop("Maven's client"), maven.fetch)] if pin.maven else []
    ways += [(gettext_noop("Go toolchain"), gobuild.build)] if pin.recipe else []
    failures = []
    for name, way in ways:
        try:
            return way(pin, folder, phase)
        except ComponentError as error:
            log.info("%s of %s: %s", name, pin.folder_name, error)
            failures.append((name, error))
    whys = "\n".join(f"- {gettext(name)}: {error.what} {error.why}".rstrip() for name, error in failures)
    fixes = list(dict.fromkeys(error.fix for _, error in failures if error.fix))
    raise ComponentError(
        gettext("{name} {version} could not be obtained.").format(name=pin.name, version=pin.version),
        why=whys,
        fix=gettext(" Or: ").join(fixes),
    )
