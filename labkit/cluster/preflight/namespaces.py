"""Needs that the kernel's namespaces and network meet: without them there are no rootless nodes."""

from __future__ import annotations

from labkit.cluster.preflight.check import Finding, Need
from labkit.cluster.preflight.host import Host
from labkit.language import gettext, gettext_noop

_MODULES = "ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh"


def _user_namespaces(host: Host) -> Finding:
    if "namespaces" in host.trial:
        if host.trial["proc"] == "ok":
            return Finding("met", gettext("made one, with its own network, mounts and process ids"))
        fix = gettext(
            "In a container: start it with --security-opt systempaths=unconfined (Docker masks parts of /proc); "
            "in a Pod: procMount: Unmasked."
        )
        return Finding(
            "unmet",
            gettext("one can be made, but /proc cannot be mounted in it: {said}").format(said=host.trial["proc"]),
            fix,
        )
    cause, fix = _why_forbidden(host)
    return Finding("unmet", f"{host.trial['error'] or 'unshare failed silently'}; {cause}", fix)


def _why_forbidden(host: Host) -> tuple[str, str]:
    """Return why no user namespace can be made, and the fix; the causes are those of user_namespaces(7)."""

    def setting(name: str) -> int | None:
        try:
            return host.number(f"proc/sys/{name}")
        except (OSError, ValueError):
            return None

    if not host.has("proc/self/ns/user"):
        return gettext("the kernel has no user namespaces (CONFIG_USER_NS)"), gettext(
            "Use a kernel with CONFIG_USER_NS=y."
        )
    if setting("user/max_user_namespaces") == 0:
        return gettext("user.max_user_namespaces is 0"), host.sysctl("user.max_user_namespaces=15000")
    if setting("kernel/unprivileged_userns_clone") == 0:
        return gettext("kernel.unprivileged_userns_clone is 0"), host.sysctl("kernel.unprivileged_userns_clone=1")
    if setting("kernel/apparmor_restrict_unprivileged_userns") == 1:
        name = "kernel.apparmor_restrict_unprivileged_userns"
        return gettext("{name} is 1 (Ubuntu 23.10 and later)").format(name=name), host.sysctl(f"{name}=0")
    if host.status("Seccomp") == "2":
        cause = gettext("a seccomp filter is on, as in a container whose profile forbids unshare")
        return cause, gettext(
            "Start the container with --security-opt seccomp=unconfined; a Pod with seccompProfile: Unconfined."
        )
    return gettext("no setting of the kernel explains it"), gettext("Look for the denial: dmesg | tail")


def _links(host: Host) -> Finding:
    outcomes = {kind: _tried(host, kind, "ip") for kind in ("bridge", "veth")}
    failed = [f"{kind}: {outcome}" for kind, outcome in outcomes.items() if outcome != "ok"]
    if not failed:
        return Finding("met", gettext("made both inside a network namespace"))
    return Finding("unmet", "; ".join(failed), host.as_root("modprobe -a bridge veth"))


def _tried(host: Host, step: str, program: str = "") -> str:
    """Return a step's outcome; raise `OSError` where it says nothing because something before it is missing."""
    if "namespaces" not in host.trial:
        raise OSError(gettext("no namespaces can be made, so this could not be tried"))
    if program and host.program(program) is None:
        raise OSError(gettext("the program {program} is missing, so this could not be tried").format(program=program))
    if step not in host.trial:
        raise OSError(gettext("the trial ended before it came to this"))
    return host.trial[step]


def _ip_forward(host: Host) -> Finding:
    outcome = _tried(host, "forward")
    if outcome == "ok":
        value = host.read("proc/sys/net/ipv4/ip_forward")
        return Finding(
            "met",
            gettext("can be set in a node's own network namespace; the host's is {value} and stays so").format(
                value=value
            ),
        )
    return Finding(
        "unmet",
        gettext("cannot be set in a network namespace: {outcome}").format(outcome=outcome),
        host.sysctl("net.ipv4.ip_forward=1"),
    )


def _bridge_netfilter(host: Host) -> Finding:
    if _tried(host, "bridge-netfilter") == "ok":
        return Finding("met", gettext("net.bridge.bridge-nf-call-iptables is there in a network namespace"))
    on_host = host.has("proc/sys/net/bridge/bridge-nf-call-iptables")
    found = (
        gettext("there on the host, but not in a network namespace")
        if on_host
        else gettext("br_netfilter is not loaded")
    )
    fix = gettext("Use a kernel of 5.3 or later.") if on_host else host.as_root("modprobe br_netfilter")
    return Finding("unmet", found, fix)


def _iptables(host: Host) -> Finding:
    outcome = _tried(host, "iptables", "iptables")
    if outcome == "ok":
        return Finding("met", gettext("iptables took a NAT rule"))
    load = "modprobe -a nf_tables nft_compat nft_chain_nat xt_conntrack xt_MASQUERADE"
    return Finding("unmet", outcome, host.as_root(load))


def _nftables(host: Host) -> Finding:
    outcome = _tried(host, "nftables", "nft")
    if outcome == "ok":
        return Finding("met", gettext("nft made a table"))
    return Finding("unmet", outcome, host.as_root("modprobe -a nf_tables nft_chain_nat nft_ct nft_masq"))


def _ipvs(host: Host) -> Finding:
    if host.has("proc/net/ip_vs"):
        return Finding(
            "met", gettext("ip_vs is in the kernel; kube-proxy may use it only in a lab made with --privileged")
        )
    release = host.read("proc/sys/kernel/osrelease")
    for index in ("modules.dep", "modules.builtin"):
        name = f"lib/modules/{release}/{index}"
        if host.has(name) and "/ip_vs.ko" in host.read(name):
            return Finding("unmet", gettext("ip_vs is there but not loaded"), host.as_root(f"modprobe -a {_MODULES}"))
    fix = gettext("Use mode nftables (ipvs is deprecated since Kubernetes 1.35), or a kernel with ip_vs.")
    return Finding(
        "unmet", gettext("the kernel {release} has no ip_vs, loaded or to load").format(release=release), fix
    )


def _subordinate_ids(host: Host) -> Finding:
    uid = host.status("Uid").split()[0]
    passwd = (line.split(":") for line in host.read("etc/passwd").splitlines())
    owners = {uid} | {fields[0] for fields in passwd if len(fields) > 2 and fields[2] == uid}
    for name in ("subuid", "subgid"):
        lines = host.read(f"etc/{name}").splitlines() if host.has(f"etc/{name}") else []
        if not any(line.split(":")[0] in owners and int(line.split(":")[2]) >= 65536 for line in lines):
            user = max(owners)  # the name, where there is one: letters sort after digits
            command = f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
            return Finding(
                "unmet",
                gettext("/etc/{name} gives {user} no range of 65536 ids").format(name=name, user=user),
                host.as_root(command),
            )
    return Finding("met", gettext("/etc/subuid and /etc/subgid have a range"))


USER_NAMESPACES = gettext_noop("user namespaces")
NEEDS = (
    Need(
        USER_NAMESPACES,
        "required",
        gettext_noop(
            "kubelet insists on user id 0 and nodes need their own network and mounts; in a user namespace an ordinary "
            "user has both, and only there"
        ),
        _user_namespaces,
    ),
    Need(
        gettext_noop("bridge and veth"),
        "required",
        gettext_noop(
            "each node has one end of a veth pair, the other end is on the lab's bridge; pods are wired the same way"
        ),
        _links,
    ),
    Need(
        "ip_forward",
        "required",
        gettext_noop(
            "a node forwards packets between its pods and the other nodes (kubeadm's preflight asks for it "
            "too); labkit "
            "sets it inside the nodes, so the host's own need not change"
        ),
        _ip_forward,
    ),
    Need(
        gettext_noop("iptables in a network namespace"),
        "required",
        gettext_noop("kube-proxy makes Services out of NAT rules in each node's network namespace"),
        _iptables,
    ),
    Need(
        gettext_noop("nftables in a network namespace"),
        "recommended",
        gettext_noop("kube-proxy's nftables mode, and tracing a packet through the rules of either mode, need it"),
        _nftables,
    ),
    Need(
        gettext_noop("bridge netfilter"),
        "recommended",
        gettext_noop(
            "when a pod reaches a Service and lands on a pod of the same bridge, the answer must pass iptables to be "
            "translated back; without it such answers are lost"
        ),
        _bridge_netfilter,
    ),
    Need(
        gettext_noop("subordinate ids"),
        "recommended",
        gettext_noop(
            "containers that run as another user than root (securityContext.runAsUser) need more ids than your own"
        ),
        _subordinate_ids,
    ),
    Need(
        gettext_noop("ip_vs modules"),
        "only for ipvs",
        gettext_noop("kube-proxy's ipvs mode programs the kernel's own load balancer"),
        _ipvs,
    ),
)
