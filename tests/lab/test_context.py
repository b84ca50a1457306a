"""Any cluster as a lab: a real one that labkit made, known here by its kubeconfig alone."""

from __future__ import annotations

import base64
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import labkit
from labkit.cluster.watching import RESOURCES, Watching
from labkit.errors import ClusterError, UsageError
from labkit.flow import Flow
from labkit.lab import Lab
from tests import traces
from tests.cli.command import labkit as command

pytestmark = pytest.mark.cluster

NAME = "elsewhere"
IMAGE = "labkit/standin"
STUDENT = Path(__file__).parents[2] / "docs/classroom/student.yaml"


@pytest.fixture(scope="module")
def other(lab: Lab) -> Iterator[Lab]:
    """The shared cluster, as somebody else's."""
    with labkit.up(NAME, provider="context", kubeconfig=lab.kubeconfig) as known:
        yield known


@pytest.fixture
def copy(lab: Lab, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """Return where a changed kubeconfig may be written, and what it says so far."""
    return tmp_path / "kubeconfig", yaml.safe_load(lab.kubeconfig.read_text())


def refused(path: Path, config: dict[str, Any], error: type[Exception], match: str, **choice: str) -> None:
    """Make sure that such a kubeconfig is refused for that reason, and that nothing is left of the attempt."""
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(error, match=match):
        labkit.up("refused", provider="context", kubeconfig=path, **choice)  # type: ignore[arg-type]
    assert "refused" not in labkit.lab_names()


def stored(flow: Flow) -> Counter[tuple[str, str]]:
    """Return the requests that changed something watched, and the Events."""
    causes = {hop.cause for hop in flow.hops if hop.kind == "persist" and hop.object.resource in RESOURCES}
    hops = [hop for hop in flow.hops if hop.kind == "record" or (hop.kind == "request" and hop.number in causes)]
    return Counter((hop.source.id, str(hop.object)) for hop in hops)


def test_a_deployment_is_seen_as_the_cluster_itself_saw_it(lab: Lab, other: Lab, tmp_path: Path) -> None:
    with other.record(tmp_path / "other.labtrace") as recorder:
        recorder.mark("deploy")
        other.deploy("elsewhere", image="tomcat8")
    inferred = other.explain("elsewhere")
    recorded = lab.explain("elsewhere")
    assert stored(inferred.flow) == stored(recorded.flow)
    assert not any(hop.observed for hop in inferred.flow.hops)
    assert "no audit log: who asked is inferred from what watches told" in inferred.flow.losses
    assert [step.seen for step in inferred.story.steps if step.seen != "inferred"] == []
    assert all(inferred.detail(hop) for hop in inferred.flow.hops)
    assert "elsewhere" in repr(other.owners())
    assert "ready" in repr(other.rollout("elsewhere"))
    replayed = labkit.replay(tmp_path / "other.labtrace").explain("elsewhere").flow
    assert stored(replayed) == stored(inferred.flow)
    audited = labkit.up("audited", provider="context", kubeconfig=lab.kubeconfig, audit_log=lab.cluster.audit_log)
    try:
        requests = [hop for hop in audited.flow("elsewhere").hops if hop.kind == "request"]
        assert all(hop.observed for hop in requests)
    finally:
        audited.down()
    other.down(deployed=True)
    assert "elsewhere" not in lab.kubectl("get deployments,services --output name")
    assert lab.status().state == "running"
    traces.eventually(lambda: not traces.processes(other.cluster.folder.path))
    labkit.up(NAME, provider="context", kubeconfig=lab.kubeconfig)


def test_the_command_has_kubectl_reach_it(lab: Lab, other: Lab) -> None:
    done = command("--name", other.name, "kubectl", "get", "nodes", "--output", "name")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"node/{node.name}" for node in lab.nodes]


def test_it_is_found_again_stopped_and_started(lab: Lab, other: Lab) -> None:
    found = labkit.attach(NAME)
    assert [node.name for node in found.status().nodes] == list(lab.spec.node_names)
    assert found.status().provider == "context"
    assert all(node.ready for node in found.status().nodes)
    assert found.kubeconfig.stat().st_mode & 0o777 == 0o600
    found.stop()
    assert found.status().state == "stopped"
    with pytest.raises(ClusterError, match="does not run"):
        found.kubectl("get pods")
    found.start()
    assert labkit.up(NAME, provider="context").status().state == "running"
    with pytest.raises(UsageError, match="its context is"):
        labkit.up(NAME, provider="context", context="another")


def test_what_is_not_possible_says_what_is_instead(other: Lab) -> None:
    node = other.nodes[-1]
    for attempt in (
        node.stop,
        node.start,
        lambda: node.exec("true"),
        node.logs,
        lambda: other.freeze("kube-scheduler"),
        lambda: other.slow_motion("slow"),
        lambda: other.etcd,
        lambda: other.proxy,
        other.components,
        lambda: other.anatomy("some"),
        lambda: other.add_node("node-09"),
        lambda: other.open("svc/kubernetes"),
    ):
        with pytest.raises(ClusterError, match="is not labkit's own") as refusal:
            attempt()
        assert "or in a lab of your own" in refusal.value.fix
    assert other.frozen == ()


def test_a_server_that_does_not_answer(copy: tuple[Path, dict[str, Any]]) -> None:
    path, config = copy
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{taken.getsockname()[1]}"
        refused(path, config, ClusterError, "cannot be reached")


def test_a_server_of_another_authority(copy: tuple[Path, dict[str, Any]]) -> None:
    path, config = copy
    certificate, _ = signed(None, timedelta(days=1))
    config["clusters"][0]["cluster"]["certificate-authority-data"] = encoded(certificate)
    refused(path, config, ClusterError, "cannot be trusted")


def test_a_user_who_is_unknown_or_may_not(lab: Lab, copy: tuple[Path, dict[str, Any]]) -> None:
    path, config = copy
    config["users"][0]["user"] = {"token": "no-such-token"}
    refused(path, config, ClusterError, "does not know who asks")
    lab.kubectl("create serviceaccount few-rights")
    try:
        config["users"][0]["user"] = {"token": str(lab.kubectl("create token few-rights"))}
        refused(path, config, ClusterError, "does not allow it to read /api/v1/namespaces/default/pods")
    finally:
        lab.kubectl("delete serviceaccount few-rights")


def test_a_client_certificate_that_has_expired(lab: Lab, copy: tuple[Path, dict[str, Any]]) -> None:
    path, config = copy
    pki = lab.cluster.folder.nodes / lab.spec.node_names[0] / "root/etc/kubernetes/pki"
    certificate, key = signed(pki, -timedelta(minutes=1))
    config["users"][0]["user"] = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
    refused(path, config, ClusterError, "the client certificate has expired")


def test_a_context_that_is_not_there(copy: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, config = copy
    refused(path, config, UsageError, "There is no context 'nowhere'", context="nowhere")
    refused(path, {"apiVersion": "v1", "kind": "Config"}, UsageError, "There is no context in")
    with pytest.raises(UsageError, match="There is no kubeconfig"):
        labkit.up("refused", provider="context", kubeconfig=tmp_path / "nothing")
    with pytest.raises(UsageError, match="has no use for: network"):
        labkit.up("refused", provider="context", kubeconfig=path, network=False)
    with pytest.raises(UsageError, match="has no use for: context"):
        labkit.up("refused", provider="rootless", context="nowhere")


def test_a_watch_that_begins_anew_tells_what_it_missed(lab: Lab) -> None:
    watching = Watching(lab.kubeconfig, RESOURCES["services"], lambda: None)
    told = watching.follow()
    with closing(told):
        first = next(told)
        assert (first.kind, first.object["kind"]) == ("LISTED", "Service")
        watching.forget_version()  # as when it is too old for the server
        lab.kubectl("create service clusterip told --tcp=80")
        try:
            seen = next(each for each in told if each.kind != "LISTED")
            assert (seen.kind, "only its outcome is known" in seen.why) == ("LOST", True)
            assert next(told).object["metadata"]["name"] == "told"
        finally:
            lab.kubectl("delete service told")
        assert next(told).kind == "DELETED"


def signed(pki: Path | None, valid: timedelta) -> tuple[bytes, bytes]:
    """Return a certificate that ends so much later than now, and its key; signed by a cluster's authority or itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "learner")])
    issuer, signer = name, key
    if pki is not None:
        issuer = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes()).subject
        signer = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None)  # type: ignore[assignment]
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + valid)
    certificate = builder.sign(signer, hashes.SHA256())
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return certificate.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)


def encoded(data: bytes) -> str:
    """Return bytes as a kubeconfig has them."""
    return base64.b64encode(data).decode()


@pytest.fixture
def student(lab: Lab, copy: tuple[Path, dict[str, Any]]) -> Iterator[Lab]:
    """The shared cluster as the student's who has a namespace in it, and nothing else."""
    path, config = copy
    lab.kubectl("apply --filename -", stdin=STUDENT.read_text())
    try:
        config["users"][0]["user"] = {"token": str(lab.kubectl("create token ann --namespace ann"))}
        config["contexts"][0]["context"]["namespace"] = "ann"
        path.write_text(yaml.safe_dump(config))
        with labkit.up("ann", provider="context", kubeconfig=path) as own:
            yield own
    finally:
        lab.kubectl("delete --filename - --wait=false", stdin=STUDENT.read_text())


def test_a_student_who_has_a_namespace_of_the_class_sees_that_and_no_other(lab: Lab, student: Lab) -> None:
    lab.kubectl(["create", "deployment", "others", f"--image={IMAGE}"])
    try:
        student.deploy("mine", image=IMAGE)
        assert "others" not in student.kubectl("get deployments")
        for refused_command in (
            "get pods --all-namespaces",
            "get secrets --namespace kube-system",
            "create namespace x",
        ):
            with pytest.raises(ClusterError, match="forbidden"):
                student.kubectl(refused_command)
        status = student.status()
        assert status.state == "running"
        assert all(node.ready for node in status.nodes)
        hops = student.explain("mine").flow.hops
        assert {"client", "controller", "scheduler", "kubelet"} <= {hop.source.kind for hop in hops}
        assert {hop.object.namespace for hop in hops} == {"ann"}
        assert {each.object.namespace for each in student.actions()} == {"ann"}
        assert student.deploy_panel("mine").state["summary"] == "mine: 1 of 1 pods ready"
        assert "mine" in str(student.owners())
    finally:
        lab.kubectl("delete deployment others")
