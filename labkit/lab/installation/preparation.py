"""How a machine or a node is prepared to be a node of Kubernetes, to look at: a picture of what each check protects."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from labkit.cluster.kind import KindCluster
from labkit.errors import UsageError
from labkit.lab.nodes import LabNode
from labkit.language import gettext, gettext_noop, language
from labkit.proxy.table import Table

if TYPE_CHECKING:
    from labkit.cluster.preflight import Check
    from labkit.cluster.preflight.preparation import Step

_STYLE = "div.labkit-preparation svg{max-width:100%;height:auto;display:block}"


@dataclass(frozen=True, slots=True)
class PreparedLine:
    """A line of the textbook's script, and whether it has been done.

    Attributes
    ----------
    part : str
        What of the node it protects: ``"kubelet"``.
    line : str
        The script's.
    name, status, level, found, why, fix : str
        As `labkit.cluster.preflight.Check` has them.
    """

    part: str
    line: str
    name: str
    status: str
    level: str
    found: str
    why: str
    fix: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Preparation(Table):
    """How a machine is prepared; ``preparation["swap"]`` points at one line of it.

    Attributes
    ----------
    where : str
        Which machine.
    lines : tuple of PreparedLine
        In the script's order.
    lit : str
        The name of the line that is pointed at; empty for none.
    """

    where: str
    lines: tuple[PreparedLine, ...]
    lit: str = ""

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("check"),
        gettext_noop("status"),
        gettext_noop("found"),
        gettext_noop("why"),
        gettext_noop("the script's line"),
        gettext_noop("fix"),
    )

    def __getitem__(self, name: str) -> Preparation:
        """Return the same with one line pointed at.

        Raises
        ------
        UsageError
            There is no line of that name.
        """
        names = [line.name for line in self.lines]
        if name not in names:
            raise UsageError(
                gettext("There is no check {name!r}").format(name=name),
                why=gettext("there is {names}").format(names=", ".join(names)),
                fix=gettext("choose one of them"),
            )
        return dataclasses.replace(self, lit=name)

    @property
    def unmet(self) -> tuple[str, ...]:
        """The names of the checks that are not met."""
        return tuple(line.name for line in self.lines if line.status == "unmet")

    def to_json(self) -> list[dict[str, str]]:
        """Return the lines as plain objects for `json.dumps`."""
        return [dataclasses.asdict(line) for line in self._shown]

    def caption(self) -> str:
        """Return what it is, and how many checks are not met."""
        needed = [line for line in self.lines if line.status != "not needed"]
        met = sum(line.status == "met" for line in needed)
        return gettext("{where} as a node of Kubernetes: {met} of {needed} checks are met").format(
            where=self.where, met=met, needed=len(needed)
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per line."""
        return [
            (each.name, gettext(each.status), each.found, gettext(each.why), each.line, each.fix)
            for each in self._shown
        ]

    def to_svg(self) -> str:
        """Return the picture: the node with its parts, and the checks in the parts that they protect."""
        from labkit.views import preparation  # noqa: PLC0415 - most commands need no pictures

        seen = [preparation.CheckSeen(line.name, line.part, line.status, gettext(line.why)) for line in self.lines]
        prefix = f"labkit-preparation-{uuid4().hex[:8]}"  # a page may have several
        return preparation.to_svg(self.where, seen, lit=self.lit, prefix=prefix)

    def _repr_html_(self) -> str:
        picture = f'<div class="labkit-preparation"><style>{_STYLE}</style>{self.to_svg()}</div>'
        heading = gettext("The same as a table")
        return f"{picture}<details><summary>{heading}</summary>{Table._repr_html_(self)}</details>"

    @property
    def _shown(self) -> tuple[PreparedLine, ...]:
        return tuple(line for line in self.lines if self.lit in {"", line.name})


def this_machine() -> Preparation:
    """Return how this machine is prepared to be a node of Kubernetes, as the textbook does it; nothing is changed.

    A lab needs less, because it prepares its own nodes: that is what `labkit.doctor` tells.
    """
    from labkit.cluster.preflight import preparation  # noqa: PLC0415 - as on a node, where nothing else is needed

    return Preparation(gettext("This machine"), tuple(map(_line, preparation.look())))


def of_node(node: LabNode) -> Preparation:
    """Return how a node of a lab is prepared: the same checks, made on the node itself.

    Raises
    ------
    ClusterError
        The node does not run.
    """
    look = _within_container if isinstance(node.cluster, KindCluster) else _within_node
    return Preparation(node.name, look(node))


def _within_node(node: LabNode) -> tuple[PreparedLine, ...]:
    """Look by labkit's own program: the nodes of a rootless lab have the machine's Python."""
    speaks = f"LABKIT_LANG={language()}"  # of our environment a node knows nothing
    printed = node.exec(["env", speaks, sys.executable, "-I", "-m", "labkit.cluster.preflight"])
    return tuple(PreparedLine(**line) for line in json.loads(printed))


def _within_container(node: LabNode) -> tuple[PreparedLine, ...]:
    """Look from outside: a container has no labkit."""
    from labkit.cluster.preflight import entered, preparation  # noqa: PLC0415 - as above

    node.exec("true")  # tells if it does not run; the checks would each be unknown
    host = entered.EnteredHost(functools.partial(node.cluster.node_command, node.name))
    return tuple(map(_line, preparation.look(host)))


def _line(found: tuple[Step, Check]) -> PreparedLine:
    step, check = found
    return PreparedLine(step.part, step.line, **dataclasses.asdict(check))
