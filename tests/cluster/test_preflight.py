"""The preflight on this machine, on file trees of other machines, and where user namespaces are really forbidden."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labkit.cluster.preflight import Check, Report, checks, require
from labkit.cluster.preflight.machine import MIB
from labkit.errors import PreflightError

Files = dict[str, str]
# A Debian 12 host with nothing special; `Other` machines below differ from it by a few files.
PLAIN: Files = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"',
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nlearner:x:1000:1000::/home/learner:/bin/sh",
    "etc/subuid": "learner:100000:65536",
    "etc/subgid": "learner:100000:65536",
    "proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB",
    "proc/self/cgroup": "0::/user.slice",
    "proc/self/ns/user": "",
    "proc/self/status": "Uid:\t1000\t1000\t1000\t1000\nSeccomp:\t0\nCpus_allowed_list:\t0-1,3",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority",
    "proc/sys/fs/inotify/max_user_instances": "128",
    "proc/sys/fs/inotify/max_user_watches": "65536",
    "proc/sys/net/core/wmem_default": "212992",
    "proc/sys/kernel/hostname": "classroom-7.example.org",
    "proc/sys/kernel/osrelease": "6.1.0-42-amd64",
    "proc/sys/kernel/ostype": "Linux",
    "proc/sys/net/ipv4/ip_forward": "0",
    "proc/sys/user/max_user_namespaces": "31000",
}


def look(tmp_path: Path, files: Files, path: str | None = None, *, small: bool = False) -> dict[str, Check]:
    root = tmp_path / "root"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return {check.name: check for check in checks(root, state=tmp_path / "state", path=path, small=small)}


def test_a_small_lab_needs_less_memory_and_is_offered(tmp_path: Path) -> None:
    files = PLAIN | {"proc/meminfo": "MemAvailable: 800000 kB"}
    assert look(tmp_path, files, small=True)["memory"].status == "met"
    whole = look(tmp_path, files)["memory"]
    assert (whole.status, "labkit up --small" in whole.fix) == ("unmet", True)
    assert "small" not in look(tmp_path, PLAIN | {"proc/meminfo": "MemAvailable: 700000 kB"})["memory"].fix


def test_the_inotify_instances_of_other_labs_are_counted(tmp_path: Path) -> None:
    opened = tmp_path / "root/proc/42/fd"
    opened.mkdir(parents=True)
    for number in range(88):
        (opened / str(number)).symlink_to("anon_inode:inotify")
    (opened / "88").symlink_to("anon_inode:[eventpoll]")
    assert look(tmp_path, PLAIN)["inotify limits"].status == "met"
    (opened / "89").symlink_to("anon_inode:inotify")
    found = look(tmp_path, PLAIN)["inotify limits"]
    assert (found.status, found.level) == ("unmet", "required")
    assert "128, 89 of them in use" in found.found
    assert "max_user_instances=512" in found.fix


def programs(folder: Path, **scripts: str) -> str:
    """Make a folder of real programs, each a shell script."""
    folder.mkdir(exist_ok=True)
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_a_plain_machine_meets_what_it_can(tmp_path: Path) -> None:
    found = look(tmp_path, PLAIN)
    met = ("Linux", "memory", "disk", "processors", "inotify limits", "netlink messages", "swap", "host name", "clock")
    for name in (*met, "IPv6"):
        assert found[name].status == "met", found[name]
    assert found["processors"].found == "3 processors"
    assert found["subordinate ids"].status == "met"
    assert found["control groups"].found == "version 2"


@pytest.mark.parametrize(("system", "fix"), [("Darwin", "labkit up --provider kind"), ("Windows", "WSL 2")])
def test_of_another_system_only_that_is_told(system: str, fix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    (check,) = checks()
    assert (check.name, check.status, check.found) == ("Linux", "unmet", system)
    with pytest.raises(PreflightError, match="Linux") as refused:
        require([check])
    assert fix in refused.value.fix


def test_this_machine_is_checked_quickly_and_without_doubt() -> None:
    started = time.monotonic()
    found = checks()
    assert time.monotonic() - started < 5  # 0.15 s when nothing else runs
    for check in found:
        assert check.why
        assert check.found
        assert check.fix or check.status != "unmet"
    assert {check.name for check in found} >= {"user namespaces", "ip_vs modules", "java", "bwrap"}


@pytest.mark.parametrize(
    ("change", "name", "status", "in_found", "in_fix"),
    [
        ({"proc/sys/kernel/ostype": "FreeBSD"}, "Linux", "unmet", "FreeBSD", "WSL 2"),
        ({"proc/meminfo": "MemAvailable: 300000 kB"}, "memory", "unmet", "292 MiB", "Free 732 MiB"),
        ({"proc/meminfo": "MemTotal: 300000 kB"}, "memory", "unknown", "no MemAvailable", ""),
        (
            {
                "sys/fs/cgroup/memory.max": str(900 * MIB),
                "sys/fs/cgroup/memory.current": str(500 * MIB),
                "sys/fs/cgroup/memory.stat": f"anon 3\ninactive_file {100 * MIB}",
                "sys/fs/cgroup/memory.events": "low 0\noom 3\noom_kill 0",
                "sys/fs/cgroup/user.slice/memory.max": "max",
            },
            "memory",
            "unmet",
            "500 MiB left below the control group's limit",
            "525 MiB",
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/docker/1f\n0::/",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": str(700 * MIB),
                "sys/fs/cgroup/memory/memory.usage_in_bytes": str(150 * MIB),
                "sys/fs/cgroup/memory/memory.stat": f"inactive_file 9\ntotal_inactive_file {50 * MIB}",
                "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2",
            },
            "memory",
            "unmet",
            "600 MiB left below the control group's limit; processes ended at that limit so far: 2",
            "425 MiB",
        ),
        ({"proc/self/cgroup": "4:memory:/\n0::/"}, "control groups", "not needed", "version 1", ""),
        ({"proc/self/status": "Cpus_allowed_list:\t5"}, "processors", "unmet", "1 processor", "second"),
        (
            {"proc/sys/fs/inotify/max_user_instances": "32"},
            "inotify limits",
            "unmet",
            "max_user_instances 32",
            "sudo sysctl -w fs.inotify.max_user_instances=512",
        ),
        (
            {"proc/sys/net/core/wmem_default": "65536"},
            "netlink messages",
            "unmet",
            "the rules of about 15 Services (iptables), 29 Services (nftables)",
            "sudo sysctl -w net.core.wmem_default=212992",
        ),
        ({"proc/swaps": "Filename\n/dev/sda2 partition 1 0 -2"}, "swap", "not needed", "/dev/sda2", ""),
        ({"sys/fs/selinux/enforce": "1"}, "SELinux and AppArmor", "not needed", "SELinux is enforcing", ""),
        ({"sys/fs/selinux/enforce": "0"}, "SELinux and AppArmor", "met", "SELinux is permissive", ""),
        ({"sys/module/apparmor/parameters/enabled": "Y"}, "SELinux and AppArmor", "not needed", "AppArmor is on", ""),
        ({"proc/sys/net/ipv6/conf/all/disable_ipv6": "0"}, "IPv6", "not needed", "on;", ""),
        ({"proc/sys/kernel/hostname": "My_Laptop"}, "host name", "not needed", "'My_Laptop' could not", ""),
        ({"etc/subuid": "someone:100000:65536"}, "subordinate ids", "unmet", "/etc/subuid gives learner", "usermod"),
        ({"etc/subgid": "learner:100000:10"}, "subordinate ids", "unmet", "/etc/subgid gives learner", "usermod"),
        ({"etc/subuid": "1000:1:65536"}, "subordinate ids", "met", "have a range", ""),
        ({"etc/subuid": "learner:nonsense:x"}, "subordinate ids", "unknown", "invalid literal", ""),
    ],
)
def test_other_machines(tmp_path: Path, *, change: Files, name: str, status: str, in_found: str, in_fix: str) -> None:
    check = look(tmp_path, PLAIN | change)[name]
    assert check.status == status, check
    assert in_found in check.found
    assert in_fix in check.fix
    assert bool(check.fix) == (status == "unmet")


@pytest.mark.parametrize(
    ("change", "cause", "fix"),
    [
        ({"proc/sys/user/max_user_namespaces": "0"}, "max_user_namespaces is 0", "user.max_user_namespaces=15000"),
        ({"proc/sys/kernel/unprivileged_userns_clone": "0"}, "userns_clone is 0", "unprivileged_userns_clone=1"),
        ({"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, "Ubuntu", "unprivileged_userns=0"),
        ({"proc/self/status": "Uid:\t0\t0\t0\t0\nSeccomp:\t2"}, "seccomp filter is on", "seccomp=unconfined"),
        ({}, "no setting of the kernel explains it", "dmesg"),
    ],
)
def test_why_user_namespaces_are_forbidden(tmp_path: Path, change: Files, cause: str, fix: str) -> None:
    path = programs(tmp_path / "bin", unshare="echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1")
    found = look(tmp_path, PLAIN | change, path)
    check = found["user namespaces"]
    assert check.status == "unmet"
    assert "Operation not permitted" in check.found
    assert cause in check.found
    assert fix in check.fix
    assert found["bridge and veth"].status == "unknown"  # not a second failure with a fix that does not help
    with pytest.raises(PreflightError, match="cannot run a lab yet: user namespaces"):
        require(found.values())


def test_a_kernel_without_user_namespaces(tmp_path: Path) -> None:
    files = {name: text for name, text in PLAIN.items() if name != "proc/self/ns/user"}
    path = programs(tmp_path / "bin", unshare="echo 'Invalid argument'; exit 1")
    assert "CONFIG_USER_NS" in look(tmp_path, files, path)["user namespaces"].fix


def test_user_namespaces_really_forbidden() -> None:
    """In a user namespace that allows no further one the whole check runs, and says so."""
    script = "import sys; from labkit.cluster.preflight import checks, require; require(checks())"
    command = f"echo 0 > /proc/sys/user/max_user_namespaces && exec {sys.executable} -c '{script}'"
    flags = ("--user", "--map-root-user", "--mount-proc", "--pid", "--fork", "--mount")
    done = subprocess.run(["unshare", *flags, "sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "PreflightError: This machine cannot run a lab yet: user namespaces" in done.stderr
    assert "user.max_user_namespaces is 0" in done.stderr
    assert "sysctl -w user.max_user_namespaces=15000" in done.stderr


def test_a_trial_that_partly_fails(tmp_path: Path) -> None:
    lines = ["namespaces=ok", "proc=ok", "forward=Read-only file system", "bridge=RTNETLINK answers: Unknown device"]
    lines += ["veth=ok", "bridge-netfilter=", "iptables=iptables: Permission denied", "nftables=ok"]
    path = programs(
        tmp_path / "bin", unshare=f"printf '%s\\n' {' '.join(map(repr, lines))}", iptables="", nft="", ip=""
    )
    found = look(tmp_path, PLAIN, path)
    assert found["user namespaces"].status == "met"
    assert found["bridge and veth"].found == "bridge: RTNETLINK answers: Unknown device"
    assert found["bridge and veth"].fix == "sudo modprobe -a bridge veth"
    assert found["ip_forward"].status == "unmet"
    assert found["bridge netfilter"].fix == "sudo modprobe br_netfilter"
    assert found["iptables in a network namespace"].found == "iptables: Permission denied"
    assert found["nftables in a network namespace"].status == "met"


def test_a_masked_proc_is_told_from_forbidden_namespaces(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", unshare="echo namespaces=ok; echo 'proc=mount: permission denied'")
    check = look(tmp_path, PLAIN, path)["user namespaces"]
    assert check.status == "unmet"
    assert "systempaths=unconfined" in check.fix


def test_missing_programs_name_their_package(tmp_path: Path) -> None:
    found = look(tmp_path, PLAIN, programs(tmp_path / "bin"))
    assert found["bwrap"].fix == "sudo apt-get install -y bubblewrap"
    assert found["mariadbd"].fix == "sudo apt-get install -y mariadb-server-core"
    assert found["user namespaces"].found.startswith("unknown, because of: the program unshare is missing")
    with pytest.raises(PreflightError) as raised:
        require(found.values())
    assert raised.value.exit_code == 3
    assert "bwrap, unshare, nsenter, ip, iptables." in raised.value.what
    assert "mariadb" not in raised.value.fix  # images are no requirement
    elsewhere = look(tmp_path, PLAIN | {"etc/os-release": "ID=fedora"}, str(tmp_path / "bin"))
    assert elsewhere["ip"].fix == "Install the package that has the program ip (Debian calls it iproute2)."


@pytest.mark.parametrize(
    ("script", "status", "found"),
    [
        ("echo 'openjdk version \"17.0.15\" 2025-04-15' >&2", "met", "Java 17"),
        ("echo 'java version \"1.8.0_402\"'", "unmet", "Java 8"),
        ("echo 'openjdk version \"26-ea\"'", "met", "Java 26"),
        ("echo broken", "unknown", "does not tell"),
        ("exec sleep 30", "unknown", "did not end within"),
    ],
)
def test_java_versions(tmp_path: Path, script: str, status: str, found: str) -> None:
    check = look(tmp_path, PLAIN, programs(tmp_path / "bin", java=script))["java"]
    assert check.status == status
    assert found in check.found


@pytest.mark.parametrize(
    ("version", "status"), [("bubblewrap 0.8.0", "met"), ("bubblewrap 0.4.1", "unmet"), ("?", "unknown")]
)
def test_bubblewrap_versions(tmp_path: Path, version: str, status: str) -> None:
    assert look(tmp_path, PLAIN, programs(tmp_path / "bin", bwrap=f"echo {version}"))["bwrap"].status == status


def test_ipvs_is_not_required_of_every_lab(tmp_path: Path) -> None:
    index = "lib/modules/6.1.0-42-amd64/modules.dep"
    path = programs(tmp_path / "bin", ipset="", ipvsadm="")
    missing = look(tmp_path, PLAIN, path)["ip_vs modules"]
    assert "nftables" in missing.fix
    loadable = look(tmp_path, PLAIN | {index: "kernel/net/netfilter/ipvs/ip_vs.ko: kernel/lib/libcrc32c.ko"}, path)
    assert loadable["ip_vs modules"].fix == "sudo modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh"
    require([missing])
    loaded = look(tmp_path, PLAIN | {"proc/net/ip_vs": "IP Virtual Server version 1.2.1"}, path)
    assert [loaded[name].status for name in ("ip_vs modules", "ipset", "ipvsadm")] == ["met"] * 3


def test_user_namespaces_are_not_required_of_a_privileged_lab(tmp_path: Path) -> None:
    found = look(tmp_path, PLAIN | {"proc/sys/user/max_user_namespaces": "0"})
    forbidden = Check("user namespaces", "unmet", "required", "max_user_namespaces is 0", "", "")
    others = [check for check in found.values() if check.name != forbidden.name and check.status != "unmet"]
    with pytest.raises(PreflightError, match="user namespaces"):
        require([*others, forbidden])
    require([*others, forbidden], privileged=True)
    with pytest.raises(PreflightError, match="bwrap"):
        require([*others, forbidden, Check("bwrap", "unmet", "required", "missing", "", "")], privileged=True)


def test_a_state_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    check = look(tmp_path, PLAIN)["disk"]
    assert check.status == "unmet"
    assert "LABKIT_STATE" in check.fix


def test_a_tree_with_nothing_in_it_raises_nothing(tmp_path: Path) -> None:
    found = look(tmp_path, {"unrelated": ""}, programs(tmp_path / "bin"))
    assert found["memory"].status == "unknown"
    assert found["memory"].found.startswith("unknown, because of: No such file or directory")


def test_the_report_escapes_and_serialises(tmp_path: Path) -> None:
    found = look(tmp_path, PLAIN | {"proc/sys/kernel/hostname": "<script>alert(1)</script>"})
    report = Report(tuple(found.values()))
    assert "<script>" not in report._repr_html_()
    assert "&lt;script&gt;" in report._repr_html_()
    assert {row["name"] for row in json.loads(json.dumps(report.to_json()))} == set(found)


def test_ready_means_no_required_need_is_unmet() -> None:
    unmet = Check("ip", "unmet", "required", "not found", "needed", "install it")
    assert Report((Check("php", "unmet", "only for images", "not found", "needed", "install it"),)).ready
    assert not Report((unmet,)).ready


def test_nothing_is_left_on_the_host() -> None:
    ip = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert ip is not None
    checks()
    links = subprocess.run([ip, "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert "labkit0" not in links
