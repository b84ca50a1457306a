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
from labkit.language import gettext, gettext_noop

MIB = 1024**2
MEMORY_NEEDED = 1024 * MIB  # a lab of three nodes with one Tomcat takes 750 MB; the rest is headroom to start
SMALL_MEMORY_NEEDED = 704 * MIB  # as above for a small lab, which takes 640 MB
DISK_NEEDED = 1024 * MIB
PROCESSORS_NEEDED = 2  # kubeadm's ControlPlaneNumCPU (cmd/kubeadm/app/constants)
INOTIFY_INSTANCES_NEEDED = 40  # a lab of three nodes has 35, 19 of them its kubelets'
INOTIFY_WATCHES_NEEDED = 8192  # the kernel's usual default
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
            return Finding("met", gettext("Linux {release}").format(release=release))
        other = kernel
    fix = gettext("Use a Linux machine, a virtual one, or WSL 2 on Windows.")
    if other == "Darwin":
        fix = gettext("Use Docker Desktop, and labkit up --provider kind; or a Linux machine, a virtual one too.")
    return Finding("unmet", other, fix)


def _architecture(_host: Host) -> Finding:
    machine = os.uname().machine
    if machine in {"x86_64", "aarch64"}:
        return Finding("met", machine)
    return Finding("unmet", machine, gettext("Use a machine with x86_64 or aarch64."))


def _memory(host: Host) -> Finding:
    fields = dict(line.split(":", 1) for line in host.read("proc/meminfo").splitlines())
    free = int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else 0
    if not free:
        raise ValueError(gettext("/proc/meminfo has no MemAvailable"))
    found = gettext("{free} MiB available").format(free=free // MIB)
    room, ended = _cgroup_room(host)
    if room is not None and room < free:
        free, found = room, gettext("{room} MiB left below the control group's limit").format(room=room // MIB)
        if ended:
            found += gettext("; processes ended at that limit so far: {count}").format(count=ended)
    needed = SMALL_MEMORY_NEEDED if host.small else MEMORY_NEEDED
    if free >= needed:
        return Finding("met", found)
    smaller = gettext("; or make a small lab: labkit up --small") if free >= SMALL_MEMORY_NEEDED else ""
    more = gettext("Free {more} MiB, or give the machine more memory{smaller}.").format(
        more=(needed - free) // MIB + 1, smaller=smaller
    )
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
        return Finding(
            "unmet",
            gettext("{folder} cannot be written").format(folder=folder),
            gettext("Set LABKIT_STATE to a folder of yours."),
        )
    free = shutil.disk_usage(folder).free
    if free >= DISK_NEEDED:
        home = Path.home()
        shown = f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else folder
        return Finding("met", gettext("{free} MiB free in {shown}").format(free=free // MIB, shown=shown))
    fix = gettext("Free {more} MiB there, or set LABKIT_STATE to a folder on a larger disk.").format(
        more=(DISK_NEEDED - free) // MIB + 1
    )
    return Finding("unmet", gettext("{free} MiB free in {folder}").format(free=free // MIB, folder=folder), fix)


def _processors(host: Host) -> Finding:
    count = 0
    for span in host.status("Cpus_allowed_list").split(","):
        first, _, last = span.partition("-")
        count += int(last or first) - int(first) + 1
    if count >= PROCESSORS_NEEDED:
        return Finding("met", gettext("{count} processors").format(count=count))
    return Finding(
        "unmet",
        gettext("{count} processor").format(count=count),
        gettext("Give the machine a second processor; a lab is slow on one."),
    )


def _inotify(host: Host) -> Finding:
    most, watches = (host.number(f"proc/sys/fs/inotify/max_user_{name}") for name in ("instances", "watches"))
    used = host.inotify_instances()
    found = gettext("max_user_instances {most}, {used} of them in use; max_user_watches {watches}").format(
        most=most, used=used, watches=watches
    )
    raised = []
    if most - used < INOTIFY_INSTANCES_NEEDED:
        raised.append(f"fs.inotify.max_user_instances={4 * max(128, most)}")
    if watches < INOTIFY_WATCHES_NEEDED:
        raised.append(f"fs.inotify.max_user_watches={4 * INOTIFY_WATCHES_NEEDED}")
    return Finding("unmet", found, host.sysctl(" ".join(raised))) if raised else Finding("met", found)


def _netlink(host: Host) -> Finding:
    length = host.number("proc/sys/net/core/wmem_default")
    each_mode = gettext("{count} Services ({mode})")
    room = ", ".join(each_mode.format(count=length // each, mode=mode) for mode, each in RULE_BYTES.items())
    found = gettext("net.core.wmem_default {length}: the rules of about {room}").format(length=length, room=room)
    if length < NETLINK_NEEDED:
        return Finding("unmet", found, host.sysctl(f"net.core.wmem_default={NETLINK_NEEDED}"))
    return Finding("met", found)


def _swap(host: Host) -> Finding:
    areas = host.read("proc/swaps").splitlines()[1:]
    if not areas:
        return Finding("met", gettext("no swap"))
    names = ", ".join(line.split()[0] for line in areas)
    return Finding(
        "not needed", gettext("swap is on ({names}); the lab's kubelets run with failSwapOn: false").format(names=names)
    )


def _security_modules(host: Host) -> Finding:
    found, active = [], False
    if host.has("sys/fs/selinux/enforce"):
        active = host.read("sys/fs/selinux/enforce") == "1"
        found.append(gettext("SELinux is enforcing") if active else gettext("SELinux is permissive"))
    if host.has("sys/module/apparmor/parameters/enabled"):
        on = host.read("sys/module/apparmor/parameters/enabled") == "Y"
        found.append(gettext("AppArmor is on") if on else gettext("AppArmor is off"))
        active = active or on
    text = gettext(" and ").join(found) if found else gettext("neither is on")
    if not active:
        return Finding("met", text)
    return Finding(
        "not needed", gettext("{text}; it may stay so: user namespaces and /proc were tried under it").format(text=text)
    )


def _cgroups(host: Host) -> Finding:
    groups = host.read("proc/self/cgroup").splitlines()
    if any(line.split(":", 2)[1] for line in groups):
        return Finding("not needed", gettext("version 1 (or both); kubelet v1.34 still runs on it"))
    return Finding("met", gettext("version 2")) if groups else Finding("unknown", gettext("no control group is listed"))


def _ports(_host: Host) -> Finding:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            return Finding(
                "met", gettext("127.0.0.1 gave port {port} when asked for any").format(port=listener.getsockname()[1])
            )
    except OSError as error:
        return Finding(
            "unmet",
            gettext("127.0.0.1 gave no port: {error}").format(error=error),
            gettext("ip link set lo up, or end what takes the ports."),
        )


def _ipv6(host: Host) -> Finding:
    name = "proc/sys/net/ipv6/conf/all/disable_ipv6"
    off = not host.has(name) or host.number(name) == 1
    return (
        Finding("met", gettext("off"))
        if off
        else Finding("not needed", gettext("on; the lab's own networks are IPv4 all the same"))
    )


def _hostname(host: Host) -> Finding:
    name = host.read("proc/sys/kernel/hostname")
    if node_name(name):
        return Finding("met", name)
    return Finding(
        "not needed",
        gettext("{name!r} could not name a node; the lab's nodes have names of their own").format(name=name),
    )


def _clock(_host: Host) -> Finding:
    now = time.time()
    found = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now >= RELEASED:
        return Finding("met", found)
    return Finding(
        "unmet",
        gettext("{found}, before Kubernetes v1.34.3 was made").format(found=found),
        gettext("Set the clock: sudo date -s …"),
    )


LINUX = Need(
    "Linux", "required", gettext_noop("containers are made of Linux' namespaces; nothing else has them"), _linux
)
NEEDS = (
    LINUX,
    Need(
        gettext_noop("architecture"),
        "required",
        gettext_noop("the pinned programs are made for x86_64 and aarch64"),
        _architecture,
    ),
    Need(
        gettext_noop("memory"),
        "required",
        gettext_noop(
            "etcd, the API server and three kubelets take about 600 MB; too little and the kernel kills one of them"
        ),
        _memory,
    ),
    Need(
        gettext_noop("disk"),
        "required",
        gettext_noop(
            "etcd stops on a full disk, and a node's files, logs and the cluster's audit log are in the state folder"
        ),
        _disk,
    ),
    Need(
        gettext_noop("processors"),
        "recommended",
        gettext_noop("kubeadm asks for 2: a control plane that waits for its turn misses its own deadlines"),
        _processors,
    ),
    Need(
        gettext_noop("inotify limits"),
        "required",
        gettext_noop(
            "kubelets and kube-proxies watch manifests, certificates and ConfigMaps by inotify; when it "
            "runs out, as with several labs of one user, they end at once ('too many open files')"
        ),
        _inotify,
    ),
    Need(
        gettext_noop("ports on loopback"),
        "required",
        gettext_noop(
            "you reach the lab's API server through a port of 127.0.0.1; the textbook's 6443, 2379 and "
            "10250 are inside "
            "the nodes, where nothing else can take them"
        ),
        _ports,
    ),
    Need(
        gettext_noop("netlink messages"),
        "recommended",
        gettext_noop(
            "kube-proxy hands all rules of a node to the kernel in one message; in a user namespace it may "
            "be as long as "
            "net.core.wmem_default says (only root may have longer ones: labkit up --privileged)"
        ),
        _netlink,
    ),
    Need(
        "swap",
        "recommended",
        gettext_noop(
            "the textbook turns swap off: the scheduler counts memory that is real, and kubelet refuses to "
            "start with swap "
            "unless failSwapOn is false"
        ),
        _swap,
    ),
    Need(
        gettext_noop("SELinux and AppArmor"),
        "recommended",
        gettext_noop(
            "the textbook turns SELinux off, because containers read host folders that have no label for them; a lab's "
            "nodes run as your own processes"
        ),
        _security_modules,
    ),
    Need(
        gettext_noop("control groups"),
        "recommended",
        gettext_noop(
            "kubelet limits pods' memory and processors by control groups (version 2 from Kubernetes 1.35 on); a lab's "
            "nodes have none and enforce no limits"
        ),
        _cgroups,
    ),
    Need(
        "IPv6",
        "recommended",
        gettext_noop(
            "the textbook turns IPv6 off, so that nodes do not register an address of a family the cluster does not use"
        ),
        _ipv6,
    ),
    Need(
        gettext_noop("host name"),
        "recommended",
        gettext_noop("the textbook sets it first: kubeadm makes it the node's name, and certificates bear it"),
        _hostname,
    ),
    Need(
        gettext_noop("clock"),
        "recommended",
        gettext_noop(
            "certificates and tokens are valid from one time to another; by a wrong clock downloads and joins fail"
        ),
        _clock,
    ),
)
