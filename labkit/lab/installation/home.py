"""kubectl's kubeconfig as the textbook copies it, in a home that belongs to the lab.

The steps are those that `kubeadm init` prints at its end. The home is a folder of the control plane's node: the
``~/.kube`` of whoever runs labkit is neither read nor written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from labkit.errors import ClusterError
from labkit.lab.nodes import LabNode
from labkit.language import gettext, gettext_noop
from labkit.proxy.table import Table

HOME = "/home/learner"
CONFIG = f"{HOME}/.kube/config"
_ADMIN = "/etc/kubernetes/admin.conf"
#: Each command with what it is for; the first one fails, and has to.
_STEPS = (
    ("kubectl get nodes", "without a kubeconfig, kubectl asks a server on this very machine"),
    ("mkdir -p $HOME/.kube", "the folder where kubectl looks"),
    (f"cp -i {_ADMIN} $HOME/.kube/config", "a copy: it holds the key of kubernetes-admin"),
    (
        "chown $(id -u):$(id -g) $HOME/.kube/config",
        "who copied it as root gives it to the user; here both are the same",
    ),
    ("stat -c %a $HOME/.kube/config", "only its owner may read it: whoever can read it is the administrator"),
    ("kubectl get nodes", "kubectl finds it by itself"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and what came of it.

    Attributes
    ----------
    command, why : str
        As it is typed, and what it is for.
    printed : str
        What it said; its error where it failed.
    worked : bool
        Whether it ended with 0.
    """

    command: str
    why: str
    printed: str
    worked: bool


@dataclass(frozen=True, slots=True, repr=False)
class HomeSteps(Table):
    """The textbook's steps, done in a home of the lab's own.

    Attributes
    ----------
    steps : tuple of Step
        In order.
    """

    steps: tuple[Step, ...]

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("command"),
        gettext_noop("what it is for"),
        gettext_noop("worked"),
        gettext_noop("printed"),
    )

    def caption(self) -> str:
        """Return what it is, in a line."""
        return gettext("HOME={home}, on the control plane's node").format(home=HOME)

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per line that a step printed."""
        found: list[Sequence[str]] = []
        for step in self.steps:
            first, *rest = step.printed.splitlines() or [""]
            found.append((step.command, step.why, "yes" if step.worked else "no", first))
            found += [("", "", "", line) for line in rest]
        return found


def copy_kubeconfig(node: LabNode) -> HomeSteps:
    """Do the textbook's steps anew: the home is made, and emptied first.

    Parameters
    ----------
    node : LabNode
        The control plane's.

    Raises
    ------
    ClusterError
        The node does not run.
    """
    node.exec(["sh", "-c", f"rm -rf {HOME} && mkdir -p -m 0700 {HOME}"])
    return HomeSteps(tuple(_done(node, command, why) for command, why in _STEPS))


def _done(node: LabNode, command: str, why: str) -> Step:
    try:
        printed = node.exec(["env", "-u", "KUBECONFIG", f"HOME={HOME}", "sh", "-c", command])
    except ClusterError as error:
        return Step(command, why, error.why, worked=False)
    return Step(command, why, str(printed), worked=True)
