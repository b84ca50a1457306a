"""A notebook's kernel ends during what a panel's button does: the lab stays whole, and the next kernel's panel works.

Real kernels, as Jupyter starts and kills or restarts them; all on one lab.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

import labkit
from labkit.lab import Lab
from labkit.progress import Progress
from tests.traces import eventually

NAME = "killed"
PRELUDE = f"""
import time
import labkit

lab = labkit.attach({NAME!r})

def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, (panel.state["said"], panel.state.get("trouble"))
        time.sleep(0.02)

def press(message):
    panel._handle_custom_msg(message, [])

def pressed(message, seconds=90):
    press(message)
    assert panel._working, message
    until(lambda: not (panel.paint() or panel.state["working"]), seconds)
    assert not panel.state["failed"], panel.state["said"]
"""
_DEPLOY = {"do": "deploy", "name": "shot", "image": "nginx", "replicas": "1", "port": ""}
_NODE = {"node": "node-01", "component": ""}
_FREEZE = {"do": "freeze", "node": "master", "component": "kube-scheduler"}
_DEPLOYED = f"""
if not panel.state["exists"]:
    pressed({_DEPLOY})
until(lambda: not panel.paint() and panel.state["summary"] == "shot: 1 of 1 pods ready")
"""
_SWITCHED = """
pressed({"press": MODE})
assert lab.proxy.mode == MODE and lab.proxy.check().agrees
assert all(lab.proxy.rules(node.name).mode == MODE for node in lab.nodes)
"""
_ON = f"""
if not lab.nodes["node-01"].running:
    pressed({ {"do": "start", **_NODE} })
until(lambda: not panel.paint() and "node-01 (Ready)" in [row[1] for row in panel.state["rows"]])
"""
_THAWED = f"""
until(lambda: not lab.frozen)
pressed({_FREEZE})
assert lab.frozen == ("kube-scheduler",)
pressed({ {**_FREEZE, "do": "thaw"} })
"""
_STEPPED = """
until(lambda: lab.kubectl("get deployment slowed --output jsonpath={.status.readyReplicas}") == "1")
lab.kubectl("delete deployment slowed")
panel = lab.slow_motion("slowed", image="nginx").panel()
pressed({"press": "next"})
pressed({"press": "all"})
assert not lab.frozen
"""
_ETCD = 'panel = lab.etcd.panel("slowed"); panel.start()'


@dataclass(frozen=True)
class Case:
    """What a kernel does when it ends, and what the next one finds.

    Attributes
    ----------
    name : str
        What for.
    panel : str
        Makes the panel, in either kernel.
    message : dict
        Of its button.
    under_way : str
        Holds once it is in the middle of it.
    then : str
        What the next kernel does.
    before : str
        What the first one does before the panel is made.
    starts : bool
        Whether what it starts is to stay: a node.
    """

    name: str
    panel: str
    message: dict[str, Any]
    under_way: str
    then: str
    before: str = ""
    starts: bool = False


CASES = (
    Case("deploy", 'panel = lab.deploy_panel("shot", image="nginx")', _DEPLOY, "panel._working", _DEPLOYED),
    Case(
        "switch, the ConfigMap edited",
        "MODE = 'nftables'; panel = lab.proxy.panel()",
        {"press": "nftables"},
        "lab.proxy.mode == 'nftables'",
        _SWITCHED,
    ),
    Case(
        "start a node",
        "panel = lab.nodes_panel()",
        {"do": "start", **_NODE},
        "sandbox.exists()",
        _ON,
        before="sandbox = lab.cluster.folder.nodes / 'node-01/sandbox.json'; lab.nodes[1].stop(); sandbox.unlink()",
        starts=True,
    ),
    Case("freeze", "panel = lab.nodes_panel()", _FREEZE, "lab.frozen", _THAWED),
    Case(
        "slow motion",
        "",
        {"press": "next"},
        "len(lab.frozen) == 2 and 'slowed' in lab.kubectl('get deployments')",
        _STEPPED,
        before='panel = lab.slow_motion("slowed", image="nginx").panel()',
    ),
    Case(
        "look into etcd", _ETCD, {"look": True}, "panel.state.get('groups')", "until(lambda: panel.state.get('groups'))"
    ),
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab whose notebooks end badly."""
    with labkit.up(NAME, workers=1, progress=Progress()) as running:
        yield running


@pytest.fixture
def kernel() -> Iterator[KernelManager]:
    """A kernel as Jupyter starts it."""
    manager = KernelManager(kernel_name="python3")
    yield manager
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


@pytest.mark.cluster
@pytest.mark.parametrize("how", ["killed", "restarted"])
def test_the_lab_is_whole_and_the_next_panel_works(lab: Lab, kernel: KernelManager, how: str) -> None:
    kernel.start_kernel()
    for place, case in enumerate(CASES):
        if place % 2 == (how == "killed"):
            continue
        client = _ready(kernel)
        _run(client, f"{PRELUDE}\n{case.before}\n{case.panel}")
        _run(client, f"press({case.message})\nuntil(lambda: {case.under_way})")
        helpers = psutil.Process(kernel.provisioner.pid).children(recursive=True)  # type: ignore[union-attr]
        client.stop_channels()
        if how == "killed":
            kernel.signal_kernel(signal.SIGKILL)
        kernel.restart_kernel(now=how == "killed")
        if not case.starts:
            eventually(lambda left=helpers: not [each for each in left if _alive(each)])  # type: ignore[misc]
        eventually(lambda: not lab.frozen)
        client = _ready(kernel)
        _run(client, f"{PRELUDE}\n{case.panel}\n{case.then}")
        client.stop_channels()
        assert (lab.status().state, lab.status().missing, lab.frozen) == ("running", (), ()), case.name


def _ready(kernel: KernelManager) -> BlockingKernelClient:
    client: BlockingKernelClient = kernel.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    return client


def _run(client: BlockingKernelClient, code: str) -> None:
    """Run a cell; what goes wrong in it fails the test."""
    reply = client.execute_interactive(code, timeout=150, output_hook=lambda _message: None)
    content = reply["content"]
    assert content["status"] == "ok", (code[-300:], content.get("evalue"))


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
