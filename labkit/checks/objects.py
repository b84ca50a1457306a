"""What several checks look up, and what several of them draw by lot."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from labkit.cluster.rest import ApiServer
from labkit.lab import Lab
from labkit.lab.session.experiments import one_call


def deployment(api: ApiServer, name: str) -> dict[str, Any] | None:
    """Return a deployment of namespace default, None where there is none.

    Parameters
    ----------
    api : ApiServer
        Who is asked.
    name : str
        As a learner may have written it.
    """
    return api.get(f"/apis/apps/v1/namespaces/default/deployments/{quote(name, safe='')}")


def pods_of(api: ApiServer, app: str) -> list[dict[str, Any]]:
    """Return the pods of namespace default with a label ``app``.

    Parameters
    ----------
    api : ApiServer
        Who is asked.
    app : str
        The label's value, which ``kubectl create deployment`` sets to the deployment's name.
    """
    found = api.get(f"/api/v1/namespaces/default/pods?labelSelector=app%3D{quote(app, safe='')}")
    items: list[dict[str, Any]] = (found or {"items": []})["items"]
    return items


def staying_pods_of(api: ApiServer, app: str) -> list[dict[str, Any]]:
    """Return those of `pods_of` that nobody has deleted: no longer a deployment's, they are listed until they ended."""
    return [pod for pod in pods_of(api, app) if "deletionTimestamp" not in pod["metadata"]]


@one_call
def drawn(lab: Lab, components: Sequence[str]) -> str:  # noqa: ARG001 - a recorded lab gives what was drawn then
    """Return one of some components, by lot.

    Parameters
    ----------
    lab : Lab
        Where it is to stand still.
    components : sequence of str
        Their names.
    """
    return random.choice(components)  # noqa: S311 - a riddle, no secret
