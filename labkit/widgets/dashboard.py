"""The panels of a lab in one: what one does, and what comes of it, beside each other."""

from __future__ import annotations

import ipywidgets

from labkit.widgets.deploy import DeployPanel
from labkit.widgets.flow import LiveFlow
from labkit.widgets.proxy import ProxyPanel


class Dashboard:
    """A deployment by buttons with its flow below it, and kube-proxy, as tabs.

    Parameters
    ----------
    deploy : DeployPanel
        Whose buttons deploy.
    flow : LiveFlow
        Follows what comes of it.
    proxy : ProxyPanel
        Whose buttons switch kube-proxy's mode.

    Attributes
    ----------
    tabs : ipywidgets.Tab
        What shows them.
    """

    def __init__(self, deploy: DeployPanel, flow: LiveFlow, proxy: ProxyPanel) -> None:
        self.deploy, self.flow, self.proxy = deploy, flow, proxy
        first = ipywidgets.VBox([deploy, flow.panel])
        self.tabs = ipywidgets.Tab([first, proxy], titles=("Deploy and watch", "kube-proxy"))

    def start(self) -> None:
        """Show what changes from now on."""
        self.deploy.start()
        self.flow.start()
        self.proxy.start()

    def stop(self) -> None:
        """Show what is new once more and follow no longer; the panels stay."""
        self.deploy.stop()
        self.flow.stop()
        self.proxy.stop()

    def _ipython_display_(self) -> None:
        from IPython.display import publish_display_data  # noqa: PLC0415 - only a notebook has it at hand

        for panel in (self.deploy, self.flow.panel, self.proxy):
            panel.display_still()
        data = ipywidgets.Widget._repr_mimebundle_(self.tabs)
        data["text/plain"] = "The same as live panels: they show where a kernel runs."
        publish_display_data(data)  # type: ignore[no-untyped-call]
        self.start()
