"""A flow as JSON: the same bytes for the same flow, read back as it was."""

from __future__ import annotations

import json

import pytest

from labkit.errors import EvidenceError
from labkit.flow import tell
from labkit.flow.export import from_json, to_json
from tests.flow.lessons import ALL, CREATE, evidence, flow


@pytest.mark.parametrize("which", ALL)
def test_what_was_written_is_read_back(which: tuple[str, int]) -> None:
    found = flow(*which)
    story = tell(found, evidence())
    text = to_json(found, story)
    assert from_json(text) == (found, story)
    assert to_json(*from_json(text)) == text
    assert from_json(to_json(found)) == (found, None)


def test_it_says_what_it_is() -> None:
    document = json.loads(to_json(flow(*CREATE)))
    assert (document["format"], document["version"]) == ("labkit-flow", 1)
    assert document["flow"]["hops"][0]["start"] == "2026-11-23T23:41:21.994075+00:00"
    assert set(document["actors"]) >= {"client/kubectl", "kube-apiserver", "etcd"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "other", "version": 1}',
        '{"format": "labkit-flow", "version": 2}',
        '{"format": "labkit-flow", "version": 1, "actors": {}, "flow": {"subject": 3}}',
    ],
)
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError, match="not a flow that labkit wrote"):
        from_json(text)


def test_evidence_of_no_known_source_is_refused() -> None:
    with pytest.raises(EvidenceError):
        from_json(to_json(flow(*CREATE)).replace('"audit:', '"rumour:'))
