"""What the kubelet's log says when its configuration or a manifest cannot be read: cause and cure in a line each.

The messages are the kubelet's own (pkg/kubelet/kubeletconfig, cmd/kubelet/app, pkg/kubelet/config/file.go).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.language import gettext, gettext_noop

CONFIG = "/var/lib/kubelet/config.yaml"
#: Writes the file anew, as the cluster's ConfigMap kube-system/kubelet-config has it.
CURE = "kubeadm upgrade node phase kubelet-config"

_CAUSES: Sequence[tuple[str, str, str]] = (
    (
        r"couldn't parse as pod\((?P<detail>.*)\), please check config file",
        gettext_noop("the manifest is no Pod in YAML: {detail}"),
        gettext_noop("correct the file, or put back the one that worked: lab.static_pods.restore(NAME)"),
    ),
    (
        r"failed to load kubelet config file.*failed to decode: (?P<detail>[^\"]+)",
        gettext_noop("{config} cannot be read: {detail}"),
        gettext_noop("correct what it names, or let kubeadm write the file anew: {command}"),
    ),
    (
        r"failed to validate kubelet configuration.*?(?P<detail>invalid configuration: [^\"]+)",
        gettext_noop("{config} can be read, but a value in it cannot be: {detail}"),
        gettext_noop("correct that value, or let kubeadm write the file anew: {command}"),
    ),
)


@dataclass(frozen=True, slots=True, repr=False)
class Trouble:
    """Why the kubelet did not do what a file says.

    Attributes
    ----------
    said : str
        The line of its log.
    cause, cure : str
        In a line each; empty where nobody knows.
    """

    said: str
    cause: str
    cure: str

    def __repr__(self) -> str:
        """Return it as lines of text."""
        return gettext("the kubelet said: {said}\ncause: {cause}\ncure: {cure}").format(
            said=self.said, cause=self.cause, cure=self.cure
        )


def find(lines: Sequence[str]) -> Trouble | None:
    """Return the last trouble that lines of a kubelet's log tell, None where they tell of none that is known."""
    for line in reversed(lines):
        for pattern, cause, cure in _CAUSES:
            if found := re.search(pattern, line):
                told = gettext(cause).format(config=CONFIG, detail=found["detail"])
                return Trouble(line, told, gettext(cure).format(command=CURE))
    return None
