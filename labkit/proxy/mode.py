"""kube-proxy's mode as its ConfigMap has it, and what a mode needs of the kernel.

The ConfigMap kube-system/kube-proxy is kubeadm's (cmd/kubeadm/app/phases/addons/proxy); its key config.conf holds a
KubeProxyConfiguration of kubeproxy.config.k8s.io/v1alpha1, whose field ``mode`` means iptables on Linux where empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast, get_args

import yaml

from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError, PreflightError, UsageError
from labkit.language import gettext
from labkit.node.process import run
from labkit.proxy.model import Mode

MODES: tuple[str, ...] = get_args(Mode)
CONFIG_MAP = "/api/v1/namespaces/kube-system/configmaps/kube-proxy"
_KEY = "config.conf"
_EDIT = "labkit kubectl -- edit configmap kube-proxy --namespace kube-system"
_LINE = re.compile(r"^mode:(?!\S)[^\n]*", re.MULTILINE)
#: What kube-proxy's ipvs mode needs (pkg/proxy/ipvs/README.md).
IPVS_MODULES = ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack")
#: With the first kube-proxy keeps its sets, with the second labkit reads its virtual servers.
IPVS_PROGRAMS = ("ipset", "ipvsadm")


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The ConfigMap of kube-proxy.

    Attributes
    ----------
    resource : dict
        The object as the API server gave it.
    """

    resource: dict[str, Any]

    @property
    def text(self) -> str:
        """The KubeProxyConfiguration as it stands there."""
        return str((self.resource.get("data") or {}).get(_KEY, ""))

    @property
    def line(self) -> str:
        """The line that says the mode.

        Raises
        ------
        ClusterError
            There is none or more than one, or all of it is no YAML.
        """
        try:
            yaml.safe_load(self.text)
        except yaml.MarkedYAMLError as error:
            said = str(error.problem)
            if error.problem_mark:
                said = gettext("line {number}: {said}").format(number=error.problem_mark.line + 1, said=said)
            raise _broken(said) from error
        except yaml.YAMLError as error:
            raise _broken(str(error)) from error
        found = list(_LINE.finditer(self.text))
        if not found:
            raise _broken(gettext("it has no line that begins with mode:"))
        if len(found) > 1:
            numbers = gettext(" and ").join(str(self.text.count("\n", 0, match.start()) + 1) for match in found)
            raise _broken(gettext("lines {numbers} both begin with mode:").format(numbers=numbers))
        return found[0][0]

    @property
    def mode(self) -> Mode:
        """The mode.

        Raises
        ------
        ClusterError
            The configuration is broken, or names a mode that there is not.
        """
        value = yaml.safe_load(self.line)["mode"] or "iptables"
        if value not in MODES:
            number = self.text.count("\n", 0, self.text.index(self.line)) + 1
            what = gettext("line {number}: there is no mode {mode!r}, only {modes}")
            raise _broken(what.format(number=number, mode=value, modes=", ".join(MODES)))
        return cast("Mode", value)

    def with_line(self, line: str) -> dict[str, Any]:
        """Return the object with another line for the mode, and nothing else changed."""
        before, after = _LINE.split(self.text)
        return {**self.resource, "data": {**self.resource["data"], _KEY: f"{before}{line}{after}"}}


def read(api: ApiServer) -> ProxyConfig:
    """Return kube-proxy's ConfigMap.

    Raises
    ------
    ClusterError
        There is none, or the API server does not answer.
    """
    found = api.get(CONFIG_MAP)
    if found is None:
        raise ClusterError(
            gettext("kube-proxy's mode cannot be read"),
            why=gettext("the API server has no ConfigMap kube-system/kube-proxy, or does not answer"),
            fix=gettext("labkit status; what was deleted comes back by: labkit repair"),
        )
    return ProxyConfig(found)


def check(name: str) -> Mode:
    """Return a mode's name as such.

    Raises
    ------
    UsageError
        There is no such mode.
    """
    if name not in MODES:
        raise UsageError(
            gettext("kube-proxy has no mode {name!r}").format(name=name),
            why=gettext("its modes are {modes}").format(modes=", ".join(MODES)),
            fix=gettext("choose one"),
        )
    return cast("Mode", name)


def require_ipvs(cluster: Cluster, node: str) -> None:
    """Make sure that a node's kernel lets kube-proxy use ipvs.

    Raises
    ------
    PreflightError
        It does not: the kernel lacks ip_vs, or the node lives in a user namespace, where the kernel refuses ip_vs to
        everyone (net/netfilter/ipvs/ip_vs_ctl.c asks for CAP_NET_ADMIN in the initial one), or a program is missing.
    """
    programs = "".join(f"command -v {name} >/dev/null || echo {name}; " for name in IPVS_PROGRAMS)
    script = f"cat /proc/self/uid_map; test -e /proc/net/ip_vs || test -d /sys/module/ip_vs || echo ip_vs; {programs}"
    printed = run(
        cluster.node_command(node, ["sh", "-c", f"{script} true"]),
        what=gettext("look at the kernel of {node}").format(node=node),
    )
    identity, *missing = printed.splitlines()
    lacking = {}
    if identity.split() != ["0", "0", "4294967295"]:
        why = gettext("{node} lives in a user namespace, and the kernel gives ip_vs to the initial one alone").format(
            node=node
        )
        lacking[why] = gettext("a lab that root makes: labkit up --privileged")
    if "ip_vs" in missing:
        modprobe = gettext("as root on the machine: modprobe --all {modules}").format(modules=" ".join(IPVS_MODULES))
        lacking[gettext("the kernel has no ip_vs (no /proc/net/ip_vs, no /sys/module/ip_vs)")] = modprobe
    if programs_missing := [name for name in IPVS_PROGRAMS if name in missing]:
        names = " ".join(programs_missing)
        why = gettext("{node} lacks {programs}").format(node=node, programs=names.replace(" ", gettext(" and ")))
        lacking[why] = gettext("as root on the machine: apt-get install {names}").format(names=names)
    if lacking:
        raise PreflightError(
            gettext("kube-proxy cannot use ipvs here; nothing was changed"),
            why="; ".join(lacking),
            fix=gettext("nftables does the same and is its successor. For ipvs: {cures}").format(
                cures="; ".join(lacking.values())
            ),
        )


def _broken(why: str) -> ClusterError:
    return ClusterError(
        gettext("kube-proxy's ConfigMap is broken"),
        why=gettext("key {key}, {why}").format(key=_KEY, why=why),
        fix=_EDIT,
    )
