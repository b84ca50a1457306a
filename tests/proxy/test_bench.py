"""kube-proxy's modes measured on the shared lab, small; in the end all is as it was found."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.errors import PreflightError, UsageError
from labkit.lab import Lab
from labkit.progress import Progress
from labkit.proxy import mode as modes
from labkit.proxy.load import NAMESPACE
from tests.cli.command import LABKIT, labkit

pytestmark = pytest.mark.cluster

SERVICES = 4


@pytest.fixture(autouse=True)
def _as_found(lab: Lab) -> Iterator[None]:
    with lab.api_server() as api:
        before = modes.read(api).text
        yield
        assert modes.read(api).text == before
        assert api.get(f"/api/v1/namespaces/{NAMESPACE}") is None
    assert lab.frozen == ()


def test_small(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LABKIT_NAME", lab.name)
    plot = tmp_path / "scale.svg"
    options = ["--services", str(SERVICES), "--mode", "iptables", "--mode", "nftables", "--repeats", "1"]
    done = labkit("proxy", "bench", *options, "--json", "--plot", str(plot))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout[: done.stdout.rindex("}") + 1])
    assert sorted((run["mode"], run["services"]) for run in found["runs"]) == [("iptables", 4), ("nftables", 4)]
    for run in found["runs"]:
        assert run["rules"] >= 4 * SERVICES
        assert (run["elements"] > 0) == (run["mode"] == "nftables")
        assert len(run["program_one"]) == 3
        for name in ("program_all", "first", "last", "cpu", "memory", "switch"):
            assert run[name] > 0, name
        assert all(0 < seconds < 60 for seconds in run["program_one"])
        assert run["first"] < 1
        assert 0 <= run["failed"] <= run["asked"]
        assert run["asked"] >= 10 * run["switch"], "20 a second"
    assert found["machine"]["nodes"] == 3
    assert "<svg" in plot.read_text()


def test_an_interrupt_leaves_nothing(lab: Lab) -> None:
    command = [*LABKIT, "--name", lab.name, "proxy", "bench", "--services", "3", "--mode", "nftables"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as bench:
        assert bench.stderr is not None
        while "nftables, 1 of 3" not in (line := bench.stderr.readline()):
            assert line
        bench.send_signal(signal.SIGINT)
        rest = bench.stderr.read()
    assert bench.returncode == 130, rest


@pytest.mark.parametrize("services", [0, 65_536])
def test_a_number_that_does_not_fit_the_service_range(lab: Lab, services: int) -> None:
    with pytest.raises(UsageError, match=f"{services} Services cannot be measured") as caught:
        lab.proxy.bench([3, services], ["nftables"], progress=Progress())
    assert "Service range 10.96.0.0/16 has room for" in caught.value.why


def test_rules_that_do_not_fit_into_one_message(lab: Lab) -> None:
    with pytest.raises(PreflightError, match="5000 Services cannot be measured in iptables mode") as caught:
        lab.proxy.bench([3, 5000], ["iptables"], progress=Progress())
    assert "net.core.wmem_default" in caught.value.why
    assert "sysctl -w net.core.wmem_default=" in caught.value.fix


def test_what_cannot_be_measured_at_all(lab: Lab) -> None:
    with pytest.raises(UsageError, match="nothing to measure"):
        lab.proxy.bench([], progress=Progress())
    with pytest.raises(UsageError, match="no mode 'userspace'"):
        lab.proxy.bench([3], ["userspace"], progress=Progress())
    with pytest.raises(PreflightError, match="cannot use ipvs"):
        lab.proxy.bench([3], ["ipvs"], progress=Progress())
    with lab.cluster.folder.locked(), pytest.raises(UsageError, match="Another command is changing lab"):
        lab.proxy.bench([3], progress=Progress())
