"""Values of a lab as JSON and back."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

import orjson
import pytest

from labkit.evidence.model import Evidence
from labkit.lab import replay
from labkit.lab.kubectl import Output
from labkit.lab.session.values import Files, NoValueError, decode, encode


def _there_and_back(value: Any) -> Any:
    files: Files = {}
    return decode(orjson.loads(orjson.dumps(encode(value, files))), files)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 7, 0.25, "text", [1, [2]], (1, ("a",)), {"a", "b"}, frozenset({1}), {"a": (1,)}, {1: {2: "x"}}),
        *({"$": "no kind"}, datetime(2026, 1, 2, 3, 4, 5, 6, UTC), IPv4Address("10.96.0.1"), b"text", b"\xff\x00"),
    ],
)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    back = _there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_what_a_lab_answers_comes_back_as_it_was() -> None:
    recording = replay("kube-proxy")
    decision = replay("unschedulable").why(next(iter(replay("unschedulable").explain("nowhere").flow.pods)))
    proxy = recording.proxy
    for value in (proxy.rules(), proxy.trace("tomcat"), proxy.compare_modes("tomcat"), proxy.switches, decision):
        assert _there_and_back(value) == value
    assert _there_and_back(recording.actions()) == recording.actions()
    output = _there_and_back(Output("a\nb"))
    assert repr(output) == "a\nb"


def test_evidence_is_kept_as_a_recording_and_once() -> None:
    evidence = replay("expose-tomcat").evidence()
    files: Files = {}
    encoded = [encode(evidence, files), encode(evidence, files)]
    (name,) = files
    assert name.endswith(".labtrace")
    back = decode(encoded[0], files)
    assert isinstance(back, Evidence)
    assert [event.audit_id for event in back.audit] == [event.audit_id for event in evidence.audit]


@pytest.mark.parametrize("value", [object(), math.nan, [object()], replay, (replay("expose-tomcat"),)])
def test_what_is_no_value_is_refused(value: Any) -> None:
    with pytest.raises(NoValueError):
        encode(value, {})


@pytest.mark.parametrize(
    "kind", ["os:system", "labkit.cri.__main__:main", "labkit.lab.session.values:encode", "labkit.lab.nothing:At", "x"]
)
def test_a_file_makes_nothing_but_values_of_labkit(kind: str) -> None:
    with pytest.raises((ValueError, TypeError, ImportError)):
        decode({"$": kind}, {})
