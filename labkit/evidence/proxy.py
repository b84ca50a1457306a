"""What labkit saw of kube-proxy, kept in the lab's folder, whichever process saw it.

Each sight is a file of its own. A node's tables take the place of those that were seen there before in the same mode;
a switch or a packet takes nobody's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from labkit.errors import EvidenceError
from labkit.evidence.model import ProxyKind, ProxyRecord
from labkit.language import gettext

_log = logging.getLogger(__name__)


def keep(folder: Path, kind: ProxyKind, body: Mapping[str, Any], *, name: str = "") -> None:
    """Keep what was seen just now.

    Where it cannot be kept, because the disk is full or the lab is gone, it is shown all the same, and the log says so.

    Parameters
    ----------
    folder : Path
        The lab's, see `labkit.cluster.protocol.Cluster.proxy_folder`.
    kind : {"rules", "switch", "packet"}
        What it is.
    body : mapping
        JSON values.
    name : str
        What it takes the place of; by default of nothing.
    """
    now = datetime.now(UTC)
    path = folder / f"{kind}-{name or f'{now:%Y%m%dT%H%M%S.%f}'}.json"
    draft = folder / f".{path.name}.{os.getpid()}-{threading.get_ident()}"
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
        draft.write_bytes(orjson.dumps({"kind": kind, "time": now, "body": body}))
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        _log.warning("what was seen of kube-proxy cannot be kept: %s", error)


def kept(folder: Path, since: datetime | None = None) -> tuple[ProxyRecord, ...]:
    """Return what was seen, in order of time.

    Parameters
    ----------
    folder : Path
        As for `keep`.
    since : datetime, optional
        From when on; by default all.

    Raises
    ------
    EvidenceError
        A file is damaged.
    """
    records = [_record(path) for path in sorted(folder.glob("[!.]*.json"))]
    return tuple(
        sorted((each for each in records if since is None or each.time >= since), key=lambda record: record.time)
    )


def latest(folder: Path, kind: ProxyKind) -> ProxyRecord | None:
    """Return what was seen last of a kind whose sights take nobody's place, None where nothing was.

    Parameters
    ----------
    folder : Path
        As for `keep`.
    kind : {"switch", "packet"}
        Which.

    Raises
    ------
    EvidenceError
        The file is damaged.
    """
    last = max(folder.glob(f"{kind}-*.json"), default=None)
    return _record(last) if last else None


def _record(path: Path) -> ProxyRecord:
    try:
        raw = orjson.loads(path.read_bytes())
        return ProxyRecord(raw["kind"], datetime.fromisoformat(raw["time"]), raw["body"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvidenceError(
            gettext("What was seen of kube-proxy cannot be read"),
            why=gettext("{path} is damaged: {error}").format(path=path, error=error),
            fix=gettext("remove that file; the rules, and packets, can be looked at again"),
        ) from error
