"""Deploying an application by buttons: what is asked of kubectl, and the pods on their nodes as they come and go."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from labkit.errors import UsageError
from labkit.language import gettext
from labkit.views import grid, pods_by_node
from labkit.views.pods_by_node import PodSeen
from labkit.widgets._panel import Panel, page, style

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, a label
_MOST_PODS = 100
_MOST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as it is seen.

    Attributes
    ----------
    exists : bool
        Whether there is one.
    wanted : int
        How many pods it is to have.
    service : str
        Its Service's address and port, empty where it has none.
    pods : sequence of PodSeen
        By name.
    trouble : str
        Why not all is known.
    """

    exists: bool
    wanted: int = 0
    service: str = ""
    pods: Sequence[PodSeen] = ()
    trouble: str = ""


class DeploySource(Protocol):
    """What the panel shows and drives, see `labkit.lab.deploy_panel`."""

    @property
    def title(self) -> str:
        """Where: ``"lab 'lab'"``."""

    @property
    def nodes(self) -> Sequence[str]:
        """The nodes' names, in order."""

    @property
    def images(self) -> Sequence[str]:
        """Images that can be had, to choose from."""

    def look(self, name: str) -> Deployment:
        """Return how a deployment is; never called by two threads at once."""

    def kubectl(self, arguments: Sequence[str]) -> str:
        """Run kubectl, and return what it printed."""

    def open(self, name: str) -> str:
        """Make a Service reachable from this machine, and return its URL."""


class DeployPanel(Panel):
    """A form (name, image, replicas, port), a button per command of kubectl, and the pods as they are.

    Parameters
    ----------
    source : DeploySource
        What is shown, and what the buttons drive.
    name, image : str
        What the form begins with.

    Attributes
    ----------
    state : dict
        What the page shows, beside what every panel does: ``title``, ``name``, ``image``, ``images``; ``exists``,
        ``service``, ``url``; ``picture``, an SVG; ``headings`` and ``rows`` of the same as a table; ``summary``,
        ``trouble``.
    """

    _esm = page("deploy.js")
    _css = style("deploy.css")

    def __init__(self, source: DeploySource, *, name: str = "tomcat", image: str = "tomcat8") -> None:
        self._source = source
        self._name, self._image = name, image
        self._urls: dict[str, str] = {}
        super().__init__()

    @property
    def busy(self) -> bool:
        """Whether pods are about to come or go."""
        pods = self._seen.pods
        return super().busy or len(pods) != self._seen.wanted or not all(pod.ready for pod in pods)

    def look(self) -> None:
        """Look at the deployment that the form names."""
        name = self._name
        self._seen = self._source.look(name) if _NAME.fullmatch(name) else Deployment(exists=False)

    def shown(self) -> dict[str, Any]:
        """Return what the page shows."""
        name, seen = self._name, self._seen
        ready = sum(pod.ready for pod in seen.pods)
        summary = (
            gettext("{name}: {ready} of {wanted} pods ready").format(name=name, ready=ready, wanted=seen.wanted)
            if seen.exists
            else gettext("There is no deployment {name}.").format(name=name)
        )
        return {
            "title": gettext("Deploy on {title}").format(title=self._source.title),
            "name": name,
            "image": self._image,
            "images": list(self._source.images),
            "exists": seen.exists,
            "service": seen.service,
            "url": self._urls.get(name, "") if seen.service else "",
            "picture": pods_by_node.to_svg(self._source.nodes, seen.pods, prefix=f"labkit-deploy-{self.still}"),
            "headings": list(map(gettext, pods_by_node.HEADINGS)),
            "rows": [list(row) for row in pods_by_node.rows(seen.pods)],
            "summary": summary,
            "trouble": seen.trouble,
        }

    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        """Return what a button stands for: ``{"do": COMMAND, "name": …, "image": …, "replicas": …, "port": …}``."""
        name = message.get("name")
        if isinstance(name, str):
            self._name, self._stale = name.strip(), True
        commands = {
            "deploy": self._deploy,
            "scale": self._scale,
            "expose": self._expose,
            "delete": self._delete,
            "open": self._open,
        }
        command = commands.get(str(message.get("do")))
        return (f"{message['do']} {self._name} …", lambda: command(message)) if command else None

    def _deploy(self, message: Mapping[str, Any]) -> str:
        name, image = self._checked_name(), str(message.get("image") or "").strip()
        if not image:
            raise UsageError(
                gettext("There is no image"), why=gettext("the field is empty"), fix=gettext("for example tomcat8")
            )
        options = [f"--image={image}", f"--replicas={_number(message, 'replicas', 0, _MOST_PODS)}"]
        if message.get("port"):
            options.append(f"--port={_number(message, 'port', 1, _MOST_PORT)}")
        return self._run(["create", "deployment", name, *options])

    def _scale(self, message: Mapping[str, Any]) -> str:
        replicas = _number(message, "replicas", 0, _MOST_PODS)
        return self._run(["scale", "deployment", self._checked_name(), f"--replicas={replicas}"])

    def _expose(self, message: Mapping[str, Any]) -> str:
        port = _number(message, "port", 1, _MOST_PORT)
        return self._run(["expose", "deployment", self._checked_name(), f"--port={port}"])

    def _delete(self, _message: Mapping[str, Any]) -> str:
        name = self._checked_name()
        self._urls.pop(name, None)
        said = self._run(["delete", "deployment", name])
        return f"{said}\n{self._run(['delete', 'service', name, '--ignore-not-found'])}"

    def _open(self, _message: Mapping[str, Any]) -> str:
        name = self._checked_name()
        self._urls[name] = self._source.open(name)
        return gettext("Service {name} answers at {url}").format(name=name, url=self._urls[name])

    def _run(self, arguments: Sequence[str]) -> str:
        """Run kubectl, and return the command line with what it printed, as a terminal shows them."""
        return f"$ kubectl {' '.join(arguments)}\n{self._source.kubectl(arguments)}".rstrip()

    def _checked_name(self) -> str:
        if not _NAME.fullmatch(self._name):
            raise UsageError(
                gettext("{name!r} cannot be a name").format(name=self._name),
                why=gettext(
                    "it needs small letters, digits and hyphens, at most 63, with a letter or digit at each end"
                ),
                fix=gettext("for example tomcat"),
            )
        return self._name

    def still_html(self) -> str:
        """Return the picture and the table."""
        state = self.state
        picture = state["picture"].replace(f"labkit-deploy-{self.still}", f"labkit-deploy-still-{self.still}")
        said = "".join(f'<p style="white-space:pre-wrap">{html.escape(state[key])}</p>' for key in ("trouble", "said"))
        table = grid.table(state["headings"], state["rows"], caption=state["summary"])
        return f"<p><strong>{html.escape(state['title'])}</strong></p>{picture}{table}{said}"

    def still_text(self) -> str:
        """Return the same as text."""
        return "\n".join([self.state["summary"], grid.text(self.state["headings"], self.state["rows"])])


def _number(message: Mapping[str, Any], field: str, least: int, most: int) -> int:
    """Return a field's number.

    Raises
    ------
    UsageError
        It is none, or out of bounds.
    """
    try:
        number = int(str(message.get(field)))
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise UsageError(
            gettext("{field} cannot be {given!r}").format(field=gettext(field.capitalize()), given=message.get(field)),
            why=gettext("it must be a whole number from {least} to {most}").format(least=least, most=most),
            fix=gettext("change the field"),
        )
    return number
