"""A flow and its story as JSON: the same flow is the same bytes, and what was written can be read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, get_args

from labkit.errors import EvidenceError
from labkit.evidence.model import SourceName
from labkit.flow.actors import Actor
from labkit.flow.model import EvidenceId, Flow, Hop, ObjectName
from labkit.flow.story import Extra, Step, Stop, Story
from labkit.language import gettext

FORMAT = "labkit-flow"
VERSION = 1


def to_json(flow: Flow, story: Story | None = None) -> str:
    """Return a flow, and its story if there is one, as JSON.

    Keys are sorted, times are UTC to the microsecond, evidence is ``SOURCE:ID``, and hops name their actors by id:
    nothing depends on the run that made it.
    """
    actors = {actor.id: actor for hop in flow.hops for actor in (hop.source, hop.target)}
    document = {
        "format": FORMAT,
        "version": VERSION,
        "actors": {identity: asdict(actor) for identity, actor in actors.items()},
        "flow": {
            "action": flow.action,
            "control_plane": flow.control_plane,
            "hops": [_from_hop(hop) for hop in flow.hops],
            "losses": flow.losses,
            "nodes": flow.nodes,
            "pods": dict(flow.pods),
            "subject": asdict(flow.subject),
            "until": _from_time(flow.until) if flow.until else None,
        },
        "story": asdict(story) if story else None,
    }
    return json.dumps(document, default=str, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def from_json(text: str) -> tuple[Flow, Story | None]:
    """Return the flow and the story that `to_json` wrote.

    Raises
    ------
    EvidenceError
        The text is not such JSON, or of a newer version.
    """
    try:
        document = json.loads(text)
        _check(document)
        actors = {identity: Actor(**raw) for identity, raw in document["actors"].items()}
        raw = document["flow"]
        flow = Flow(
            subject=ObjectName(**raw["subject"]),
            hops=tuple(_to_hop(hop, actors) for hop in raw["hops"]),
            pods=raw["pods"],
            nodes=tuple(raw["nodes"]),
            action=raw["action"],
            control_plane=raw["control_plane"],
            losses=tuple(raw["losses"]),
            until=datetime.fromisoformat(raw["until"]) if raw["until"] else None,
        )
        return flow, _to_story(document["story"]) if document["story"] else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            gettext("This is not a flow that labkit wrote."),
            why=gettext("Its JSON says otherwise: {error}").format(error=error),
            fix=gettext("Write one with: labkit flow NAME --json, and read it with the same or a newer labkit."),
        ) from error


def _check(document: Mapping[str, Any]) -> None:
    if document["format"] != FORMAT or document["version"] > VERSION:
        raise ValueError(f"it is {document['format']!r}, version {document['version']!r}")


def _from_time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _from_hop(hop: Hop) -> Mapping[str, Any]:
    return {
        **{name: getattr(hop, name) for name in _PLAIN},
        "source": hop.source.id,
        "target": hop.target.id,
        "object": asdict(hop.object),
        "start": _from_time(hop.start),
        "end": _from_time(hop.end),
        "evidence": [str(item) for item in hop.evidence],
    }


_PLAIN = ("number", "kind", "verb", "code", "what", "because", "observed", "rule", "cause", "revision")


def _to_hop(raw: Mapping[str, Any], actors: Mapping[str, Actor]) -> Hop:
    return Hop(
        **{name: raw[name] for name in _PLAIN},
        source=actors[raw["source"]],
        target=actors[raw["target"]],
        object=ObjectName(**raw["object"]),
        start=datetime.fromisoformat(raw["start"]),
        end=datetime.fromisoformat(raw["end"]),
        evidence=tuple(_to_evidence(item) for item in raw["evidence"]),
    )


def _to_evidence(text: str) -> EvidenceId:
    source, _, identity = text.partition(":")
    return EvidenceId(_SOURCES[source], identity)


_SOURCES: Mapping[str, SourceName] = {name: name for name in get_args(SourceName)}


def _to_story(raw: Mapping[str, Any]) -> Story:
    def evidence(items: Any) -> tuple[EvidenceId, ...]:
        return tuple(EvidenceId(**item) for item in items)

    stop = raw["stop"]
    return Story(
        name=raw["name"],
        steps=tuple(
            Step(**(step | {"hops": tuple(step["hops"]), "evidence": evidence(step["evidence"])}))
            for step in raw["steps"]
        ),
        extra=tuple(Extra(**(extra | {"hops": tuple(extra["hops"])})) for extra in raw["extra"]),
        stop=Stop(**(stop | {"hops": tuple(stop["hops"]), "evidence": evidence(stop["evidence"])})) if stop else None,
    )
