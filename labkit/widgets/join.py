"""Tokens and joining as a panel: the cluster's tokens, and a machine that joins, phase by phase."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from labkit.errors import UsageError
from labkit.language import gettext, gettext_noop
from labkit.progress import PhaseEvent, Progress
from labkit.views import grid
from labkit.widgets._panel import Panel, page, style

_TOKENS = (gettext_noop("token"), gettext_noop("what is left"), gettext_noop("about"))
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, a label


@dataclass(frozen=True, slots=True)
class JoinState:
    """The tokens of a lab as they are seen, without their secrets.

    Attributes
    ----------
    tokens : tuple of (str, str, str)
        Of each its id, what is left of its life, and what it is for.
    trouble : str
        Why not all is known; empty where all is.
    """

    tokens: tuple[tuple[str, str, str], ...]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class JoinSeen:
    """How a machine joined.

    Attributes
    ----------
    summary, picture : str
        In a line, and as SVG.
    headings : sequence of str
        Of the same as a table.
    rows : sequence of sequence of str
        Its cells.
    """

    summary: str
    picture: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


_NOBODY = JoinSeen("", "", (), ())


class JoinSource(Protocol):
    """What the panel shows and drives, see `labkit.lab.installation.join_panel`."""

    @property
    def title(self) -> str:
        """Where: ``"lab 'lab'"``."""

    def look(self) -> JoinState:
        """Return the tokens as they are; never called by two threads at once."""

    def create(self, ttl: str) -> str:
        """Make a token, and return what came of it."""

    def delete(self, token: str) -> str:
        """Delete a token by its id, and return what came of it."""

    def join(self, node: str, token: str, progress: Progress, *, prefix: str) -> JoinSeen:
        """Have a machine join; without a token's id with a new one."""


class JoinPanel(Panel):
    """A table of tokens with a button at each, a form that makes one, and one by which a machine joins.

    Parameters
    ----------
    source : JoinSource
        What is shown, and what the buttons drive.
    node : str
        What the form begins with.

    Attributes
    ----------
    state : dict
        What the page shows, beside what every panel does: ``title``, ``node``, ``tokens``, each ``[id, what is left,
        about]``, with their headings as ``columns``; ``phases``, those of a join that is under way; ``summary``,
        ``picture``, ``headings`` and ``rows`` of the last that succeeded; ``trouble``.
    """

    _esm = page("join.js")
    _css = style("join.css")

    def __init__(self, source: JoinSource, *, node: str = "node-03") -> None:
        self._source, self._node = source, node
        self._phases: tuple[str, ...] = ()
        self._joined = _NOBODY
        super().__init__()

    def look(self) -> None:
        """Look which tokens there are."""
        self._seen = self._source.look()

    def shown(self) -> dict[str, Any]:
        """Return what the page shows."""
        return {
            "title": gettext("Tokens and joining: {title}").format(title=self._source.title),
            "node": self._node,
            "columns": list(map(gettext, _TOKENS)),
            "tokens": [list(each) for each in self._seen.tokens],
            "phases": " → ".join(self._phases),
            "summary": self._joined.summary,
            "picture": self._joined.picture,
            "headings": list(self._joined.headings),
            "rows": [list(row) for row in self._joined.rows],
            "trouble": self._seen.trouble,
        }

    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        """Return what a button stands for: ``{"do": "create", "ttl": …}``, ``{"do": "delete", "token": ID}``.

        Or ``{"do": "join", "node": …, "token": ID}``, where an empty token is a new one.
        """
        given = {key: str(message.get(key) or "").strip() for key in ("ttl", "token", "node")}
        match message.get("do"):
            case "create":
                return "kubeadm token create …", lambda: self._source.create(given["ttl"])
            case "delete":
                return f"kubeadm token delete {given['token']} …", lambda: self._source.delete(given["token"])
            case "join":
                return gettext("kubeadm join on {node} …").format(node=given["node"]), lambda: self._join(
                    given["node"], given["token"]
                )
        return None

    def _join(self, node: str, token: str) -> str:
        if not _NAME.fullmatch(node):
            raise UsageError(
                gettext("{node!r} cannot be a name").format(node=node),
                why=gettext(
                    "it needs small letters, digits and hyphens, at most 63, with a letter or digit at each end"
                ),
                fix=gettext("for example node-03"),
            )
        with self._lock:
            self._phases = ()
        joined = self._source.join(node, token, Progress(self._hear), prefix=f"labkit-join-{self.still}")
        with self._lock:
            self._joined = joined
        return joined.summary

    def _hear(self, event: PhaseEvent) -> None:
        """Take note of a phase when it begins."""
        told = event.detail if event.state == "advanced" else event.phase if event.state == "started" else ""
        with self._lock:
            if told and self._phases[-1:] != (told,):
                self._phases, self._stale = (*self._phases, told), True

    def still_html(self) -> str:
        """Return the tokens, and the last join as a picture and a table."""
        state = self.state
        picture = state["picture"].replace(f"labkit-join-{self.still}", f"labkit-join-still-{self.still}")
        hops = grid.table(state["headings"], state["rows"], caption=state["summary"]) if state["rows"] else ""
        said = "".join(f'<p style="white-space:pre-wrap">{html.escape(state[key])}</p>' for key in ("trouble", "said"))
        return f"{grid.table(_TOKENS, state['tokens'], caption=state['title'])}{picture}{hops}{said}"

    def still_text(self) -> str:
        """Return the same as text."""
        return "\n".join([self.state["title"], grid.text(_TOKENS, self.state["tokens"]), self.state["summary"]])
