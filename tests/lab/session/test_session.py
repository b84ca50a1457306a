"""A session recorded and asked again. Here a recording is asked in place of a lab: both are asked in the same way."""

from __future__ import annotations

import io
import tarfile
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from labkit.errors import ClusterError, EvidenceError, LabkitError, NotRecordedError, UsageError
from labkit.lab import Lab, replay, up
from labkit.lab.session import web
from labkit.lab.session.calls import kubectl
from labkit.lab.session.experiments import one_call
from labkit.lab.session.recording import Recorded, RecordedLab
from labkit.lab.session.replayed import Replayed, ReplayedLab, running_notebook
from labkit.lab.session.tape import About, Session, Tape, load

ABOUT = About("06_some", datetime(2026, 1, 2, tzinfo=UTC), "v1.34.3", "rootless")


@pytest.fixture(autouse=True)
def _own_opener() -> Iterator[None]:
    """Leave urllib as it was: sessions teach it to fetch recorded pages."""
    before = urllib.request._opener  # type: ignore[attr-defined]
    yield
    urllib.request.install_opener(before)


def _ask(lab: Any) -> list[Any]:
    """Ask for values, objects, errors, and the same twice."""
    answers: list[Any] = [lab.proxy.rules(), lab.proxy.mode, lab.proxy.rules(mode="nftables"), lab.proxy.switches]
    answers += [lab.proxy.trace("svc/tomcat", from_node="node-01"), lab.actions(), repr(lab.proxy)]
    found = lab.explain("service/tomcat")
    answers += [found.flow, found.story, lab.flow("service/tomcat")]
    for ask, question in ((lab.kubectl, "get pods"), (lab.why, "nobody"), (lab.proxy.rules, "node-9")):
        with pytest.raises(LabkitError) as raised:
            ask(question)
        answers.append((raised.type, str(raised.value)))
    return answers


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], Path]:
    lab = RecordedLab(replay("kube-proxy"), ABOUT)
    answers = _ask(lab)
    path = tmp_path_factory.mktemp("session") / "06_some.labsession"
    lab.save(path)
    return answers, path


@pytest.fixture
def replayed(asked: tuple[list[Any], Path]) -> ReplayedLab:
    return ReplayedLab(load(asked[1]))


def test_the_same_questions_get_the_same_answers(asked: tuple[list[Any], Path], replayed: ReplayedLab) -> None:
    assert _ask(replayed) == asked[0]
    assert _ask(replayed) == asked[0], "asked again, the last answers are given again"


def test_what_is_shown_says_that_it_is_recorded(replayed: ReplayedLab) -> None:
    assert "notebook 06_some as it ran on 2026-01-02" in repr(replayed)
    assert "Nothing runs here" in replayed.banner
    assert "recorded on 2026-01-02" in replayed.explain("service/tomcat").to_svg()


def test_what_nobody_asked_has_no_answer(replayed: ReplayedLab) -> None:
    with pytest.raises(NotRecordedError, match=r"no answer to: proxy\.rules\('node-7'\)") as raised:
        replayed.proxy.rules("node-7")
    assert "proxy.rules('node-9')" in raised.value.why
    assert "a lab that runs answers everything" in raised.value.fix
    with pytest.raises(NotRecordedError, match="kubectl get nodes"):
        replayed.kubectl("get nodes")
    with pytest.raises(NotRecordedError, match="no answer to: freeze"):
        replayed.freeze("etcd")
    with pytest.raises(AttributeError, match="nonsense"):
        replayed.nonsense  # noqa: B018
    with pytest.raises(ClusterError):
        replayed.kubectl(["kubectl", "get", "pods"])


def test_answers_come_in_order_and_each_question_has_its_own() -> None:
    tape = Tape()
    for number in (1, 2):
        tape.keep("kubectl get pods", number)
    tape.keep("frozen", ())
    tape.keep_error("kubectl get pods", UsageError("gone", why="w", fix="f"))
    session = Session(ABOUT, tape._calls, {})
    assert [session.answer("kubectl get pods"), session.answer("kubectl get pods")] == [1, 2]
    assert session.answer("frozen") == ()
    for _ in range(2):
        with pytest.raises(UsageError, match="gone"):
            session.answer("kubectl get pods")


class _Notes:
    """Gives what is filled until the end of the block, as watching etcd does."""

    def __init__(self) -> None:
        self.found: list[int] = []

    def __enter__(self) -> list[int]:
        return self.found

    def __exit__(self, *_error: object) -> None:
        self.found.append(2)


def test_what_a_block_fills_is_taken_down_at_its_end() -> None:
    tape = Tape()
    with Recorded(_Notes(), "watch('pods')", tape) as found:
        found.append(1)
    with Replayed(Session(ABOUT, tape._calls, {}), "watch('pods')") as again:
        pass
    assert again == found == [1, 2]


def test_an_experiment_is_one_call(tmp_path: Path) -> None:
    recorded = RecordedLab(replay("kube-proxy"), ABOUT)
    found = _try(cast("Lab", recorded), "etcd", seconds=2)
    recorded.save(tmp_path / "x")
    session = load(tmp_path / "x")
    assert session.calls == ("_try('etcd', seconds=2)",)
    assert _try(cast("Lab", ReplayedLab(session)), "etcd", seconds=2) == found
    with pytest.raises(NotRecordedError):
        _try(cast("Lab", ReplayedLab(session)), "etcd")


@one_call
def _try(lab: Lab, component: str, seconds: int = 1) -> tuple[str, str, int]:
    name = f"try-{uuid.uuid4().hex}"
    with pytest.raises(ClusterError):
        lab.kubectl(f"create deployment {name}")
    return name, component, seconds


def test_a_command_is_the_same_as_text_and_as_words() -> None:
    assert kubectl("kubectl get pods -o  'wide'", "") == kubectl(["get", "pods", "-o", "wide"], "")
    assert kubectl("apply -f -", "a") != kubectl("apply -f -", "b")


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"page of {self.path}".encode())

    def log_message(self, *_said: object) -> None:
        """Say nothing."""


def test_pages_are_given_again_with_nobody_there(tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tape = Tape()
    keeping = web.Keeping(tape)
    own = f"127.0.0.1:{server.server_port}"
    keeping.known[own] = web.address("svc/web", None)
    web.install(keeping)
    try:
        with urllib.request.urlopen(f"http://{own}/?a=b") as page:
            assert page.read() == b"page of /?a=b"
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"http://{own}/none")
        raised.value.close()
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://{own}/", timeout=1)
    tape.save(tmp_path / "x", ABOUT)

    web.install(web.Giving(load(tmp_path / "x")))
    with urllib.request.urlopen("recorded://svc.web/?a=b") as page:  # noqa: S310 - of this session
        assert (page.status, page.read()) == (200, b"page of /?a=b")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen("recorded://svc.web/none")  # noqa: S310 - of this session
    assert raised.value.code == 404
    raised.value.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen("recorded://svc.web/")  # noqa: S310 - of this session
    with pytest.raises(NotRecordedError):
        urllib.request.urlopen("recorded://svc.web/other")  # noqa: S310 - of this session


def _inside(path: Path) -> str:
    """Return all that a session's file has, as text."""
    with tarfile.open(path) as archive:
        members = [archive.extractfile(member) for member in archive]
        return "".join(member.read().decode(errors="replace") for member in members if member)


def test_secrets_are_in_no_session(tmp_path: Path) -> None:
    token, password = "abcdef.0123456789abcdef", "correct-horse"
    tape = Tape()
    tape.keep(f"kubectl create secret generic s --from-literal=key={password}", f"Authorization: Bearer {token * 2}")
    secret = {"kind": "Secret", "data": {"key": password}}
    tape.keep("api_server().get('/s')", secret)
    tape.keep("exec", (f"kubeadm join --token {token}", {"name": "DB_PASSWORD", "value": password}))
    tape.save(tmp_path / "x", ABOUT)
    content = _inside(tmp_path / "x")
    for hidden in (token, password):
        assert hidden not in content
    session = load(tmp_path / "x")
    assert session.answer("api_server().get('/s')")["data"]["key"] != password
    session.answer(f"kubectl create secret generic s --from-literal=key={password}")  # found all the same


def test_a_file_that_is_no_session_is_refused(tmp_path: Path, asked: tuple[list[Any], Path]) -> None:
    path = tmp_path / "x.labsession"
    with pytest.raises(EvidenceError):
        load(path)
    path.write_bytes(b"no archive")
    with pytest.raises(EvidenceError, match="cannot be read"):
        load(path)
    path.write_bytes(asked[1].read_bytes()[:-100])
    with pytest.raises(EvidenceError):
        load(path)
    with tarfile.open(path, "w:xz") as archive:
        content = b'{"format": "labkit session", "version": 99, "labkit": "9"}'
        member = tarfile.TarInfo("manifest.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    with pytest.raises(EvidenceError) as raised:
        load(path)
    assert "a newer labkit made it" in raised.value.why


def test_a_session_is_asked_for_by_the_provider(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = up("04_scheduler", provider="replay")
    assert "Recorded: notebook 04_scheduler as it ran on" in capsys.readouterr().out
    assert lab.kubectl("get nodes --output custom-columns=NAME:.metadata.name,DISK:.metadata.labels.disk")
    monkeypatch.setenv("LABKIT_PROVIDER", "replay")
    with pytest.raises(UsageError, match="Which notebook") as raised:
        up()
    assert "04_scheduler" in raised.value.why
    with pytest.raises(UsageError, match="no recorded session of notebook 'nothing'"):
        up("nothing")
    monkeypatch.setenv("LABKIT_PROVIDER", "nonsense")
    with pytest.raises(UsageError, match="no provider 'nonsense'"):
        up()


def test_outside_of_a_notebook_nobody_tells_which_one_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/x/00_start_here.ipynb")
    assert running_notebook() is None


def _look_into(lab: Any) -> list[Any]:
    nodes = [(node.name, node.address, node.exec("hostname")) for node in lab.nodes]
    with lab.api_server() as api:
        found = api.get("/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy")["metadata"]["uid"]
    with lab.freeze("kube-scheduler"):
        frozen = lab.frozen
    named = lab.nodes["node-01"].exec("hostname")
    said = lab.kubectl("config view --raw --output jsonpath={.users[*].user.client-key-data}") and "a key"
    return [nodes, found, frozen, lab.frozen, named, lab.status(), lab.kubectl("get nodes --output name"), said]


@pytest.mark.cluster
def test_a_real_lab_and_its_session_answer_alike(lab: Lab, tmp_path: Path) -> None:
    recorded = RecordedLab(lab, ABOUT)
    asked = _look_into(recorded)
    recorded.save(tmp_path / "x")
    assert _look_into(ReplayedLab(load(tmp_path / "x"))) == asked
    assert asked[2] == ("kube-scheduler",)
    key = lab.kubectl("config view --raw --output jsonpath={.users[*].user.client-key-data}")
    assert str(key) not in _inside(tmp_path / "x")
