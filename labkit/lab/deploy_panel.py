"""What the deploy panel shows and drives: a lab's deployments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from labkit.cri.images import Catalogue
from labkit.errors import LabkitError
from labkit.lab.pods import seen
from labkit.language import gettext
from labkit.widgets.deploy import Deployment

if TYPE_CHECKING:
    from labkit.lab.lab import Lab

#: Where the control plane's own images come from.
_SYSTEM = "registry.k8s.io/"


class LiveDeployments:
    """The deployments of a lab, for the panel.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.title = gettext("lab {name!r}").format(name=lab.name)
        listing = Catalogue(lab.spec.kubernetes_version).listing()
        self.images: Sequence[str] = [image for image in listing if not image.startswith(_SYSTEM)]

    @property
    def nodes(self) -> Sequence[str]:
        """The nodes' names."""
        return self._lab.spec.node_names

    def look(self, name: str) -> Deployment:
        """Return how a deployment is; what cannot be seen is said, and no error."""
        try:
            with self._lab.api_server() as api:
                namespace = f"namespaces/{self._lab.namespace}"
                found = api.get(f"/apis/apps/v1/{namespace}/deployments/{quote(name, safe='')}")
                service = api.get(f"/api/v1/{namespace}/services/{quote(name, safe='')}")
                pods = api.get(f"/api/v1/{namespace}/pods?labelSelector=app%3D{quote(name, safe='')}")
        except LabkitError as error:
            return Deployment(exists=False, trouble=str(error))
        if pods is None:
            return Deployment(exists=False, trouble=gettext("The API server does not answer."))
        spec = (service or {}).get("spec", {})
        return Deployment(
            exists=found is not None,
            wanted=(found or {"spec": {}})["spec"].get("replicas", 0),
            service=f"{spec['clusterIP']}:{spec['ports'][0]['port']}" if spec.get("ports") else "",
            pods=tuple(sorted(map(seen, pods["items"]), key=lambda pod: pod.name)),
        )

    def kubectl(self, arguments: Sequence[str]) -> str:
        """Run kubectl, and return what it printed."""
        return self._lab.kubectl(arguments)

    def open(self, name: str) -> str:
        """Make a Service reachable from this machine, and return its URL."""
        return self._lab.open(f"svc/{name}")
