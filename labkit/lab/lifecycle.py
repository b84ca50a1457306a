"""How a lab comes to be, is found again, and is removed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labkit.cluster import kind_host, mirrors, providers, small_lab, state
from labkit.cluster import preflight as host_preflight
from labkit.cluster.context import ContextCluster
from labkit.cluster.kind import KindCluster
from labkit.cluster.mirrors import Mirror
from labkit.cluster.protocol import Cluster
from labkit.cluster.rootless import RootlessCluster
from labkit.cluster.spec import ContextSpec, LabSpec, default_node_names
from labkit.cluster.state import LabFolder
from labkit.cri.images import Catalogue
from labkit.errors import PreflightError, UsageError
from labkit.lab.installation.preparation import Preparation, this_machine
from labkit.lab.lab import Lab
from labkit.lab.lessons import sessions
from labkit.lab.session.replayed import instead, running_notebook
from labkit.language import gettext
from labkit.node import forward, outer
from labkit.progress import Progress
from labkit.widgets.progress import watch

PROVIDERS = ("auto", "rootless", "kind", "context", "replay")
#: Names the provider where `up` is not told of one.
PROVIDER_VARIABLE = "LABKIT_PROVIDER"
_DEFAULT_NAME = "lab"


def up(
    name: str = _DEFAULT_NAME,
    *,
    workers: int | None = None,
    node_names: Sequence[str] | None = None,
    provider: str = "auto",
    network: bool | None = None,
    service_cidr: str | None = None,
    pod_network_cidr: str | None = None,
    image_repository: str | None = None,
    kubernetes_version: str | None = None,
    apiserver_advertise_address: str | None = None,
    token_ttl: str | None = None,
    images: Path | None = None,
    registry_mirrors: Sequence[str] | None = None,
    node_image: str | None = None,
    api_port: int = 0,
    privileged: bool | None = None,
    small: bool | None = None,
    kubeconfig: Path | None = None,
    context: str | None = None,
    audit_log: Path | None = None,
    init: bool = True,
    progress: Progress | None = None,
) -> Lab:
    """Make a lab, or find the one of that name; in either case it runs when this returns.

    A lab that was stopped is started; the rest of an interrupted `up` is removed first. What is not given has the
    textbook's value.

    With provider ``replay`` there is no cluster: what a notebook asks is answered from a recorded session of it, and
    the rest of the parameters means nothing. With provider ``context`` the cluster is somebody else's, as a kubeconfig
    reaches it: nothing is installed into it, and only the last three parameters before `progress` say which it is.

    Parameters
    ----------
    name : str
        The lab's; with provider ``replay`` a notebook's, by default the one that runs in this kernel.
    workers : int
        How many, beside the control plane; 2 by default.
    node_names : sequence of str
        The names instead, the control plane's first.
    provider : {"auto", "rootless", "kind", "context", "replay"}
        Where the nodes run; by default as `LABKIT_PROVIDER` says. ``auto`` is ``kind`` where Docker answers, has a
        node image, and kind is installed; else ``rootless``; where this machine allows neither, in a notebook of
        labkit's own, ``replay``. What was chosen, and why, is told. A lab that is there keeps its provider.
    network : bool
        Whether the network add-on is applied; True by default. Without it nodes stay NotReady.
    service_cidr, pod_network_cidr : str
        Addresses of Services and of pods; they must not overlap.
    image_repository : str
        Where the control plane's images are said to come from.
    kubernetes_version : str
        Must be the pinned one.
    apiserver_advertise_address : str
        Must be the control plane's own.
    token_ttl : str
        Life time of the bootstrap token, ``"0"`` for ever.
    images : Path
        Your own image catalogue.
    registry_mirrors : sequence of str
        ``"docker.io=https://mirror.example"``: where nodes that are containers pull images from; they are asked
        first whether they answer.
    node_image : str
        With provider ``kind``: of which image its nodes are, another that `labkit image build-node` made.
    api_port : int
        Of 127.0.0.1, for the API server; 0 takes a free one.
    privileged : bool
        Whether its nodes' root is the machine's; only kube-proxy's ipvs mode needs it, and only root can.
    small : bool
        Whether it is to fit a machine that has a gigabyte: one worker, one CoreDNS, and no controllers that have
        nothing to do in a lab.
    kubeconfig : Path
        With provider ``context``: the file; by default kubectl's own.
    context : str
        With provider ``context``: which of the file's contexts; by default its current one.
    audit_log : Path
        With provider ``context``: the API server's audit log, if this machine can read it.
    init : bool
        Whether the cluster is initialised. Without, the nodes are prepared and wait: for `Lab.init`, or for
        `kubeadm init` in a node's shell; the network add-on is then yours to install, too.
    progress : Progress
        Where phases are reported; by default the notebook shows them.

    Raises
    ------
    UsageError
        Something asked for cannot be right, or the lab exists and is different.
    PreflightError
        This machine cannot run a lab.
    ComponentError, ClusterError
        It was tried, and failed; no process is left.
    """
    provider = os.environ.get(PROVIDER_VARIABLE, provider) if provider == "auto" else provider
    if provider not in PROVIDERS:
        raise UsageError(
            gettext("There is no provider {provider!r}").format(provider=provider),
            fix=gettext("choose one of {providers}").format(providers=", ".join(PROVIDERS)),
        )
    if provider == "replay":
        return instead(None if name == _DEFAULT_NAME else name)
    given: dict[str, Any] = {
        "node_names": _node_names(workers, node_names),
        "network": network,
        "service_cidr": service_cidr,
        "pod_cidr": pod_network_cidr,
        "image_repository": image_repository,
        "kubernetes_version": kubernetes_version,
        "advertise_address": apiserver_advertise_address,
        "token_ttl": token_ttl,
        "catalogue": str(images.absolute()) if images else None,
        "privileged": privileged,
        "node_image": node_image,
        "small": small,
    }
    given = {key: value for key, value in given.items() if value is not None}
    values = {"node_names": default_node_names(small_lab.WORKERS), **given} if small else given
    asked = [Mirror.parse(text) for text in registry_mirrors or ()]
    folder = LabFolder.of(name)
    chosen = {"kubeconfig": kubeconfig, "context": context, "audit_log": audit_log}
    nobody_chose = provider == "auto"
    with watch(progress) as reporter:
        if nobody_chose and not folder.ready_file.exists():
            provider = _choose(LabSpec(name=name, **values), reporter, init=init)
        _refuse_contradictions(provider, asked, node_image, network_without_init=bool(network) and not init)
        if provider == "context":
            _refuse_useless(given, provider)
            return _up_context(name, reporter, kubeconfig, context, audit_log)
        _refuse_useless({key: value for key, value in chosen.items() if value is not None}, provider)
        spec = LabSpec(name=name, **(values if init else {**values, "network": False}))
        Catalogue(spec.kubernetes_version, images)  # refuses a broken one before anything starts
        try:
            if provider == "kind":
                made_of_containers = dataclasses.replace(spec, provider=provider)
                return _up_kind(made_of_containers, given, api_port, asked, reporter, init=init)
            if not (nobody_chose and init):  # nodes that are not initialised are rootless
                given["provider"] = spec.provider
            with folder.locked():
                return Lab(_up(folder, spec, given, api_port, reporter, init=init))
        except PreflightError as error:
            if nobody_chose and running_notebook() in sessions():
                return instead(None, why=error)
            raise


def _choose(spec: LabSpec, progress: Progress, *, init: bool) -> str:
    """Return of which provider a new lab is where nobody says it; tell which, and why."""
    with progress.phase(gettext("provider")) as phase:
        kind = dataclasses.replace(spec, provider="kind")
        reason = kind_host.unavailable(kind) if init else gettext("kind would run kubeadm init itself")
        provider, why = ("rootless", reason) if reason else ("kind", gettext("Docker answers, and kind is installed"))
        phase.conclude(f"{provider}: {why}")
    return provider


def attach(name: str = "lab") -> Lab:
    """Return a lab that exists, running or stopped.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    folder = LabFolder.of(name)
    folder.load_spec()
    return Lab(providers.load(folder))


def down(name: str = "lab") -> bool:
    """Remove a lab, in whatever state it is: its processes, its files, everything but the cache.

    Returns
    -------
    bool
        Whether there was one.
    """
    folder = LabFolder.of(name)
    with folder.locked():
        existed = folder.path.exists()
        if not existed:
            kind_host.refuse_others_cluster(name)
        providers.remove(folder)
    return existed


def lab_names() -> list[str]:
    """Return the names of this user's labs, running or not."""
    return state.lab_names()


def doctor() -> host_preflight.Report:
    """Check what a lab needs of this machine; nothing is changed."""
    return host_preflight.Report(tuple(host_preflight.checks()))


def preflight() -> Preparation:
    """Check each line of the textbook's script that prepares a node, on this machine; nothing is changed.

    Kubernetes' needs of a machine that is to be a node itself. A lab needs less, because its nodes are prepared by
    labkit: see `doctor`. `Lab.preflight` checks a lab's node in the same way.
    """
    return this_machine()


def _up(
    folder: LabFolder, spec: LabSpec, given: dict[str, Any], api_port: int, progress: Progress, *, init: bool
) -> Cluster:
    if folder.ready_file.exists():
        existing = providers.load(folder, progress)
        _refuse_difference(existing.spec, given)
        if init and not existing.initialised:
            raise UsageError(
                gettext("Lab {name!r} exists and is different").format(name=spec.name),
                why=gettext("its nodes are prepared, and not initialised yet"),
                fix=gettext("labkit up --name {name} --no-init finds it; labkit down --name {name} removes it").format(
                    name=spec.name
                ),
            )
        if not existing.running:
            existing.start(progress)
        return existing
    with progress.phase(gettext("preflight")):
        if spec.privileged:
            outer.require_root()
        host_preflight.require(host_preflight.checks(small=spec.small), privileged=spec.privileged)
        if api_port:
            forward.listen(api_port).close()
        providers.remove(folder)
    return RootlessCluster.up(folder, spec, providers.programs(spec, progress), progress, api_port=api_port, init=init)


def _up_kind(
    spec: LabSpec,
    given: dict[str, Any],
    api_port: int,
    asked: Sequence[Mirror],
    progress: Progress,
    *,
    init: bool,
) -> Lab:
    """Make a lab of containers, or find the one of that name."""
    if not init:
        raise UsageError(
            gettext("The nodes of a kind lab are always initialised"),
            why=gettext("kind runs kubeadm init and kubeadm join itself"),
            fix=gettext("leave --no-init out, or choose --provider rootless"),
        )
    folder = LabFolder.of(spec.name)
    with folder.locked():
        if folder.ready_file.exists():
            existing = providers.load(folder, progress)
            _refuse_difference(existing.spec, {**given, "provider": spec.provider})
            if not existing.running:
                existing.start(progress)
            return Lab(existing)
        with progress.phase(gettext("preflight")):
            providers.remove(folder)
            kind_host.require(spec)
            for mirror in asked:
                mirror.check()
            if api_port:
                forward.listen(api_port).close()
        programs = providers.programs(spec, progress)
        return Lab(KindCluster.up(folder, spec, programs, progress, api_port=api_port, mirrors=asked))


def _up_context(
    name: str,
    progress: Progress,
    kubeconfig: Path | None,
    context: str | None,
    audit_log: Path | None,
) -> Lab:
    """Remember a context as a lab, or find the one of that name."""
    kind_host.refuse_windows()
    if audit_log is not None and not audit_log.is_file():
        raise UsageError(
            gettext("There is no audit log {audit_log}").format(audit_log=audit_log),
            fix=gettext("name the file that the API server writes"),
        )
    audit = None if audit_log is None else str(audit_log.absolute())
    spec = ContextSpec(name=name, node_names=(), context=context or "", audit=audit)
    folder = LabFolder.of(name)
    with folder.locked():
        if folder.ready_file.exists():
            existing = providers.load(folder, progress)
            given = {"provider": "context", "context": context, "audit": audit}
            _refuse_difference(existing.spec, {key: value for key, value in given.items() if value is not None})
            if not existing.running:
                existing.start(progress)
            return Lab(existing)
        providers.remove(folder)
        programs = providers.programs(spec, progress)
        return Lab(ContextCluster.up(folder, spec, programs, progress, kubeconfig=kubeconfig))


def _refuse_contradictions(
    provider: str, asked: Sequence[Mirror], node_image: str | None, *, network_without_init: bool
) -> None:
    """Refuse what means nothing together with the provider, or with a cluster that is not initialised."""
    if network_without_init:
        raise UsageError(
            gettext("The network add-on cannot be applied to a cluster that is not initialised yet"),
            why=gettext("kubectl apply needs an API server"),
            fix=gettext("leave the network out, and call lab.network.install() after lab.init()"),
        )
    if asked and provider != "kind":
        raise mirrors.refuse("rootless" if provider == "auto" else provider)
    if node_image and provider != "kind":
        raise UsageError(
            gettext("Provider {provider!r} has no use for a node image").format(provider=provider),
            why=gettext("only a kind lab's nodes are containers"),
            fix=gettext("leave it out, or choose --provider kind"),
        )


def _refuse_useless(given: dict[str, Any], provider: str) -> None:
    if given:
        names = ", ".join(key.replace("_", " ") for key in given)
        raise UsageError(
            gettext("Provider {provider!r} has no use for: {names}").format(provider=provider, names=names),
            why=gettext("with provider 'context' the cluster is as it is; all else is for clusters that labkit makes"),
            fix=gettext("leave it out, or choose another --provider"),
        )


def _refuse_difference(existing: LabSpec, given: dict[str, Any]) -> None:
    for key, value in given.items():
        present = getattr(existing, key)
        if present != value:
            raise UsageError(
                gettext("Lab {name!r} exists and is different").format(name=existing.name),
                why=gettext("its {key} is {present!r}, not {value!r}").format(
                    key=key.replace("_", " "), present=present, value=value
                ),
                fix=gettext("labkit down --name {name} first, or choose another --name").format(name=existing.name),
            )


def _node_names(workers: int | None, node_names: Sequence[str] | None) -> tuple[str, ...] | None:
    if workers is not None and node_names is not None:
        raise UsageError(
            gettext("Both a number of workers and names of nodes were given"), fix=gettext("give one of them")
        )
    if node_names is not None:
        if not node_names:
            raise UsageError(
                gettext("A lab needs at least one node"), fix=gettext('for example node_names=["master", "node-01"]')
            )
        return tuple(node_names)
    return None if workers is None else default_node_names(workers)
