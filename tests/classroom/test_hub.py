"""A class on one server: a real Hub, real accounts, each with a real lab; who tries another's finds nothing there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest
from playwright.sync_api import expect

import labkit
from labkit.classroom.limits import ControlGroup
from labkit.classroom.put_away import FOLDER
from tests import traces
from tests.chromium import chromium, needs_chromium
from tests.classroom import hub as hubs
from tests.classroom.hub import Hub, Student
from tests.users import ordinary_user
from tests.widgets.jupyterlab import run, write

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(hubs.missing()), reason=hubs.missing() or "-"),
]

NAMES = ("labkit-ann", "labkit-ben")
_ROOM = "4G"
_PROCESSORS = 1.5


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with a teacher's view, which leaves nothing; one account has a disk of its own, which can be full."""
    settings = f"c.LabSpawner.cpu_limit = {_PROCESSORS}\nc.LabSpawner.labs_starting = 1\n"
    with _disk_of(NAMES[1]), hubs.classroom(tmp_path_factory.mktemp("hub"), settings) as running:
        yield running
    assert traces.of_a_class(NAMES) == []


@contextmanager
def _disk_of(name: str) -> Iterator[None]:
    home = Path("/home", name)
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_ROOM},mode=700", "labkit", home], check=True)
    try:
        with ordinary_user(name, home):
            shutil.chown(home, name, name)
            yield
    finally:
        subprocess.run(["umount", home], check=True)
        home.rmdir()


@pytest.fixture(scope="module")
def students(hub: Hub) -> tuple[Student, Student]:
    """Two students, each with a lab that has a Tomcat."""
    ann, ben = (hub.student(name) for name in NAMES)
    for student in (ann, ben):
        student.start()
    with ThreadPoolExecutor() as pool:
        told = list(pool.map(lambda each: each.run(_UP), (ann, ben)))
    assert all(text.splitlines()[-1].startswith("lab runs at https://127.0.0.1:") for text in told), told
    assert sorted("turn finished" in text for text in told) == [False, True], f"one of them waits for the other: {told}"
    return ann, ben


_UP = """
import labkit
from labkit.progress import Progress
lab = labkit.up(workers=1, progress=Progress(lambda event: print(event.phase, event.state)))
lab.deploy("tomcat", image="tomcat8")
print("lab runs at", lab.api.configuration.host)
"""
_WHERE = """
import labkit
lab = labkit.attach()
print(lab.api.configuration.host.rpartition(":")[2], lab.kubeconfig, lab.open("svc/tomcat").rpartition(":")[2])
"""
_EACH = """
for what in tried:
    try:
        what()
        print("reached")
    except OSError as error:
        print(type(error).__name__)
"""
_TRY = """
import os, pathlib, socket
tried = (
    lambda: socket.create_connection(("127.0.0.1", {api}), 5),
    lambda: socket.create_connection(("127.0.0.1", {page}), 5),
    lambda: pathlib.Path({path!r}).read_text(),
    lambda: os.kill({pid}, 9),
    lambda: os.listdir({home!r}),
    lambda: pathlib.Path("/proc/{pid}/environ").read_text(),
)
"""


def test_each_has_an_own_lab_and_reaches_no_other(students: tuple[Student, Student]) -> None:
    ann, ben = students
    api, kubeconfig, page = ann.run(_WHERE).split()
    (pid,) = traces.pids_of("kube-apiserver", ann.name)
    tried = _TRY.format(api=api, page=page.strip("/"), path=kubeconfig, pid=pid, home=str(ann.home)) + _EACH
    assert ben.run(tried).split() == ["ConnectionRefusedError"] * 2 + ["PermissionError"] * 4
    assert ann.run(tried).split()[:3] == ["reached"] * 3, "whose they are reaches them"


_TURNS = """
import fcntl, os, pathlib
place = pathlib.Path(os.environ["LABKIT_TURNS"])
(turn,) = place.iterdir()
fcntl.flock(turn.open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
print("taken")
tried = (turn.unlink, lambda: turn.write_text("x"), lambda: (place / "mine").touch())
"""


def test_a_turn_can_be_taken_and_not_be_taken_away(students: tuple[Student, Student]) -> None:
    ann, _ = students
    assert ann.run(_TURNS + _EACH).split() == ["taken"] + ["PermissionError"] * 3


def test_processors_are_bounded(students: tuple[Student, Student]) -> None:
    ann, _ = students
    group = ControlGroup(ann.name)
    before, began = group.usage().processor, time.monotonic()
    ann.run(
        f"import subprocess; [each.wait() for each in [subprocess.Popen([{sys.executable!r}, '-c', "
        "'import time; end = time.monotonic() + 4\\nwhile time.monotonic() < end: pass']) for _ in range(4)]]"
    )
    assert (group.usage().processor - before) / (time.monotonic() - began) < _PROCESSORS * 1.15


def test_who_takes_too_much_memory_loses_a_process_and_nobody_else_does(students: tuple[Student, Student]) -> None:
    ann, ben = students
    others = ControlGroup(ben.name).usage().killed
    assert ann.run("kept = bytearray(3 << 30)") == "the kernel died"
    assert ControlGroup(ann.name).usage().killed > 0
    assert ControlGroup(ben.name).usage().killed == others
    assert "Ready" in ben.run("import labkit; print(labkit.attach().kubectl('get nodes'))")
    assert ann.run("print(2 + 2)") == "4\n"


_PANEL = """\
import labkit
labkit.attach().deploy_panel("shared", image="nginx")"""


@needs_chromium
def test_two_browsers_on_one_account_show_the_same_lab(hub: Hub, students: tuple[Student, Student]) -> None:
    ann, _ = students
    for name in ("one.ipynb", "other.ipynb"):
        write(ann.home / name, _PANEL)
        shutil.chown(ann.home / name, ann.name)
    with chromium() as browser, browser.new_page() as one, browser.new_page() as other:
        for page, name in ((one, "one.ipynb"), (other, "other.ipynb")):  # two pages so made share no log-in
            hubs.log_in(page, ann)
            run(page, f"{hub.url}/user/{ann.name}", name, "notebooks")
            expect(page.locator(".labkit-panel h4")).to_contain_text("There is no deployment shared", timeout=30_000)
        one.locator(".labkit-panel").get_by_role("button", name="Deploy").click()
        for page in (one, other):
            expect(page.locator(".labkit-panel h4")).to_contain_text("1 of 1 pods ready", timeout=20_000)
        other.locator(".labkit-panel").get_by_role("button", name="Delete").click()
        expect(one.locator(".labkit-panel h4")).to_contain_text("There is no deployment shared", timeout=20_000)


_BEGIN = """
import labkit
lab = labkit.attach()
recorder = lab.record("kept.labtrace")
recorder.__enter__()
lab.kubectl("scale deployment tomcat --replicas=2")
"""
_FULL = """
for what in (
    lambda: print(lab.kubectl("create configmap late --from-literal=said=yes")),
    lambda: recorder.__exit__(None, None, None),
    lambda: labkit.up("second"),
):
    try:
        what()
    except Exception as error:
        print(type(error).__name__, error)
"""
_AGAIN = """
print(len(labkit.replay(recorder.save()).explain("tomcat", action="scale").flow.hops) > 5, labkit.lab_names())
import time
from labkit.errors import ClusterError
end = time.monotonic() + 60
while True:  # etcd may have ended for want of room, and is started again
    try:
        print(lab.kubectl("get deployment tomcat --output jsonpath={.spec.replicas}"))
        break
    except ClusterError:
        if time.monotonic() > end:
            raise
        time.sleep(1)
"""


def test_who_has_a_full_disk_is_told_and_loses_nothing(students: tuple[Student, Student]) -> None:
    _, ben = students
    with ben.kernel() as run:
        run(_BEGIN)
        traces.eventually(lambda: _resize(ben.home, shutil.disk_usage(ben.home).used))  # the lab writes meanwhile
        try:
            said = run(_FULL)
        finally:
            assert _resize(ben.home, _ROOM)
        assert "The recording kept.labtrace cannot be written" in said
        assert "No space left on device" in said
        assert "disk: 0 MiB free in /home/labkit-ben/" in said
        assert "set LABKIT_STATE to a folder on a larger disk" in said
        assert run(_AGAIN).split() == ["True", "['lab']", "2"]


def _resize(disk: Path, size: int | str) -> bool:
    """Give a disk another size, if what is on it has room there."""
    resize = ["mount", "-o", f"remount,size={size}", str(disk)]
    return subprocess.run(resize, check=False, capture_output=True).returncode == 0


_TELL = """
from IPython import get_ipython
shell = get_ipython()
shell.run_line_magic("load_ext", "labkit.classroom.told")
from labkit.checks.verdict import Verdict
shell.run_cell("Verdict(True, 'So it is.')", cell_id="first")
"""


def test_the_teacher_sees_labs_and_what_students_tell_and_students_do_not(
    hub: Hub, students: tuple[Student, Student]
) -> None:
    ann, ben = students
    ann.run(_TELL)
    teacher = Student(hub, "teacher")
    shown = hub.page("services/class/", token=teacher.token())
    rows = {row.split("<")[0]: row for row in shown.split('<th scope="row">')[1:]}
    assert set(rows) == {*NAMES, teacher.name}
    assert all("lab runs" in rows[name] for name in NAMES)
    assert "1 right of 1 tried" in rows[ann.name]
    assert "tried" not in rows[ben.name]
    with pytest.raises(HTTPError, match="403"):
        hub.page("services/class/", token=ben.token())


def test_who_is_away_in_the_middle_of_a_flow_finds_a_recording_and_the_lab(
    hub: Hub, students: tuple[Student, Student]
) -> None:
    ann, ben = students
    done = ann.run("import labkit; print(labkit.attach().kubectl('scale deployment tomcat --replicas=3'))")
    assert "scaled" in done, done
    cull = [sys.executable, "-m", "jupyterhub_idle_culler", f"--url={hub.url}/hub/api", "--timeout=2", "--cull-every=1"]
    culler = subprocess.Popen(cull, env={**os.environ, "JUPYTERHUB_API_TOKEN": hub.token})
    try:
        traces.eventually(lambda: not ann.serves and not ben.serves, timeout=60)
    finally:
        culler.terminate()
        culler.wait(10)
    assert traces.pids_of("", ann.name) == []
    (kept,) = (ann.home / FOLDER).glob("*.labtrace")
    assert labkit.replay(kept).explain("tomcat", action="scale").flow.hops
    ann.start()
    again = ann.run("import labkit; lab = labkit.up(); print(lab.kubectl('get deployment tomcat -o name'))")
    assert again.splitlines()[-1] == "deployment.apps/tomcat"
