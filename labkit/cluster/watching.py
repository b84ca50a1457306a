"""Following one resource of an API server: list, watch, begin again after 410, back off where it does not answer.

The protocol is that of kubernetes.io/docs/reference/using-api/api-concepts, "Efficient detection of changes".
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from labkit.cluster import kubeconfig
from labkit.errors import LabkitError

#: What a flow is told by: what people write, what controllers, the scheduler and kubelets make of it, and Events.
RESOURCES = {
    "pods": "/api/v1/pods",
    "services": "/api/v1/services",
    "replicationcontrollers": "/api/v1/replicationcontrollers",
    "events": "/api/v1/events",
    "deployments": "/apis/apps/v1/deployments",
    "replicasets": "/apis/apps/v1/replicasets",
    "statefulsets": "/apis/apps/v1/statefulsets",
    "daemonsets": "/apis/apps/v1/daemonsets",
    "jobs": "/apis/batch/v1/jobs",
    "cronjobs": "/apis/batch/v1/cronjobs",
    "endpoints": "/api/v1/endpoints",
    "endpointslices": "/apis/discovery.k8s.io/v1/endpointslices",
}

Json = dict[str, Any]
#: ``LISTED``: it was there when the watch began. ``LOST``: what happened for a while is not known.
Kind = Literal["LISTED", "ADDED", "MODIFIED", "DELETED", "LOST"]

_SERVER_SECONDS = 240  # after so long the server ends a watch, and it is asked for again
_TIMEOUT = 300.0  # a bookmark comes each minute (KEP-956), so that a connection this silent is broken
_PAGE = 500
_BACK_OFF = (0.5, 30.0)  # the first pause and the longest, in seconds
_GONE = 410


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that a watch told.

    Attributes
    ----------
    kind : {"LISTED", "ADDED", "MODIFIED", "DELETED", "LOST"}
        What happened to the object.
    object : dict
        As it is now, or was last; empty with ``LOST``.
    why : str
        With ``LOST``.
    """

    kind: Kind
    object: Json = field(default_factory=dict)
    why: str = ""


class Watching:
    """Follows one resource.

    Parameters
    ----------
    path : Path
        The kubeconfig; it is read anew for each connection, for credentials are renewed.
    url : str
        Of the collection: ``"/api/v1/pods"``.
    listed : callable
        Is called each time when the whole list has been told.
    """

    def __init__(self, path: Path, url: str, listed: Callable[[], None]) -> None:
        self._path = path
        self._url = url
        self._listed = listed
        self._known: dict[str, Json] | None = None
        self._version = ""

    def follow(self) -> Generator[Seen, None, None]:
        """Yield what is told, without end; where nothing can be read, that is told once."""
        pause, failed = _BACK_OFF[0], ""
        while True:
            try:
                for seen in self._list() if not self._version else self._watch():
                    yield seen
                    pause, failed = _BACK_OFF[0], ""
                continue
            except _GoneError:
                self.forget_version()
                continue
            except (OSError, http.client.HTTPException, ValueError, KeyError, LabkitError) as error:
                why = " ".join(str(error).split()) or type(error).__name__
            if why != failed:
                failed = why
                yield Seen("LOST", why=why)
            time.sleep(pause)
            pause = min(2 * pause, _BACK_OFF[1])

    def forget_version(self) -> None:
        """List everything anew before watching on: the version to go on from is too old for the server."""
        self._version = ""

    def _list(self) -> Iterator[Seen]:
        """Tell what is there; after a gap, how that differs from what was known before it."""
        items: dict[str, Json] = {}
        next_page, version = "", ""
        while True:
            with self._get(f"limit={_PAGE}&continue={next_page}") as response:
                answer = json.loads(response.read())
            kind = {"apiVersion": answer["apiVersion"], "kind": str(answer["kind"]).removesuffix("List")}
            items |= {item["metadata"]["uid"]: {**kind, **item} for item in answer["items"]}
            version, next_page = answer["metadata"]["resourceVersion"], answer["metadata"].get("continue", "")
            if not next_page:
                break
        known, self._known, self._version = self._known, items, version
        if known is None:
            yield from (Seen("LISTED", item) for item in items.values())
        else:
            yield Seen("LOST", why="the watch was interrupted for so long that only its outcome is known")
            yield from _difference(known, items)
        self._listed()

    def _watch(self) -> Iterator[Seen]:
        query = f"watch=1&allowWatchBookmarks=true&timeoutSeconds={_SERVER_SECONDS}&resourceVersion={self._version}"
        assert self._known is not None  # noqa: S101 - it was listed first
        with self._get(query) as response:
            for line in response:
                told = json.loads(line)
                item = told["object"]
                if told["type"] == "ERROR":
                    if item.get("code") == _GONE:
                        raise _GoneError
                    raise ValueError(str(item.get("message", item)))
                self._version = item["metadata"]["resourceVersion"]
                if told["type"] != "BOOKMARK":
                    uid = item["metadata"]["uid"]
                    if told["type"] == "DELETED":
                        self._known.pop(uid, None)
                    else:
                        self._known[uid] = item
                    yield Seen(told["type"], item)

    @contextmanager
    def _get(self, query: str) -> Iterator[http.client.HTTPResponse]:
        access = kubeconfig.read(self._path)
        connection = access.connect(_TIMEOUT)
        try:
            headers = {"Accept": "application/json", **access.headers}
            connection.request("GET", f"{access.path}{self._url}?{query}", headers=headers)
            with connection.getresponse() as response:
                if response.status == _GONE:
                    raise _GoneError
                if response.status != http.HTTPStatus.OK:
                    body = response.read().decode(errors="replace")[:300]
                    raise ValueError(f"the API server answers {response.status} to {self._url}: {body}")
                yield response
        finally:
            connection.close()


class _GoneError(Exception):
    """The version to go on from is older than what the server keeps (HTTP 410)."""


def _difference(before: dict[str, Json], after: dict[str, Json]) -> Iterator[Seen]:
    for uid, item in before.items():
        if uid not in after:
            yield Seen("DELETED", item)
    for uid, item in after.items():
        if uid not in before:
            yield Seen("ADDED", item)
        elif item["metadata"]["resourceVersion"] != before[uid]["metadata"]["resourceVersion"]:
            yield Seen("MODIFIED", item)
