"""Holding a lab's components still, and letting them go on one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from labkit.cluster import freeze
from labkit.cluster.freeze import Freeze
from labkit.cluster.protocol import Cluster
from labkit.lab.slow_motion import SlowMotion
from labkit.language import gettext

if TYPE_CHECKING:
    from labkit.lab.lab import Lab


class Still(ABC):
    """What `labkit.lab.Lab` has of it."""

    cluster: Cluster

    @abstractmethod
    def _require_nodes(self, what: str, instead: str) -> None: ...

    def freeze(self, component: str, *, limit: float = freeze.LONGEST) -> Freeze:
        """Hold a component still; as a context manager until the end of the block.

        It goes on by itself after the limit, when `thaw` is called, and when this process ends, however that is.

        Parameters
        ----------
        component : str
            ``"etcd"``, ``"kube-apiserver"``, ``"kube-controller-manager"``, ``"kube-scheduler"``, or
            ``"kubelet/NODE"``, ``"kube-proxy/NODE"``.
        limit : float
            Seconds, at most 600.

        Raises
        ------
        UsageError
            There is no such component, or the limit is out of range.
        ClusterError
            It does not run.
        """
        self._require_nodes(
            gettext("{component} cannot be held still").format(component=component),
            gettext("labkit flow, which shows in what order things happened"),
        )
        return freeze.freeze(self.cluster, component, limit=limit)

    def thaw(self, component: str | None = None) -> tuple[str, ...]:
        """Let a component, or every one, go on, whoever froze it; return those that were frozen."""
        return tuple(map(str, freeze.thaw(self.cluster, component))) if self.cluster.reaches_nodes else ()

    @property
    def frozen(self) -> tuple[str, ...]:
        """The components that are held still."""
        return tuple(map(str, freeze.frozen(self.cluster))) if self.cluster.reaches_nodes else ()

    def slow_motion(self, name: str = "tomcat", *, image: str = "tomcat8", replicas: int = 1) -> SlowMotion:
        """Step through a deployment on the real cluster: one component at a time goes on.

        Parameters
        ----------
        name, image : str
            Of the deployment, which must not exist yet, and of its container.
        replicas : int
            How many pods.

        Raises
        ------
        UsageError
            There is such a deployment.
        """
        self._require_nodes(
            gettext("Its components cannot be let go one by one"),
            gettext("labkit flow, and play it slowly: --html FILE"),
        )
        return SlowMotion(cast("Lab", self), name, image=image, replicas=replicas)
