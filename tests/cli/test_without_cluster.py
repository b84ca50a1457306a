"""Commands that answer with no cluster: doctor, components, and what can be said of a lab that is stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labkit.cluster.state import LabFolder
from labkit.components import pins
from tests.cli.command import LABKIT, here, in_terminal, labkit, without_escapes

pytestmark = pytest.mark.programs


def test_status_with_no_lab_says_how_to_make_one(no_lab: Path) -> None:
    done = labkit("status")
    assert done.returncode == 0
    assert "labkit up" in done.stdout


def test_status_with_no_lab_is_an_empty_list_for_programs(no_lab: Path) -> None:
    assert json.loads(here("status", "--json").stdout) == []


def test_status_of_a_stopped_lab(stopped_lab: LabFolder) -> None:
    done = here("status")
    assert done.exit_code == 0, done.stderr
    title, _, *rows = done.stdout.splitlines()
    assert title.startswith("Lab resting: stopped, Kubernetes v1.34.3 (rootless)")
    assert [row.split()[:4] for row in rows] == [
        ["cp", "control-plane", "172.30.0.10", "stopped"],
        ["worker-a", "worker", "172.30.0.11", "stopped"],
    ]
    assert not any(line.endswith(" ") for line in done.stdout.splitlines())


def test_status_for_programs(stopped_lab: LabFolder) -> None:
    for arguments in (["status", "--json"], ["status", "--json", "--name", "resting"]):
        [found] = json.loads(here(*arguments).stdout)
        assert found["name"] == "resting"
        assert found["state"] == "stopped"
        assert [node["ready"] for node in found["nodes"]] == [False, False]


def test_one_lab_that_cannot_be_read_does_not_hide_the_others(stopped_lab: LabFolder) -> None:
    broken = LabFolder.of("broken")
    broken.path.mkdir()
    broken.spec_file.write_text("{")
    done = here("status")
    assert done.exit_code == 1
    assert "Lab resting: stopped" in done.stdout
    assert "'broken' cannot be read" in done.stderr
    done = here("status", "--json")
    assert [each["name"] for each in json.loads(done.stdout)] == ["resting"]
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (40, "\nADDRESS: 172.30.0.11\nSTATE: stopped\n"),
        (76, "\nworker-a  worker         172.30.0.11  stopped  kubelet"),
    ],
)
def test_a_narrow_terminal_loses_nothing(stopped_lab: LabFolder, columns: int, expected: str) -> None:
    code, shown = in_terminal([*LABKIT, "status"], columns=columns)
    assert code == 0
    shown = without_escapes(shown)
    assert expected in shown
    assert max(map(len, shown.splitlines()[1:])) <= columns


def test_the_lab_is_named_by_option_before_or_after_or_by_variable(stopped_lab: LabFolder) -> None:
    for arguments, variable in (
        (["node", "list", "--name", "resting"], ""),
        (["--name", "resting", "node", "list"], ""),
        (["-n", "resting", "node", "list"], "other"),
        (["node", "list", "-n", "resting"], "other"),
        (["node", "list"], "resting"),
    ):
        done = here(*arguments, LABKIT_NAME=variable)
        assert done.exit_code == 0, done.stderr
        assert done.stdout.splitlines()[1].split() == ["cp", "control-plane", "172.30.0.10", "stopped"]


def test_what_needs_a_running_lab_says_how_to_start_it(stopped_lab: LabFolder) -> None:
    for arguments in (
        ["kubectl", "get", "nodes"],
        ["node", "exec", "cp", "--", "true"],
        ["node", "shell", "cp"],
        ["node", "stop", "cp"],
        ["node", "start", "cp"],
        ["node", "add", "worker-b"],
        ["deploy", "web", "--image", "nginx"],
        ["open", "svc/web"],
        ["kubeconfig"],
    ):
        done = labkit(*arguments, LABKIT_NAME="resting")
        assert done.returncode == 1, (arguments, done)
        assert "What to do: labkit " in done.stderr, (arguments, done.stderr)
        assert done.stdout == ""


def test_a_node_that_is_not_there(stopped_lab: LabFolder) -> None:
    for arguments in (["exec", "cq", "true"], ["shell", "cq"], ["stop", "cq"], ["start", "cq"], ["logs", "cq"]):
        done = labkit("node", *arguments, LABKIT_NAME="resting")
        assert done.returncode == 2, (arguments, done)
        assert "the nodes are cp, worker-a" in done.stderr


def test_the_log_of_a_node(stopped_lab: LabFolder) -> None:
    log = stopped_lab.nodes / "cp/root/var/log/labkit/kubelet.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {number} [x]\n" for number in range(5)))
    assert here("node", "logs", "cp", "-n", "resting").stdout == log.read_text()
    assert here("node", "logs", "cp", "kubelet", "--tail", "2", "-n", "resting").stdout == "line 3 [x]\nline 4 [x]\n"
    assert here("node", "logs", "cp", "etcd", "-n", "resting").exit_code == 2


def test_the_path_and_the_content_of_a_kubeconfig(stopped_lab: LabFolder) -> None:
    stopped_lab.kubeconfig.write_text("apiVersion: v1\nkind: Config\n")
    assert here("kubeconfig", "-n", "resting").stdout == f"{stopped_lab.kubeconfig}\n"
    assert here("kubeconfig", "-n", "resting", "--raw").stdout == "apiVersion: v1\nkind: Config\n"


def test_the_help_of_kubectl_is_its_own_and_needs_no_lab(no_lab: Path) -> None:
    for arguments in (["-h"], ["--help"], ["get", "--help"], [], ["help", "get"]):
        done = labkit("kubectl", *arguments)
        assert done.returncode == 0, done.stderr
        assert "kubectl" in done.stdout
        assert "Example:" not in done.stdout


def test_down_with_nothing_there_and_down_of_a_stopped_lab(stopped_lab: LabFolder) -> None:
    done = here("down")
    assert done.exit_code == 0
    assert "nothing to do" in done.stdout
    done = here("down", "--name", "resting")
    assert done.exit_code == 0
    assert not stopped_lab.path.exists()


def test_stop_of_a_stopped_lab_changes_nothing(stopped_lab: LabFolder) -> None:
    assert here("stop", "--name", "resting").exit_code == 0
    assert stopped_lab.ready_file.exists()


def test_doctor_says_why_of_each_need(no_lab: Path) -> None:
    done = here("doctor")
    plain = json.loads(here("doctor", "--json").stdout)
    assert (done.exit_code == 0) == plain["ready"]
    assert len(plain["checks"]) > 10
    for check in plain["checks"]:
        assert check["name"] in done.stdout
        assert f"    Why: {check['why']}" in done.stdout
        assert check["fix"] in done.stdout


def test_doctor_without_the_programs_has_the_exit_code_of_preflight(no_lab: Path, tmp_path: Path) -> None:
    done = here("doctor", PATH=str(tmp_path))
    assert done.exit_code == 3
    assert done.stdout.splitlines()[-1].startswith("Not ready, for want of: ")
    assert "Fix: " in done.stdout
    done = here("doctor", "--json", PATH=str(tmp_path))
    assert done.exit_code == 3
    plain = json.loads(done.stdout)
    assert plain["ready"] is False


def test_preflight_tells_each_line_of_the_textbook(no_lab: Path) -> None:
    done = here("preflight")
    assert done.exit_code == 0
    for check in json.loads(here("preflight", "--json").stdout):
        assert check["name"] in done.stdout
        assert f"    Why: {check['why']}" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("This machine as a node of Kubernetes: ")
    assert "There is no lab" in here("preflight", "node-01").stderr


def test_the_list_of_components() -> None:
    done = here("components", "list")
    assert done.exit_code == 0
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [
        [pin.name, pin.version] for pin in pins().values()
    ]


def test_a_cache_with_nothing_in_it_lacks_all_that_is_not_on_the_path(tmp_path: Path) -> None:
    done = labkit("components", "list", LABKIT_CACHE=str(tmp_path), LABKIT_COMPONENTS="", PATH=str(tmp_path))
    assert done.stdout.count("missing") == len(pins())


def test_verified_components_are_listed() -> None:
    done = labkit("components", "fetch", "--verify")
    assert done.returncode == 0, done.stderr
    assert "missing" not in done.stdout
