"""Needs that the machine and its settings meet: kernel, memory, disk, limits, and what the textbook changes."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import time
from pathlib import Path

from labkit.cluster.preflight.check import Finding, Need
from labkit.cluster.preflight.host import Host

MIB = 1024**2
MEMORY_NEEDED = 1024 * MIB  # a lab of three nodes with one Tomcat takes 750 MB; the rest is headroom to start
SMALL_MEMORY_NEEDED = 704 * MIB  # as above for a small lab, which takes 640 MB
DISK_NEEDED = 1024 * MIB
PROCESSORS_NEEDED = 2  # kubeadm's ControlPlaneNumCPU (cmd/kubeadm/app/constants)
INOTIFY_NEEDED = {"max_user_instances": 128, "max_user_watches": 8192}  # the kernel's usual defaults, enough for a lab
NETLINK_NEEDED = 212992  # the kernel's usual net.core.wmem_default
#: Bytes that kube-proxy hands to the kernel, by its mode, for a Service of one endpoint; measured, and rounded up.
RULE_BYTES = {"iptables": 4300, "nftables": 2200}
RELEASED = 1765238400  # 2025-12-09, when Kubernetes v1.34.3 was released: no right clock is earlier
# RFC 1123 section 2.1, as Kubernetes restricts it to lower case for node names (apimachinery, IsDNS1123Subdomain).
_HOSTNAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")


def node_name(name: str) -> bool:
    """Whether a node may be called so (RFC 1123 subdomain, as validation.IsDNS1123Subdomain has it)."""
    return len(name) <= 253 and _HOSTNAME.fullmatch(name) is not None


def _linux(host: Host) -> Finding:
    other = platform.system()
    if other == "Linux":
        kernel, release = host.read("proc/sys/kernel/ostype"), host.read("proc/sys/kernel/osrelease")
        if kernel == "Linux":
            return Finding("met", f"Linux {release}")
        other = kernel
    fix = "Use a Linux machine, a virtual one, or WSL 2 on Windows."
    if other == "Darwin":
        fix = "Use Docker Desktop, and labkit up --provider kind; or a Linux machine, a virtual one too."
    return Finding("unmet", other, fix)


def _architecture(_host: Host) -> Finding:
    machine = os.uname().machine
    if machine in {"x86_64", "aarch64"}:
        return Finding("met", machine)
    return Finding("unmet", machine, "Use a machine with x86_64 or aarch64.")


def _memory(host: Host) -> Finding:
    fields = dict(line.split(":", 1) for line in host.read("proc/meminfo").splitlines())
    free = int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else 0
    if not free:
        raise ValueError("/proc/meminfo has no MemAvailable")
    found = f"{free // MIB} MiB available"
    room, ended = _cgroup_room(host)
    if room is not None and room < free:
        free, found = room, f"{room // MIB} MiB left below the control group's limit"
        found += f"; processes ended at that limit so far: {ended}" if ended else ""
    needed = SMALL_MEMORY_NEEDED if host.small else MEMORY_NEEDED
    if free >= needed:
        return Finding("met", found)
    smaller = "; or make a small lab: labkit up --small" if free >= SMALL_MEMORY_NEEDED else ""
    more = f"Free {(needed - free) // MIB + 1} MiB, or give the machine more memory{smaller}."
    return Finding("unmet", found, more)


def _cgroup_room(host: Host) -> tuple[int | None, int]:
    """Return how many bytes the caller's control groups leave (cgroups(7), v2 and v1), None if unlimited.

    Pages of files that nobody has used lately count as left, as they do for the kubelet (cadvisor's working set). With
    it, how many processes the kernel ended because there was none left.
    """
    rooms = []
    for line in host.read("proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers not in {"", "memory"}:
            continue
        base, limit, used, idle, events = (
            ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file", "memory.events")
            if controllers == ""
            else (
                "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
                "memory.oom_control",
            )
        )
        # A container may see its own group as the root of the mount, so the parents are looked at too.
        for folder in (Path(group.lstrip("/")), *Path(group.lstrip("/")).parents):
            place = f"{base}/{folder}"
            if host.has(f"{place}/{limit}") and host.read(f"{place}/{limit}") != "max":
                pages = dict(line.split() for line in host.read(f"{place}/memory.stat").splitlines())
                room = host.number(f"{place}/{limit}") - host.number(f"{place}/{used}") + int(pages[idle])
                ended = re.search(r"^oom_kill (\d+)", host.read(f"{place}/{events}"), re.MULTILINE)
                rooms.append((max(0, room), int(ended[1]) if ended else 0))
    return min(rooms, default=(None, 0))


def _disk(host: Host) -> Finding:
    folder = next(parent for parent in (host.state, *host.state.parents) if parent.exists())
    if not os.access(folder, os.W_OK | os.X_OK) or not folder.is_dir():
        return Finding("unmet", f"{folder} cannot be written", "Set LABKIT_STATE to a folder of yours.")
    free = shutil.disk_usage(folder).free
    if free >= DISK_NEEDED:
        home = Path.home()
        shown = f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else folder
        return Finding("met", f"{free // MIB} MiB free in {shown}")
    fix = f"Free {(DISK_NEEDED - free) // MIB + 1} MiB there, or set LABKIT_STATE to a folder on a larger disk."
    return Finding("unmet", f"{free // MIB} MiB free in {folder}", fix)


def _processors(host: Host) -> Finding:
    count = 0
    for span in host.status("Cpus_allowed_list").split(","):
        first, _, last = span.partition("-")
        count += int(last or first) - int(first) + 1
    if count >= PROCESSORS_NEEDED:
        return Finding("met", f"{count} processors")
    return Finding("unmet", f"{count} processor", "Give the machine a second processor; a lab is slow on one.")


def _inotify(host: Host) -> Finding:
    values = {name: host.number(f"proc/sys/fs/inotify/{name}") for name in INOTIFY_NEEDED}
    found = ", ".join(f"{name} {value}" for name, value in values.items())
    low = [f"fs.inotify.{name}={INOTIFY_NEEDED[name] * 4}" for name in values if values[name] < INOTIFY_NEEDED[name]]
    return Finding("unmet", found, host.sysctl(" ".join(low))) if low else Finding("met", found)


def _netlink(host: Host) -> Finding:
    length = host.number("proc/sys/net/core/wmem_default")
    room = ", ".join(f"{length // each} Services ({mode})" for mode, each in RULE_BYTES.items())
    found = f"net.core.wmem_default {length}: the rules of about {room}"
    if length < NETLINK_NEEDED:
        return Finding("unmet", found, host.sysctl(f"net.core.wmem_default={NETLINK_NEEDED}"))
    return Finding("met", found)


def _swap(host: Host) -> Finding:
    areas = host.read("proc/swaps").splitlines()[1:]
    if not areas:
        return Finding("met", "no swap")
    names = ", ".join(line.split()[0] for line in areas)
    return Finding("not needed", f"swap is on ({names}); the lab's kubelets run with failSwapOn: false")


def _security_modules(host: Host) -> Finding:
    found = []
    if host.has("sys/fs/selinux/enforce"):
        found.append("SELinux is enforcing" if host.read("sys/fs/selinux/enforce") == "1" else "SELinux is permissive")
    if host.has("sys/module/apparmor/parameters/enabled"):
        on = host.read("sys/module/apparmor/parameters/enabled") == "Y"
        found.append("AppArmor is on" if on else "AppArmor is off")
    text = " and ".join(found) if found else "neither is on"
    if "SELinux is enforcing" not in found and "AppArmor is on" not in found:
        return Finding("met", text)
    return Finding("not needed", f"{text}; it may stay so: user namespaces and /proc were tried under it")


def _cgroups(host: Host) -> Finding:
    groups = host.read("proc/self/cgroup").splitlines()
    if any(line.split(":", 2)[1] for line in groups):
        return Finding("not needed", "version 1 (or both); kubelet v1.34 still runs on it")
    return Finding("met", "version 2") if groups else Finding("unknown", "no control group is listed")


def _ports(_host: Host) -> Finding:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            return Finding("met", f"127.0.0.1 gave port {listener.getsockname()[1]} when asked for any")
    except OSError as error:
        return Finding("unmet", f"127.0.0.1 gave no port: {error}", "ip link set lo up, or end what takes the ports.")


def _ipv6(host: Host) -> Finding:
    name = "proc/sys/net/ipv6/conf/all/disable_ipv6"
    off = not host.has(name) or host.number(name) == 1
    return Finding("met", "off") if off else Finding("not needed", "on; the lab's own networks are IPv4 all the same")


def _hostname(host: Host) -> Finding:
    name = host.read("proc/sys/kernel/hostname")
    if node_name(name):
        return Finding("met", name)
    return Finding("not needed", f"{name!r} could not name a node; the lab's nodes have names of their own")


def _clock(_host: Host) -> Finding:
    now = time.time()
    found = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now >= RELEASED:
        return Finding("met", found)
    return Finding("unmet", f"{found}, before Kubernetes v1.34.3 was made", "Set the clock: sudo date -s …")


LINUX = Need("Linux", "required", "containers are made of Linux' namespaces; nothing else has them", _linux)
NEEDS = (
    LINUX,
    Need("architecture", "required", "the pinned programs are made for x86_64 and aarch64", _architecture),
    Need(
        "memory",
        "required",
        "etcd, the API server and three kubelets take about 600 MB; too little and the kernel kills one of them",
        _memory,
    ),
    Need(
        "disk",
        "required",
        "etcd stops on a full disk, and a node's files, logs and the cluster's audit log are in the state folder",
        _disk,
    ),
    Need(
        "processors",
        "recommended",
        f"kubeadm asks for {PROCESSORS_NEEDED}: a control plane that waits for its turn misses its own deadlines",
        _processors,
    ),
    Need(
        "inotify limits",
        "recommended",
        "kubelets and kube-proxies watch manifests, certificates and ConfigMaps by inotify; when it runs out, changes "
        "go unnoticed ('too many open files')",
        _inotify,
    ),
    Need(
        "ports on loopback",
        "required",
        "you reach the lab's API server through a port of 127.0.0.1; the textbook's 6443, 2379 and 10250 are inside "
        "the nodes, where nothing else can take them",
        _ports,
    ),
    Need(
        "netlink messages",
        "recommended",
        "kube-proxy hands all rules of a node to the kernel in one message; in a user namespace it may be as long as "
        "net.core.wmem_default says (only root may have longer ones: labkit up --privileged)",
        _netlink,
    ),
    Need(
        "swap",
        "recommended",
        "the textbook turns swap off: the scheduler counts memory that is real, and kubelet refuses to start with swap "
        "unless failSwapOn is false",
        _swap,
    ),
    Need(
        "SELinux and AppArmor",
        "recommended",
        "the textbook turns SELinux off, because containers read host folders that have no label for them; a lab's "
        "nodes run as your own processes",
        _security_modules,
    ),
    Need(
        "control groups",
        "recommended",
        "kubelet limits pods' memory and processors by control groups (version 2 from Kubernetes 1.35 on); a lab's "
        "nodes have none and enforce no limits",
        _cgroups,
    ),
    Need(
        "IPv6",
        "recommended",
        "the textbook turns IPv6 off, so that nodes do not register an address of a family the cluster does not use",
        _ipv6,
    ),
    Need(
        "host name",
        "recommended",
        "the textbook sets it first: kubeadm makes it the node's name, and certificates bear it",
        _hostname,
    ),
    Need(
        "clock",
        "recommended",
        "certificates and tokens are valid from one time to another; by a wrong clock downloads and joins fail",
        _clock,
    ),
)
