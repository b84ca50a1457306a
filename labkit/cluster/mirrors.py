"""Mirrors of image registries: what containerd is told of them, and whether one answers as a registry.

containerd asks the hosts in ``/etc/containerd/certs.d/REGISTRY/hosts.toml`` in their order, then the registry itself
(github.com/containerd/containerd, docs/hosts.md). Only labs of containers pull images; rootless labs have a catalogue.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from labkit.errors import PreflightError, UsageError
from labkit.language import gettext

#: Where a node's containerd looks, ``config_path`` of its registry's configuration.
FOLDER = "/etc/containerd/certs.d"

_REGISTRY = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]+)?")
# The registry behind Docker Hub's name has another one (docs/hosts.md, "Setup a Local Mirror for Docker").
_SERVERS = {"docker.io": "https://registry-1.docker.io"}
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror of one registry.

    Attributes
    ----------
    registry : str
        Whose images it has: ``"docker.io"``.
    url : str
        Where it is: ``"https://mirror.example"``.
    """

    registry: str
    url: str

    @classmethod
    def parse(cls, text: str) -> Mirror:
        """Read ``REGISTRY=URL``.

        Raises
        ------
        UsageError
            It is something else.
        """
        registry, _, url = text.partition("=")
        parts = urlsplit(url)
        if not _REGISTRY.fullmatch(registry) or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(
                gettext("{text!r} names no mirror").format(text=text),
                why=gettext("it is a registry's host name, an equals sign, and the URL of its mirror"),
                fix=gettext("for example --registry-mirror docker.io=https://mirror.example"),
            )
        return cls(registry, url.rstrip("/"))

    @property
    def path(self) -> str:
        """The file on a node that tells containerd of it.

        A folder's name has no colon, which Docker would take for the end of a path (remotes/docker/config/hosts.go).
        """
        host, colon, port = self.registry.partition(":")
        return f"{FOLDER}/{host}_{port}_/hosts.toml" if colon else f"{FOLDER}/{host}/hosts.toml"

    def hosts_toml(self, *, after: str = "") -> str:
        """Return what that file says: it is asked first, the registry itself where it fails.

        Parameters
        ----------
        after : str
            URL of another one, which is asked before it.
        """
        server = _SERVERS.get(self.registry, f"https://{self.registry}")
        # JSON's strings are TOML's basic strings.
        hosts = [
            f'[host.{json.dumps(url)}]\n  capabilities = ["pull", "resolve"]\n' for url in (after, self.url) if url
        ]
        return "\n".join([f"server = {json.dumps(server)}\n", *hosts])

    def check(self) -> None:
        """Make sure that it answers as a registry does (OCI distribution-spec, "Determining Support").

        Raises
        ------
        PreflightError
            It cannot be reached, or answers as something else does.
        """
        what = gettext("The mirror {url} of {registry} cannot be used").format(url=self.url, registry=self.registry)
        try:
            with urllib.request.urlopen(f"{self.url}/v2/", timeout=_SECONDS) as answer:  # noqa: S310 - see `parse`
                status = int(answer.status)
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except (OSError, ValueError) as error:
            raise PreflightError(
                what,
                why=gettext("it cannot be reached: {error}").format(error=error),
                fix=gettext("see the URL, and a proxy"),
            ) from error
        if status not in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}:  # 401: it wants to know who asks, as registries may
            raise PreflightError(
                what,
                why=gettext("it answers {status} to /v2/, where a registry answers 200 or 401").format(status=status),
                fix=gettext("name the URL of the registry itself, without the path of an image"),
            )


def refuse(provider: str) -> UsageError:
    """Return the error of a mirror where no image is ever pulled."""
    return UsageError(
        gettext("Provider {provider!r} has no use for a registry mirror").format(provider=provider),
        why=gettext("it pulls no images: each image name stands for a program of this machine (labkit images)"),
        fix=gettext("leave it out; for images from elsewhere, --images FILE names programs of your own"),
    )
