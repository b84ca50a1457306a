"""The panels of a lab: what a notebook shows of it with buttons, live."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, cast

from labkit.language import gettext_noop

if TYPE_CHECKING:
    from labkit.cluster.protocol import Cluster
    from labkit.lab.lab import Lab
    from labkit.widgets.dashboard import Dashboard
    from labkit.widgets.deploy import DeployPanel
    from labkit.widgets.flow import LiveFlow
    from labkit.widgets.nodes import NodesPanel
    from labkit.widgets.why import WhyPanel


class Panels(ABC):
    """What `labkit.lab.Lab` has of panels. Widgets take long to import, and a terminal has no use for them."""

    cluster: Cluster

    @abstractmethod
    def _require_running(self) -> None: ...

    def dashboard(self, name: str = "tomcat", *, image: str = "tomcat8") -> Dashboard:
        """Return the panels in one, as tabs: a deployment by buttons with what it causes, and what runs the cluster.

        Parameters
        ----------
        name, image : str
            The deployment that is followed, and its image.
        """
        from labkit.widgets.dashboard import Dashboard  # noqa: PLC0415

        lab = cast("Lab", self)
        tabs: dict[str, tuple[Any, ...]] = {
            gettext_noop("Deploy and watch"): (self.deploy_panel(name, image=image), self.watch(name)),
            gettext_noop("Scheduler"): (self.why_panel(),),
        }
        if self.cluster.reaches_nodes:
            tabs[gettext_noop("Nodes")] = (self.nodes_panel(),)
            tabs["kube-proxy"] = (lab.proxy.panel(),)
            tabs["etcd"] = (lab.etcd.panel(f"{name} -events"),)
        return Dashboard(tabs)

    def deploy_panel(self, name: str = "tomcat", *, image: str = "tomcat8") -> DeployPanel:
        """Return a panel that deploys, scales, exposes and deletes by buttons, and shows the pods on their nodes.

        Parameters
        ----------
        name, image : str
            What its form begins with.
        """
        from labkit.lab.deploy_panel import LiveDeployments  # noqa: PLC0415
        from labkit.widgets.deploy import DeployPanel  # noqa: PLC0415

        self._require_running()
        return DeployPanel(LiveDeployments(cast("Lab", self)), name=name, image=image)

    def nodes_panel(self) -> NodesPanel:
        """Return a panel of the nodes and their components, with buttons that stop a node or hold a component still."""
        from labkit.lab.nodes_panel import LiveNodes  # noqa: PLC0415
        from labkit.widgets.nodes import NodesPanel  # noqa: PLC0415

        return NodesPanel(LiveNodes(cast("Lab", self)))

    def why_panel(self) -> WhyPanel:
        """Return a panel of the pods that the scheduler placed last: what each plugin said of each node."""
        from labkit.lab.why_panel import LiveDecisions  # noqa: PLC0415
        from labkit.widgets.why import WhyPanel  # noqa: PLC0415

        return WhyPanel(LiveDecisions(cast("Lab", self)))

    def watch(self, subject: str, namespace: str | None = None) -> LiveFlow:
        """Return a panel that shows what is done to an object while it happens.

        As a context manager it follows until the end of the block, else from `start` to `stop`.

        Parameters
        ----------
        subject : str
            ``"deployment/tomcat"``, which need not exist yet; a name alone is a deployment's.
        namespace : str, optional
            The object's; by default the lab's own.
        """
        from labkit.lab.live import follow  # noqa: PLC0415

        self._require_running()
        return follow(self.cluster, subject, namespace or cast("Lab", self).namespace)
