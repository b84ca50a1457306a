"""Building the node image: Debian's packages and labkit's components, with the pod images already in its containerd.

What kind asks of a node image (its documentation, "Node Image Design", and pkg/cluster/nodeutils at v0.33.0): systemd
after an entrypoint that prepares the container for it, containerd, kubelet, kubeadm and kubectl,
``/kind/version``, and the manifests of a network and of a storage class.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from labkit import paths
from labkit.cluster import network_addon, network_agent
from labkit.cluster.nodeimage import debian, oci, pods, servers
from labkit.components import Components, ensure, pins
from labkit.errors import ClusterError, PreflightError
from labkit.language import gettext
from labkit.node import connector, docker, netns, requester, rule_monitor
from labkit.progress import Progress

#: The image's name where none is given.
IMAGE = f"labkit/node:{pins()['kubernetes'].version}"
#: Label: a digest of all that the image is made by.
RECIPE = "labkit.recipe"

_FILES: Traversable = resources.files(__package__) / "files"
_LEAST_FREE = 2e9  # bytes
_LIB = "usr/local/lib/labkit"
_ENTRYPOINT = f"/{_LIB}/entrypoint"
_PACKAGES = (
    "busybox-static",  # connects a host's port with a Service (labkit open)
    "ca-certificates",
    "conntrack",
    "containerd",
    "iproute2",
    "iptables",
    "kmod",
    "libpython3-stdlib",  # what labkit runs on a node to send requests
    "mawk",
    "mount",
    "nftables",
    "procps",
    "python3-minimal",
    "systemd",
    "usr-is-merged",  # in place of usrmerge, see below
    "util-linux",
)
#: What Debian's essential packages ask for while usr-is-merged is not there yet: usrmerge, and for that all of Perl.
_FOR_USRMERGE = "usrmerge libfile-find-rule-perl libnumber-compare-perl libtext-glob-perl"
_FOR_USRMERGE += " perl perl-modules-5.36 libperl5.36"
#: What comes with the packages and no node needs, or labkit has its own of.
_SUPERFLUOUS = (
    "etc/containerd",
    "etc/systemd/system/multi-user.target.wants/containerd.service",
    "usr/lib/systemd/system/containerd.service",
    "usr/bin/containerd-stress",
    "usr/bin/containerd-shim",
    "usr/bin/containerd-shim-runc-v1",
    "usr/share/bash-completion",
    "usr/share/zoneinfo",
    "usr/lib/udev",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
)
#: labkit's own programs that run there.
_ON_NODES = (connector, netns, requester, rule_monitor)
#: What the pod network needs; kind's own images have the same (images/base/Dockerfile).
_PLUGINS = ("host-local", "loopback", "portmap", "ptp")
#: Units that are for machines with a keyboard, or that time their own work.
_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "getty.target",
    "systemd-logind.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
)
_MERGED_USR = '--setup-hook=for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done'


def recipe() -> str:
    """Return a digest of all that an image is made by: pins, packages and labkit's own files."""
    digest = hashlib.sha256(platform.machine().encode())
    for pin in pins().values():
        digest.update(pin.folder_name.encode())
    ours = (debian, oci, pods, servers, network_addon, network_agent, *_ON_NODES)
    for source in (__file__, *(str(module.__file__) for module in ours)):
        digest.update(Path(source).read_bytes())
    for file in sorted([*_FILES.iterdir(), *servers.ENTRYPOINTS.iterdir()], key=lambda file: file.name):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def is_current(name: str = IMAGE) -> bool:
    """Whether Docker has the image, made by this labkit's recipe."""
    found = docker.inspect("image", [name])
    return bool(found) and (found[0]["Config"].get("Labels") or {}).get(RECIPE) == recipe()


def size(name: str = IMAGE) -> int:
    """Return the bytes that the image takes, unpacked as Docker keeps it; 0 where there is none."""
    found = docker.inspect("image", [name])
    return int(found[0]["Size"]) if found else 0


def build(name: str = IMAGE, *, progress: Progress | None = None) -> str:
    """Build the node image, unless Docker has it already as it would become.

    Parameters
    ----------
    name : str
        The image's.
    progress : Progress
        Shows the phases.

    Returns
    -------
    str
        Its name.

    Raises
    ------
    PreflightError
        Docker or mmdebstrap cannot be used here, or the disk is too small.
    ClusterError
        A step failed: no Debian mirror, or the disk is full. No part of the image is left.
    """
    progress = progress or Progress()
    docker.require()
    if is_current(name):
        return name
    debian.require()
    programs = ensure(progress)
    cache = paths.cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    _require_space(cache)
    replaced = [str(image["Id"]) for image in docker.inspect("image", [name])]
    try:
        with tempfile.TemporaryDirectory(prefix="node-image-", dir=cache) as scratch:
            _build(name, programs, Path(scratch), progress)
    except OSError as error:
        raise ClusterError(
            gettext("The node image could not be built"),
            why=str(error),
            fix=gettext("see that {cache} has 3 GB free, then try again").format(cache=cache),
        ) from error
    _remove_nameless(replaced)
    return name


def _require_space(cache: Path) -> None:
    """Refuse to begin what cannot end."""
    free = shutil.disk_usage(cache).free
    if free < _LEAST_FREE:
        raise PreflightError(
            gettext("There is no room for a node image"),
            why=gettext("{cache} has {free:.1f} GB free, and its parts take {least:.0f} GB").format(
                cache=cache, free=free / 1e9, least=_LEAST_FREE / 1e9
            ),
            fix=gettext("see that {cache} has 3 GB free, then try again").format(cache=cache),
        )


def _build(name: str, programs: Components, scratch: Path, progress: Progress) -> None:
    system, tools, java, others = (scratch / f"{part}.tar" for part in ("system", "tools", "java", "servers"))
    with ThreadPoolExecutor() as pool:
        node = pool.submit(_bootstrap_node, system, progress)
        extracts = [
            pool.submit(_extract, "Debian packages of pods", tools, pods.TOOLS, (_MERGED_USR,), progress),
            pool.submit(_extract, "Java", java, pods.JAVA, (_MERGED_USR, pods.JAVA_ALONE), progress),
            pool.submit(
                _extract, "PHP, MariaDB, nginx", others, servers.PACKAGES, (_MERGED_USR, servers.ALONE), progress
            ),
        ]
        for extract in extracts:
            extract.result()
        with progress.phase(gettext("pod images")):
            archive = scratch / "pods.tar"
            digests = oci.write_archive(archive, pods.images(programs, tools, java, others, scratch))
        node.result()
    with progress.phase(gettext("node image")) as phase:
        phase.advance(gettext("adding the Kubernetes programs"))
        _add_programs(system, programs)
        _add_names(system, digests)
        phase.advance(gettext("giving it to Docker"))
        bare = f"{name}-bare"
        change = ["--change", "ENV container=docker KUBECONFIG=/etc/kubernetes/admin.conf"]
        docker.docker("import", *change, str(system), bare, what=gettext("import the node image"), timeout=600)
        try:
            phase.advance(gettext("preloading the pod images"))
            _preload(name, bare, archive)
        finally:
            subprocess.run(["docker", "image", "rm", bare], capture_output=True, check=False)


def _bootstrap_node(target: Path, progress: Progress) -> None:
    masked = " ".join(f'"$1/etc/systemd/system/{unit}"' for unit in _MASKED)
    hooks = [
        f"--customize-hook=for unit in {masked}; do ln -sf /dev/null $unit; done",
        f'--customize-hook=cd "$1" && rm -rf {" ".join(_SUPERFLUOUS)}',
        f'--customize-hook=dpkg --root="$1" --purge {_FOR_USRMERGE}',
        '--customize-hook=rm -f "$1/etc/machine-id" "$1/etc/resolv.conf" "$1/etc/hostname"; : >"$1/etc/machine-id"',
    ]
    with progress.phase(gettext("Debian packages of the node")) as phase:
        debian.bootstrap(target, _PACKAGES, phase, variant="essential", hooks=hooks)


def _extract(what: str, target: Path, packages: tuple[str, ...], hooks: tuple[str, ...], progress: Progress) -> None:
    with progress.phase(what) as phase:
        debian.bootstrap(target, packages, phase, variant="extract", hooks=hooks)


def _remove_nameless(images: list[str]) -> None:
    """Remove images that have lost their only name; those that containers still are of stay."""
    for image in docker.inspect("image", images) if images else []:
        if not image["RepoTags"]:
            subprocess.run(["docker", "image", "rm", image["Id"]], capture_output=True, check=False)


def _add_programs(system: Path, programs: Components) -> None:
    """Append labkit's own files and the Kubernetes programs to the system's tar file."""
    units = "etc/systemd/system"
    scripts = ("entrypoint", "import-images", "kubelet-cgroups", "registry")
    settings = {
        "etc/containerd/config.toml": _text("containerd.toml").replace("@PAUSE@", pods.PAUSE),
        "etc/containerd/certs.d/_default/hosts.toml": _text("hosts.toml"),
        f"{units}/containerd.service": _text("containerd.service"),
        f"{units}/kubelet.service": _text("kubelet.service"),
        f"{units}/kubelet.slice": _text("kubelet.slice"),
        f"{units}/labkit-registry.socket": _text("registry.socket"),
        f"{units}/labkit-registry@.service": _text("registry@.service"),
        "kind/version": pins()["kubernetes"].version,
        "kind/manifests/default-cni.yaml": _network(),
        "kind/manifests/default-storage.yaml": _text("default-storage.yaml"),
    }
    with tarfile.open(system, "a") as archive:
        for folder in ("kind", "kind/manifests", "var/log/labkit", "etc/containerd", "opt/cni", "opt/cni/bin"):
            oci.add_folder(archive, folder, 0o755)
        for program in ("kubeadm", "kubectl", "kubelet", "etcdctl"):
            oci.add_file(archive, programs.program(program), f"usr/bin/{program}")
        for plugin in _PLUGINS:
            oci.add_file(archive, programs.cni_dir / plugin, f"opt/cni/bin/{plugin}")
        oci.add_modules(archive, _ON_NODES)
        for script in scripts:
            oci.add_text(archive, _text(script), f"{_LIB}/{script}", 0o755)
        for place, text in settings.items():
            oci.add_text(archive, text, place, 0o644)
        wanted = ("multi-user.target.wants/containerd.service", "multi-user.target.wants/kubelet.service")
        for link in (*wanted, "sockets.target.wants/labkit-registry.socket"):
            oci.add_link(archive, f"{units}/{link}", f"/{units}/{link.rpartition('/')[2]}")


def _add_names(system: Path, digests: Mapping[str, str]) -> None:
    """Append what the node's registry knows the pod images by: a file per name, with its manifest's digest."""
    with tarfile.open(system, "a") as archive:
        for name, digest in digests.items():
            place = f"usr/local/share/labkit/images/{'/'.join(name.rsplit(':', 1))}"
            oci.add_text(archive, f"{digest.removeprefix('sha256:')}\n", place, 0o644)


def _preload(name: str, bare: str, archive: Path) -> None:
    """Put the pod images into the node image's own containerd, by running it once."""
    container = f"labkit-build-{recipe()}"
    subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=False)
    # What `docker commit` cannot change it takes over from the container: how systemd is told to end (systemd(1)).
    command = ["docker", "run", "--interactive", "--stop-signal", "SIGRTMIN+3"]
    command += ["--name", container, "--network", "none", bare]
    try:
        with archive.open("rb") as images:
            done = subprocess.run(
                [*command, f"/{_LIB}/import-images"], stdin=images, capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            raise ClusterError(gettext("The pod images could not be preloaded"), why=done.stderr.strip()[-1000:])
        changes = [f'ENTRYPOINT ["{_ENTRYPOINT}"]', "CMD []", f"LABEL {RECIPE}={recipe()}"]
        arguments = [part for change in changes for part in ("--change", change)]
        docker.docker("commit", *arguments, container, name, what=gettext("commit the node image"), timeout=600)
    finally:
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=False)


def _network() -> str:
    """Return the network add-on for clusters that kind makes without labkit.

    Kind fills in where the API server is if the manifest has its marker in it (pkg/cluster/internal/create/actions/
    installcni at v0.33.0): as a variable of the first container.
    """
    return f"# would you kindly patch this file\n{network_addon.manifest('https://$(CONTROL_PLANE_ENDPOINT)')}"


def _text(name: str) -> str:
    return (_FILES / name).read_text("utf-8")
