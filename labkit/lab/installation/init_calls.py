"""What a `Lab` offers of kubeadm init and the network add-on."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from labkit.errors import ClusterError, UsageError
from labkit.lab.installation import init, mistakes
from labkit.lab.installation.init import TIME_LIMIT, InitSteps
from labkit.lab.installation.mistakes import Attempt, Options
from labkit.lab.installation.network import LabNetwork
from labkit.lab.installation.ours import own_cluster, prepared_cluster
from labkit.lab.installation.phases import InitRun
from labkit.lab.installation.reset import reset
from labkit.language import gettext
from labkit.progress import Progress
from labkit.widgets.progress import watch

if TYPE_CHECKING:
    from labkit.cluster.rootless import RootlessCluster
    from labkit.lab.lab import Lab


class InitCalls:
    """The calls of a lab about kubeadm init and the network add-on; what they need of it is what `Lab` has."""

    @property
    def _own(self) -> RootlessCluster:
        return prepared_cluster(cast("Lab", self))

    @property
    def network(self) -> LabNetwork:
        """The pods' network: its add-on, installed and watched."""
        return LabNetwork(cast("Lab", self))

    @property
    def init_options(self) -> Options:
        """The textbook's options of `kubeadm init`, with this lab's values."""
        return mistakes.options(self._own.spec)

    def init(self, *, time_limit: float = TIME_LIMIT, progress: Progress | None = None) -> InitRun:
        """Run `kubeadm init` on the control plane's node, and return what each phase did.

        Parameters
        ----------
        time_limit : float
            Seconds, after which it is ended.
        progress : Progress
            Shows the phases as they come.

        Raises
        ------
        UsageError
            The lab is initialised already.
        ClusterError
            kubeadm failed; the message has its own error.
        """
        self._require_uninitialised()
        with watch(progress) as reporter, self._own.folder.locked():
            run = init.init(self._own, reporter, time_limit=time_limit)
        if run.trouble:
            raise ClusterError(
                gettext("kubeadm init failed in phase {phase}").format(phase=run.phases[-1].name),
                why=run.trouble,
                fix=gettext("lab.reset() takes the node back to where it was"),
            )
        return run

    def init_steps(self) -> InitSteps:
        """Return `kubeadm init`'s phases, to be run one after another when you say so; a notebook shows buttons.

        Raises
        ------
        UsageError
            The lab is initialised already.
        """
        self._require_uninitialised()
        return InitSteps(self._own)

    def try_init(self, mistake: str, *, progress: Progress | None = None) -> Attempt:
        """Run `kubeadm init` with a wrong option, and return what really came of it; the node is as before then.

        Parameters
        ----------
        mistake : str
            ``"advertise-address"``, ``"image-repository"``, ``"kubernetes-version"``, ``"overlapping-ranges"``; or
            ``"init-twice"``, which needs a lab that is initialised.
        progress : Progress
            Shows what is done.

        Raises
        ------
        UsageError
            There is no such mistake, or the lab is not in the state that it needs.
        """
        with watch(progress) as reporter, self._own.folder.locked():
            return mistakes.attempt(self._own, mistake, reporter)

    def reset(self, node: str | None = None, *, progress: Progress | None = None) -> None:
        """Run `kubeadm reset` on a node: it is as it was before `kubeadm init` or `kubeadm join`.

        Parameters
        ----------
        node : str
            Which; by default the control plane's, with which the cluster ends.
        progress : Progress
            Shows what is done.

        Raises
        ------
        UsageError
            There is no such node; or it is the control plane, and kind's: kubeadm init would not be kind's any more.
        """
        lab = cast("Lab", self)
        lab._forget_api()
        target = lab.nodes[node or 0].name
        cluster = own_cluster(lab) if target != lab.nodes[0].name else self._own
        with watch(progress) as reporter, cluster.folder.locked():
            reset(cluster, target, reporter)

    def _require_uninitialised(self) -> None:
        if self._own.initialised:
            raise UsageError(
                gettext("Lab {name!r} is initialised already").format(name=self._own.spec.name),
                why=gettext("{node} has an administrator's kubeconfig").format(node=self._own.spec.node_names[0]),
                fix=gettext("lab.reset() ends this cluster; or make another lab: labkit up --name NAME --no-init"),
            )
