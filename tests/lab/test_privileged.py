"""``labkit up --privileged``: a lab whose nodes are in no user namespace, and a machine that stays as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import labkit
from labkit.errors import PreflightError, UsageError
from labkit.node.privileged import SYSCTLS
from tests import traces

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a privileged lab"),
]


def _settings() -> dict[str, str]:
    return {name: Path("/proc/sys", name).read_text() for name in SYSCTLS}


def test_a_privileged_lab_comes_up_and_leaves_nothing() -> None:
    before = _settings()
    with labkit.up("privileged", workers=0, privileged=True) as lab:
        folder = lab.cluster.folder.path
        master = lab.nodes[0]
        assert master.exec("cat /proc/self/uid_map").split() == ["0", "0", "4294967295"]
        assert master.exec("sysctl -n kernel.panic vm.overcommit_memory").split() == ["10", "1"]
        assert lab.proxy.rules().of("kubernetes").ports
        with pytest.raises(UsageError, match="is different"):
            labkit.up("privileged", privileged=False)
        if Path("/proc/net/ip_vs").exists():
            assert lab.proxy.switch("ipvs").after == "ipvs"
        else:
            with pytest.raises(PreflightError, match="cannot use ipvs here; nothing was changed") as caught:
                lab.proxy.switch("ipvs")
            assert "the kernel has no ip_vs" in caught.value.why
            assert "user namespace" not in caught.value.why
            assert "modprobe --all ip_vs " in caught.value.fix
            assert "--privileged" not in caught.value.fix
        assert _settings() == before
    assert not folder.exists()
    assert traces.processes(folder) == []
    assert traces.mounts(folder) == []
    assert _settings() == before
