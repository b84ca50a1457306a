"""kube-proxy's ConfigMap: its mode, a change of that alone, and what is wrong with a broken one."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.errors import ClusterError, UsageError
from labkit.proxy import mode as modes
from labkit.proxy.mode import ProxyConfig

TEXT = 'kind: KubeProxyConfiguration\niptables:\n  mode: inner\nmode: ""\nnftables:\n  masqueradeAll: false\n'


def _config(text: str) -> ProxyConfig:
    data: dict[str, Any] = {"config.conf": text, "kubeconfig.conf": "kept: true\n"}
    return ProxyConfig({"kind": "ConfigMap", "metadata": {"name": "kube-proxy"}, "data": data})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('mode: ""', "iptables"),
        ("mode:", "iptables"),
        ("mode: null", "iptables"),
        ("mode: iptables", "iptables"),
        ("mode: 'nftables'   # since Monday", "nftables"),
        ("mode: ipvs", "ipvs"),
    ],
)
def test_mode(line: str, expected: str) -> None:
    found = _config(TEXT.replace('mode: ""', line))
    assert found.mode == expected
    assert found.line == line


def test_only_the_line_of_the_mode_changes() -> None:
    found = _config(TEXT)
    changed = found.with_line("mode: nftables")
    assert changed["data"]["config.conf"] == TEXT.replace('mode: ""', "mode: nftables")
    assert changed["data"]["kubeconfig.conf"] == "kept: true\n"
    assert changed["metadata"] == found.resource["metadata"]
    assert ProxyConfig(changed).with_line('mode: ""') == found.resource


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT.replace('mode: ""\n', ""), "no line that begins with mode:"),
        (TEXT + "mode: nftables\n", "lines 4 and 7 both begin with mode:"),
        (TEXT.replace("nftables:", "nftables: ["), "line 7: "),
        (TEXT.replace('mode: ""', 'mode: "'), "line 7: "),
        (TEXT.replace('mode: ""', "mode: iptabels"), "line 4: there is no mode 'iptabels'"),
        (TEXT.replace('mode: ""', "mode: [ipvs]"), "line 4: there is no mode"),
        ("", "no line that begins with mode:"),
    ],
)
def test_a_broken_configuration_says_which_line(text: str, why: str) -> None:
    with pytest.raises(ClusterError) as caught:
        _ = _config(text).mode
    assert why in caught.value.why
    assert "edit configmap kube-proxy" in caught.value.fix


def test_an_unknown_mode() -> None:
    with pytest.raises(UsageError, match="no mode 'bridge'") as caught:
        modes.check("bridge")
    assert "iptables, nftables, ipvs" in caught.value.why
