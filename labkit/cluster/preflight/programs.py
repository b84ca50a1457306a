"""Programs of the machine that labs run, each with the Debian package that has it."""

from __future__ import annotations

import functools
import re

from labkit.cluster.preflight.check import Finding, Level, Need
from labkit.cluster.preflight.host import Host
from labkit.language import gettext, gettext_noop

JAVA_NEEDED = 11  # Apache Tomcat 10.1's minimum (tomcat.apache.org/whichversion.html)
BUBBLEWRAP_NEEDED = (0, 5)  # where --chmod and --size came; Debian 12 has 0.8


def _program(host: Host, *, name: str, package: str) -> Finding:
    place = host.program(name)
    if place is None:
        return Finding("unmet", gettext("not found in PATH or the sbin folders"), host.install(package, name))
    return Finding("met", place)


def _bubblewrap(host: Host) -> Finding:
    found = _program(host, name="bwrap", package="bubblewrap")
    if found.status != "met":
        return found
    version = re.search(r"(\d+)\.(\d+)\S*", host.output(found.found, "--version"))
    if version is None:
        return Finding("unknown", gettext("{found} does not tell its version").format(found=found.found))
    if (int(version[1]), int(version[2])) >= BUBBLEWRAP_NEEDED:
        return Finding("met", f"{found.found} {version[0]}")
    return Finding("unmet", f"{found.found} {version[0]}", gettext("Install bubblewrap 0.5 or later."))


def _iptables(host: Host) -> Finding:
    found = _program(host, name="iptables", package="iptables")
    if found.status != "met":
        return found
    version = host.output(found.found, "--version")  # "iptables v1.8.9 (nf_tables)" or "(legacy)"; older: neither
    return Finding("met", f"{found.found} ({version or gettext('does not tell its version')})")


def _java(host: Host) -> Finding:
    found = _program(host, name="java", package="default-jre-headless")
    if found.status != "met":
        return found
    version = re.search(r'version "(\d+)(?:\.(\d+))?', host.output(found.found, "-version"))
    if version is None:
        return Finding("unknown", gettext("{found} does not tell its version").format(found=found.found))
    major = int(version[2] or 0) if version[1] == "1" else int(version[1])  # up to Java 8 it called itself 1.8
    if major >= JAVA_NEEDED:
        return Finding("met", gettext("{found}, Java {major}").format(found=found.found, major=major))
    return Finding(
        "unmet",
        gettext("{found}, Java {major}").format(found=found.found, major=major),
        host.install("default-jre-headless", f"java {JAVA_NEEDED}"),
    )


def _need(name: str, package: str, level: Level, why: str) -> Need:
    return Need(name, level, why, functools.partial(_program, name=name, package=package))


NEEDS = (
    Need(
        "bwrap", "required", gettext_noop("bubblewrap makes the sandbox of each node and each container"), _bubblewrap
    ),
    _need("unshare", "util-linux", "required", gettext_noop("makes the namespaces that the whole lab lives in")),
    _need("nsenter", "util-linux", "required", gettext_noop("runs a program inside a node or a pod's network")),
    _need("newuidmap", "uidmap", "recommended", gettext_noop("gives containers that run as another user their ids")),
    _need("ip", "iproute2", "required", gettext_noop("makes the lab's bridge and each node's link and routes")),
    Need("iptables", "required", gettext_noop("kube-proxy, in its default mode, programs Services by it"), _iptables),
    _need(
        "nft", "nftables", "recommended", gettext_noop("kube-proxy's nftables mode runs it; so does tracing a packet")
    ),
    _need("conntrack", "conntrack", "recommended", gettext_noop("shows which pod a connection to a Service was given")),
    Need("java", "only for images", gettext_noop("the image tomcat is Apache Tomcat on the machine's Java"), _java),
    _need("php", "php-cli", "only for images", gettext_noop("the image php is PHP's own web server")),
    _need("mariadbd", "mariadb-server-core", "only for images", gettext_noop("the image mysql is MariaDB")),
    _need("nginx", "nginx-light", "only for images", gettext_noop("the image nginx is the machine's nginx")),
    _need("busybox", "busybox-static", "only for images", gettext_noop("the image busybox is the machine's busybox")),
    _need("ipset", "ipset", "only for ipvs", gettext_noop("kube-proxy's ipvs mode keeps its sets of addresses by it")),
    _need(
        "ipvsadm",
        "ipvsadm",
        "only for ipvs",
        gettext_noop("labkit reads the virtual servers that kube-proxy made with it"),
    ),
)
