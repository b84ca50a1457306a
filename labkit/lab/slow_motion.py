"""A deployment in slow motion: the real components held still; one at a time goes on until its part is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from labkit.cluster import freeze
from labkit.errors import ClusterError, UsageError
from labkit.language import gettext, gettext_noop

if TYPE_CHECKING:
    from labkit.cluster.rest import ApiServer
    from labkit.flow import Flow
    from labkit.lab.lab import Lab
    from labkit.widgets.slow_motion import SlowMotionPanel

_NAMESPACE = "default"
_POLL_SECONDS = 0.02
_PART_TIMEOUT = 60.0
_SETTLED = ("ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff")


@dataclass(frozen=True, slots=True)
class Part:
    """What one component does before the next one can.

    Attributes
    ----------
    actor : str
        Who acts: ``"kubectl"``, ``"kube-scheduler"``.
    steps : str
        The textbook's steps that it is, ``"8 to 9"``.
    title : str
        What it does, for people.
    """

    actor: str
    steps: str
    title: str


PARTS = (
    Part(
        "kubectl",
        "1 to 3",
        gettext_noop("asks the API server for a deployment; it is stored, and nobody acts on it yet"),
    ),
    Part(
        "kube-controller-manager", "4 to 7", gettext_noop("makes the replica set and the pods; no pod has a node yet")
    ),
    Part("kube-scheduler", "8 to 10", gettext_noop("chooses a node for each pod and binds it; nothing runs yet")),
    Part("kubelet", "11 to 13", gettext_noop("the chosen nodes' kubelets start the containers and report them")),
    Part("all", "after", gettext_noop("goes on: the controllers, too, hear of the running pods")),
)


class SlowMotion:
    """Steps through one deployment on the real cluster.

    In a notebook it shows itself as a panel with buttons. As a context manager it lets everything go on at the end.
    Each component is let go by itself after at most `labkit.cluster.freeze.LONGEST` seconds, and at once when this
    process ends.

    Parameters
    ----------
    lab : Lab
        Where.
    name : str
        Of the deployment, which must not exist yet.
    image : str
        Of its container.
    replicas : int
        How many pods.

    Raises
    ------
    UsageError
        There is such a deployment.
    """

    def __init__(self, lab: Lab, name: str = "tomcat", *, image: str = "tomcat8", replicas: int = 1) -> None:
        with lab.api_server() as api:
            if api.get(f"/apis/apps/v1/namespaces/{_NAMESPACE}/deployments/{name}") is not None:
                raise UsageError(
                    gettext("There is a deployment {name!r} already").format(name=name),
                    fix=f"labkit kubectl -- delete deployment {name}",
                )
        self.name = name
        self.done: tuple[Part, ...] = ()
        self._lab, self._image, self._replicas = lab, image, replicas
        self._held = ExitStack()
        self._freezes: dict[str, freeze.Freeze] = {}
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        held = ", ".join(self.held) or "nothing"
        upcoming = f"next: {self.upcoming.actor} {self.upcoming.title}" if self.upcoming else "finished"
        return f"<SlowMotion of {self.name}: {len(self.done)} of {len(PARTS)} parts done; held: {held}; {upcoming}>"

    @property
    def upcoming(self) -> Part | None:
        """The part that `next` will let happen; None once everything goes on."""
        return None if self._over else PARTS[len(self.done)]

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts, in order."""
        return PARTS

    @property
    def held(self) -> tuple[str, ...]:
        """The components that are held still now."""
        return tuple(self.left)

    @property
    def left(self) -> dict[str, float]:
        """The components that are held still now, with the seconds until they go on by themselves."""
        return {name: held.left for name, held in list(self._freezes.items()) if held.active}

    def next(self) -> Part:
        """Let the next component do its part, hold it again, and return what it did.

        Raises
        ------
        UsageError
            Everything has gone on already.
        ClusterError
            The part was not done in time; everything goes on.
        """
        part = self.upcoming
        if part is None:
            raise UsageError(gettext("Everything goes on already"), fix=gettext("begin anew with another deployment"))
        try:
            self._act(part)
        except BaseException:
            self.close()
            raise
        self.done = (*self.done, part)
        return part

    def flow(self) -> Flow:
        """Return what has happened so far, from the evidence."""
        return self._lab.flow(self.name)

    def panel(self) -> SlowMotionPanel:
        """Return the panel that a notebook shows; it follows the flow from now on."""
        from labkit.lab.live import follow  # noqa: PLC0415 - who steps without a notebook needs no widgets
        from labkit.widgets.slow_motion import SlowMotionPanel  # noqa: PLC0415 - as above

        return SlowMotionPanel(self, follow(self._lab.cluster, self.name))

    def _ipython_display_(self) -> None:
        self.panel()._ipython_display_()

    def close(self) -> None:
        """Let everything go on, for good."""
        self._over = True
        self._freezes.clear()
        self._held.close()

    def _act(self, part: Part) -> None:
        if part.actor == "kubectl":
            self._hold("kube-controller-manager", "kube-scheduler")
            create = ["create", "deployment", self.name, f"--image={self._image}", f"--replicas={self._replicas}"]
            self._lab.kubectl(create)
        elif part.actor == "kube-controller-manager":
            self._release_until(
                "kube-controller-manager", lambda pods: len(pods) == self._replicas, gettext_noop("made the pods")
            )
        elif part.actor == "kube-scheduler":
            self._hold(*(f"kubelet/{node}" for node in self._lab.spec.node_names[1:]))
            self._release_until("kube-scheduler", lambda pods: all(map(_placed, pods)), gettext_noop("bound the pods"))
        elif part.actor == "kubelet":
            for name in [name for name in self._freezes if name.startswith("kubelet/")]:
                self._freezes.pop(name).thaw()
            self._wait(lambda pods: all(map(_started, pods)), gettext_noop("started the containers"))
        else:
            self.close()

    def _hold(self, *names: str) -> None:
        for name in names:
            self._freezes[name] = self._held.enter_context(freeze.freeze(self._lab.cluster, name))

    def _release_until(self, name: str, done: Callable[[list[dict[str, Any]]], bool], what: str) -> None:
        """Let a component go on until the cluster shows that it has done its part."""
        self._freezes.pop(name).thaw()
        self._wait(done, what)
        self._hold(name)

    def _wait(self, done: Callable[[list[dict[str, Any]]], bool], what: str) -> None:
        deadline = time.monotonic() + _PART_TIMEOUT
        with self._lab.api_server() as api:
            while not (pods := self._pods(api)) or not done(pods):
                if time.monotonic() > deadline:
                    raise ClusterError(
                        gettext("Nobody has {what} of deployment {name} in {seconds:.0f} s").format(
                            what=gettext(what), name=self.name, seconds=_PART_TIMEOUT
                        ),
                        why=gettext("the flow so far tells who acted last"),
                        fix=f"labkit flow {self.name}; labkit kubectl -- describe pods",
                    )
                time.sleep(_POLL_SECONDS)

    def _pods(self, api: ApiServer) -> list[dict[str, Any]]:
        found = api.get(f"/api/v1/namespaces/{_NAMESPACE}/pods?labelSelector=app%3D{self.name}") or {"items": []}
        return list(found["items"])


def _placed(pod: dict[str, Any]) -> bool:
    """Whether a pod has a node, or the scheduler has said why it gets none."""
    conditions = pod["status"].get("conditions", [])
    refused = any(c["type"] == "PodScheduled" and c.get("reason") == "Unschedulable" for c in conditions)
    return bool(pod["spec"].get("nodeName")) or refused


def _started(pod: dict[str, Any]) -> bool:
    """Whether a pod runs, or the kubelet has said why it does not."""
    if not pod["spec"].get("nodeName") or pod["status"]["phase"] != "Pending":
        return True
    states = [container["state"].get("waiting", {}) for container in pod["status"].get("containerStatuses", [])]
    return any(state.get("reason") in _SETTLED for state in states)
