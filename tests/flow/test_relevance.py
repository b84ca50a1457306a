"""A quick look at raw lines leaves out nothing that a flow is made of."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from labkit.evidence.audit import AuditLog
from labkit.evidence.export import audit_jsonl
from labkit.evidence.model import Evidence
from labkit.evidence.recording import load
from labkit.flow import trace
from labkit.flow.names import selector
from labkit.flow.relevance import may_matter

SAMPLE = Path(__file__).parents[1] / "evidence" / "data" / "v1.labtrace"


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load(SAMPLE).evidence


@pytest.mark.parametrize(
    ("subject", "action"),
    [("deployment/tomcat", 0), ("deployment/tomcat", 1), ("deployment/nowhere", 0), ("node/node-01", 0)],
)
def test_the_same_flow_from_fewer_lines(evidence: Evidence, subject: str, action: int) -> None:
    look = may_matter(selector(subject))
    lines = audit_jsonl(evidence).splitlines(keepends=True)
    fewer = tuple(AuditLog(lines, only=look))
    whole = trace(evidence, subject, action=action)
    assert len(whole.hops) > 2
    assert trace(dataclasses.replace(evidence, audit=fewer), subject, action=action) == whole
    assert len(fewer) < len(lines)


def test_what_passes() -> None:
    look = may_matter(selector("deployment/tomcat"))
    by = '{{"requestURI":"{uri}","verb":"{verb}","user":{{"username":"{user}"}}}}'
    kubelet = "system:node:node-01"
    tokens = "/api/v1/namespaces/default/serviceaccounts/default/token"
    for uri, verb, user, passes in [
        ("/apis/apps/v1/namespaces/default/deployments/tomcat", "get", kubelet, True),
        ("/api/v1/pods", "watch", kubelet, True),
        ("/api/v1/pods", "list", kubelet, True),
        (tokens, "create", kubelet, True),
        ("/api/v1/namespaces/default/services", "create", "kubernetes-admin", True),
        ("/api/v1/namespaces/default/pods/other", "get", "kubernetes-admin", False),
        ("/api/v1/namespaces/default/pods/other/status", "patch", kubelet, False),
    ]:
        assert look(by.format(uri=uri, verb=verb, user=user).encode()) is passes
    assert look(b"{}")  # what it does not understand, parsing decides
    assert look(by.format(uri="/x?{", verb="get", user=kubelet).encode())
