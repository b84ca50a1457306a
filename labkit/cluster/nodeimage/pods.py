"""The pod images that a node image brings: the same programs that a rootless lab runs, as layers of their own."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from labkit.cluster import network_agent
from labkit.cluster.nodeimage import oci, servers
from labkit.cluster.nodeimage.oci import Image, Layer
from labkit.components import Components, pins

#: What kubeadm of the pinned Kubernetes asks for (kubernetes/cmd/kubeadm/app/constants/constants.go).
PAUSE = "registry.k8s.io/pause:3.10.1"
_ETCD_TAG = "3.6.5-0"
#: The tools that kube-proxy calls, a shell, and Python for the network add-on.
TOOLS = (
    "busybox-static",
    "conntrack",
    "iproute2",
    "ipset",
    "iptables",
    "kmod",
    "libpython3-stdlib",
    "nftables",
    "python3-minimal",
)
JAVA = ("openjdk-17-jre-headless",)
#: What Java's own libraries are linked with (readelf(1)), but for those of fonts, printers, sound and smart cards.
_JAVAS_LIBRARIES = (
    "ld-",
    *(f"lib{name}.so." for name in ("c", "dl", "gcc_s", "m", "pthread", "resolv", "stdc++", "z")),
)
#: Removes the others, by mmdebstrap: Java's package asks for what programs with windows need, and Tomcat has none.
JAVA_ALONE = (
    '--extract-hook=cd "$1/usr/lib" && rm -r ../share/fonts && find *-linux-gnu ! -type d '
    + " ".join(f"! -name '{name}*'" for name in _JAVAS_LIBRARIES)
    + " -delete"
)
_PATH = "/opt/labkit/tomcat/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def images(programs: Components, tools: Path, java: Path, others: Path, folder: Path) -> list[Image]:
    """Return the pod images, packed.

    Parameters
    ----------
    programs : Components
        The Kubernetes programs and Tomcat.
    tools, java, others : Path
        Tar files of the packages `TOOLS`, `JAVA` and `servers.PACKAGES`.
    folder : Path
        Gets the layers.
    """
    packed = _Layers(programs, tools, java, folder)
    kubernetes, version = packed.kubernetes(), pins()["kubernetes"].version
    busybox = packed.busybox()
    debian = (busybox, packed.debian(), packed.iptables())
    control_plane = [
        Image((f"registry.k8s.io/{name}:{version}",), (kubernetes,), {"Entrypoint": [f"/usr/local/bin/{name}"]})
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    ]
    proxy = Image(
        (f"registry.k8s.io/kube-proxy:{version}",),
        (*debian, kubernetes),
        {"Entrypoint": ["/usr/local/bin/kube-proxy"], "Env": ["GOGC=25", f"PATH={_PATH}"]},
    )
    coredns = f"registry.k8s.io/coredns/coredns:v{pins()['coredns'].version}"
    return [
        *control_plane,
        proxy,
        Image((f"registry.k8s.io/etcd:{_ETCD_TAG}",), (packed.etcd(),), {"Entrypoint": ["/usr/local/bin/etcd"]}),
        Image((coredns,), (packed.coredns(),), {"Entrypoint": ["/coredns"], "Env": ["GOGC=25"]}),
        *_small(busybox, packed.standin()),
        Image(
            ("docker.io/labkit/network:v1",),
            (*debian, packed.agent()),
            {"Entrypoint": ["python3"], "Env": [f"PATH={_PATH}"]},
        ),
        Image(
            ("docker.io/library/tomcat:latest", "docker.io/library/tomcat8:latest"),
            (busybox, packed.java(), packed.tomcat()),
            _tomcat(),
        ),
        *servers.images(debian, others, tools, _PATH, folder),
    ]


def _small(busybox: Layer, standin: Layer) -> list[Image]:
    """Return the images that are busybox and a script at most."""
    return [
        Image((PAUSE,), (busybox,), {"Entrypoint": ["/bin/sleep", "infinity"]}),
        Image(("docker.io/library/busybox:latest",), (busybox,), {"Cmd": ["sh"], "Env": [f"PATH={_PATH}"]}),
        Image(
            ("docker.io/labkit/standin:latest",),
            (busybox, standin),
            {"Entrypoint": ["/bin/sh", "/entrypoint"], "Env": [f"PATH={_PATH}"], "ExposedPorts": {"8080/tcp": {}}},
        ),
    ]


def _tomcat() -> dict[str, object]:
    return {
        "Entrypoint": ["/usr/local/bin/entrypoint"],
        "Cmd": ["catalina.sh", "run"],
        "WorkingDir": "/usr/local/tomcat",
        "ExposedPorts": {"8080/tcp": {}},
        "Env": [
            f"PATH={_PATH}",
            "JRE_HOME=/opt/labkit/java",
            "CATALINA_HOME=/opt/labkit/tomcat",
            "CATALINA_BASE=/usr/local/tomcat",
            "MALLOC_ARENA_MAX=1",
            "JAVA_OPTS=-Xms8m -Xmx32m -Xmn3m -Xss256k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "
            "-XX:ReservedCodeCacheSize=16m -XX:-UsePerfData",
        ],
    }


def _entrypoint(name: str) -> str:
    """Return a rootless image's script, told by the container itself what the rootless runtime tells it."""
    script = (servers.ENTRYPOINTS / name).read_text("utf-8")
    known = "export LABKIT_POD=$(hostname) LABKIT_IP=$(hostname -i) LABKIT_NODE='(kubectl get pods -o wide)'"
    return script.replace("#!/bin/sh\n", f"#!/bin/sh\n{known}\n", 1)


class _Layers:
    """The layers, each packed once."""

    def __init__(self, programs: Components, tools: Path, java: Path, folder: Path) -> None:
        self._programs, self._tools, self._java, self._folder = programs, tools, java, folder

    def kubernetes(self) -> Layer:
        """Return one file under all the names of the control plane's programs and kube-proxy."""
        names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
        return self._programs_in("kubernetes", {name: f"usr/local/bin/{name}" for name in names})

    def etcd(self) -> Layer:
        """Return etcd; its client is on the node."""
        return self._programs_in("etcd", {"etcd": "usr/local/bin/etcd"}, level=oci.SMALLEST)

    def coredns(self) -> Layer:
        """Return CoreDNS."""
        return self._programs_in("coredns", {"coredns": "coredns"}, level=oci.SMALLEST)

    def debian(self) -> Layer:
        """Return the tools, as Debian has them."""
        return oci.pack_tar(self._folder / "debian.tar.zst", self._tools)

    def iptables(self) -> Layer:
        """Return the names of iptables, which Debian's package gives only when it is configured."""

        def add(archive: tarfile.TarFile) -> None:
            for name in ("iptables", "ip6tables"):
                for part in ("", "-save", "-restore"):
                    oci.add_link(archive, f"usr/sbin/{name}{part}", "xtables-nft-multi")

        return self._pack("iptables", add)

    def java(self) -> Layer:
        """Return Java, as Debian has it."""
        return oci.pack_tar(self._folder / "java.tar.zst", self._java)

    def busybox(self) -> Layer:
        """Return busybox under all its names: a shell for the layers above, whose own programs win."""
        program = self._folder / "busybox"
        with tarfile.open(self._tools) as tools:
            member = next(each for each in tools if each.name.endswith("bin/busybox"))
            found = tools.extractfile(member)
            assert found is not None, "Debian's busybox is a file"  # noqa: S101
            program.write_bytes(found.read())
        program.chmod(0o755)
        listing = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)

        def add(archive: tarfile.TarFile) -> None:
            oci.add_folder(archive, "tmp", 0o1777)
            for name in ("bin", "sbin"):
                oci.add_link(archive, name, f"usr/{name}")
            oci.add_file(archive, program, "usr/bin/busybox")
            for name in listing.stdout.split():
                if name != "busybox":
                    oci.add_link(archive, f"usr/bin/{name}", "busybox")

        return self._pack("busybox", add)

    def agent(self) -> Layer:
        """Return the network add-on's program, alone in its package."""
        return self._pack("agent", lambda archive: oci.add_modules(archive, [network_agent]))

    def tomcat(self) -> Layer:
        """Return Apache Tomcat with the script that starts it, and what that needs of a shell."""

        def add(archive: tarfile.TarFile) -> None:
            oci.add_file(archive, self._programs.tomcat, "opt/labkit/tomcat")
            oci.add_text(archive, _entrypoint("tomcat.sh"), "usr/local/bin/entrypoint")
            architecture = oci.architecture()
            oci.add_link(archive, "opt/labkit/java", f"/usr/lib/jvm/java-17-openjdk-{architecture}")

        return self._pack("tomcat", add)

    def standin(self) -> Layer:
        """Return the web server for quick tries."""

        def add(archive: tarfile.TarFile) -> None:
            oci.add_folder(archive, "www", 0o755)
            oci.add_text(archive, _entrypoint("standin.sh"), "entrypoint")

        return self._pack("standin", add)

    def _programs_in(self, name: str, places: dict[str, str], *, level: int = oci.USUAL) -> Layer:
        def add(archive: tarfile.TarFile) -> None:
            for program, place in places.items():
                oci.add_file(archive, self._programs.program(program), place)

        return self._pack(name, add, level=level)

    def _pack(self, name: str, add: Callable[[tarfile.TarFile], None], *, level: int = oci.USUAL) -> Layer:
        return oci.pack(self._folder / f"{name}.tar.zst", add, level=level)
