"""One run of a virtual machine: the host's own files, read-only, under a kernel of ours; no root is needed.

QEMU by software emulation (TCG): about ten times as slow as the host, and it works everywhere. Writes go to the
machine's memory, all but those to the folder of the run.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from labkit.errors import ClusterError, PreflightError
from tests.vm import kernel

_INIT = Path(__file__).with_name("init.sh")
_PROGRAMS = ("qemu-system-x86_64", "busybox", "dpkg-deb", "depmod", "modprobe")
_FIRST_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
#: Where the virtual machine finds a port of the host, in QEMU's own network (qemu(1), -netdev user, guestfwd).
HOST = ("10.0.2.100", 6443)
ADDRESS = "10.0.2.15/24"
#: What kube-proxy's modes, bridges between namespaces, and conntrack need.
_MODULES = (
    *("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack", "nf_conntrack_netlink", "xt_set", "xt_ipvs"),
    *("ip_set_hash_ipport", "ip_set_hash_ipportip", "ip_set_hash_ipportnet", "ip_set_hash_ip", "ip_set_bitmap_port"),
    *(
        "nf_tables",
        "nft_compat",
        "nft_chain_nat",
        "nft_numgen",
        "nft_masq",
        "nft_ct",
        "nft_reject_ipv4",
        "nft_fib_ipv4",
    ),
    *("ip_tables", "iptable_nat", "iptable_filter", "iptable_mangle", "ip6table_filter", "ip6table_nat"),
    *("xt_comment", "xt_mark", "xt_MASQUERADE", "xt_addrtype", "xt_conntrack", "xt_statistic", "xt_recent", "xt_nat"),
    *(
        "xt_physdev",
        "xt_REDIRECT",
        "xt_LOG",
        "dummy",
        "bridge",
        "br_netfilter",
        "veth",
        "nfnetlink",
        "tun",
        "virtio_net",
    ),
)
_TAIL = 40  # lines of the console in an error


def run(
    job: Sequence[str],
    folder: Path,
    *,
    seconds: float,
    megabytes: int,
    environment: Mapping[str, str],
    port: int | None = None,
) -> str:
    """Boot, run a program as root, and switch off.

    Parameters
    ----------
    job : sequence of str
        The program and its arguments; its files are where the host has them.
    folder : Path
        What the program finds, and may write to, as ``/vm``. ``console.txt`` will be what the machine said.
    seconds : float
        How long it may take.
    megabytes : int
        Of memory; what is written goes there, too.
    environment : mapping of str to str
        Of the program.
    port : int, optional
        One of the host's loopback address that its network, and nothing else of the host, leads to at `HOST`; without
        it, the machine has no network.

    Returns
    -------
    str
        What the machine said.

    Raises
    ------
    PreflightError
        A program is missing, or there is no kernel.
    ClusterError
        The program failed, or was not done in time; with the end of what the machine said.
    """
    _require()
    debian = kernel.ensure()
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    (folder / "job.sh").write_text(
        f"{exports}modprobe --all {' '.join(_MODULES)}\nip link set lo up\nulimit -n 1048576\n"
        f"{shlex.join(job)} </dev/null\necho $? >/vm/exit\nsync\nbusybox reboot -f\n"
    )
    (folder / "exit").unlink(missing_ok=True)
    console = folder / "console.txt"
    with tempfile.TemporaryDirectory() as part, console.open("wb") as output:
        first = _initramfs(debian, Path(part))
        command = _command(debian, first, folder, megabytes) + _network(port)
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=seconds, check=True)
        except subprocess.TimeoutExpired as error:
            raise _failed(f"after {seconds:.0f} s it was not done", console) from error
        except subprocess.CalledProcessError as error:
            raise _failed(f"QEMU ended with {error.returncode}", console) from error
    status = (folder / "exit").read_text().strip() if (folder / "exit").exists() else "nothing"
    if status != "0":
        raise _failed(f"the program ended with {status}", console)
    return console.read_text(errors="replace")


def _require() -> None:
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise PreflightError(
            "The virtual machine cannot run",
            why=f"missing: {', '.join(missing)}",
            fix="make setup-test, or as root: apt-get install --no-install-recommends "
            "qemu-system-x86 busybox-static kmod ipvsadm ipset",
        )


def _initramfs(debian: kernel.Kernel, part: Path) -> Path:
    """Make the first file system: busybox, the script, and the modules that lead to the host's files."""
    tree = part / "tree"
    modules = debian.files_of(_FIRST_MODULES)
    for name in ("bin", "dev", "modules"):
        (tree / name).mkdir(parents=True)
    for module in modules:
        shutil.copy(module, tree / "modules")
    (tree / "modules" / "order").write_text("".join(f"{module.name}\n" for module in modules))
    shutil.copy(str(shutil.which("busybox")), tree / "bin" / "busybox")
    shutil.copy(_INIT, tree / "init")
    (tree / "init").chmod(0o755)
    names = "".join(f"{path.relative_to(tree)}\n" for path in sorted(tree.rglob("*")))
    packed = subprocess.run(
        ["busybox", "cpio", "-o", "-H", "newc"], cwd=tree, input=names.encode(), capture_output=True, check=True
    )
    file = part / "initramfs"
    file.write_bytes(packed.stdout)
    return file


def _command(debian: kernel.Kernel, first: Path, folder: Path, megabytes: int) -> list[str]:
    shares = {"host": "/", "modules": str(debian.root / "lib" / "modules"), "vm": str(folder)}
    options = [
        f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap{'' if tag == 'vm' else ',readonly=on'}"
        for tag, path in shares.items()
    ]
    return [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(megabytes)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-kernel", str(debian.image), "-initrd", str(first)),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off cgroup_no_v1=all"),
        *(word for option in options for word in ("-virtfs", option)),
    ]


def _network(port: int | None) -> list[str]:
    if port is None:
        return []
    # A command for each connection; a socket of QEMU's own would be one for all.
    lead = f"guestfwd=tcp:{HOST[0]}:{HOST[1]}-cmd:{shutil.which('busybox')} nc 127.0.0.1 {port}"
    return ["-netdev", f"user,id=host,restrict=on,{lead}", "-device", "virtio-net-pci,netdev=host"]


def _failed(why: str, console: Path) -> ClusterError:
    tail = "\n".join(console.read_text(errors="replace").splitlines()[-_TAIL:])
    return ClusterError("The virtual machine did not do its job", why=f"{why}; its console ends with:\n{tail}")
