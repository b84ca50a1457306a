"""What a kubelet's log says, told as cause and cure: lines that a real kubelet 1.34.3 wrote."""

from __future__ import annotations

import pytest

from labkit.lab.installation import kubelet_trouble

MANIFEST = (
    'E1128 16:43:06.146823      91 file.go:108] "Unable to process watch event" err="can\'t process '
    'config file \\"/etc/kubernetes/manifests/kube-scheduler.yaml\\": '
    "/etc/kubernetes/manifests/kube-scheduler.yaml: couldn't parse "
    'as pod(yaml: line 2: mapping values are not allowed in this context), please check config file"'
)
_HEAD = (
    'E1128 16:43:21.610338    1274 run.go:72] "command failed" err="failed to load kubelet config file, path: '
    "/var/lib/kubelet/config.yaml, error: failed to load Kubelet config file /var/lib/kubelet/config.yaml, error "
    "failed "
)
TAB = f'{_HEAD}to decode: yaml: line 41: found a tab character that violates indentation"'
TYPE = (
    f"{_HEAD}to decode: json: cannot unmarshal string into Go struct field KubeletConfiguration.failSwapOn of type "
    'bool"'
)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (MANIFEST, "the manifest is no Pod in YAML: yaml: line 2: mapping values are not allowed in this context"),
        (TAB, "config.yaml cannot be read: yaml: line 41: found a tab character that violates indentation"),
        (TYPE, "KubeletConfiguration.failSwapOn of type bool"),
    ],
)
def test_a_line_of_the_log_is_told(line: str, cause: str) -> None:
    found = kubelet_trouble.find(["I1128 ordinary", line, "I1128 later"])
    assert found is not None
    assert found.said == line
    assert found.cause.endswith(cause)
    assert found.cure


def test_ordinary_lines_are_no_trouble() -> None:
    assert kubelet_trouble.find(['I1128 16:43:06 "Starting to listen" address="0.0.0.0" port=10250']) is None
