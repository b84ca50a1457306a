from dataclasses import replace

import pytest

from labkit.cri.bubblewrap import (
    ALL_CAPABILITIES,
    DEFAULT_CAPABILITIES,
    Bind,
    Container,
    Sandbox,
    User,
    capabilities,
    enter_container,
    enter_pod,
    limit,
    set_user,
)
from labkit.cri.errors import ArgumentError

CONTAINER = Container(
    root="/r",
    readonly_root=False,
    binds=(Bind("/a", "/b"), Bind("/c", "/d", readonly=False), Bind("/dev/x", "/dev/y", device=True)),
    privileged=False,
    own_pids=True,
    pid_namespace_fd=None,
    capabilities=("CHOWN",),
    workdir="/w",
    status_fd=7,
    new_proc=True,
    keep_fd=None,
)


def pairs(argv: list[str], option: str, count: int) -> list[list[str]]:
    return [argv[at + 1 : at + 1 + count] for at, word in enumerate(argv) if word == option]


def test_a_container_has_its_own_root_then_what_is_bound_into_it() -> None:
    argv = CONTAINER.arguments()
    assert argv[:3] == ["--bind", "/r", "/"]
    assert ["/a", "/b"] in pairs(argv, "--ro-bind", 2)
    assert ["/c", "/d"] in pairs(argv, "--bind", 2)
    assert pairs(argv, "--dev-bind", 2) == [["/dev/x", "/dev/y"]]
    assert argv.index("/dev") < argv.index("/dev/y")
    assert "--unshare-pid" in argv
    assert "--remount-ro" not in argv
    assert pairs(argv, "--cap-add", 1) == [["CAP_CHOWN"]]
    assert argv[-4:] == ["--chdir", "/w", "--json-status-fd", "7"]


def test_a_read_only_root_is_made_so_after_the_mounts() -> None:
    argv = replace(CONTAINER, readonly_root=True).arguments()
    assert argv.index("--remount-ro") > argv.index("/dev/y")


def test_only_a_privileged_container_may_write_proc_sys() -> None:
    assert ["/proc/sys", "/proc/sys"] in pairs(replace(CONTAINER, privileged=True).arguments(), "--bind", 2)
    assert ["/proc/sys", "/proc/sys"] not in pairs(CONTAINER.arguments(), "--bind", 2)


def test_where_no_new_proc_can_be_mounted_the_nodes_is_bound() -> None:
    argv = replace(CONTAINER, new_proc=False).arguments()
    assert "--proc" not in argv
    assert ["/proc", "/proc"] in pairs(argv, "--bind", 2)


def test_a_shared_pid_namespace_is_joined_by_its_descriptor() -> None:
    argv = replace(CONTAINER, own_pids=False, pid_namespace_fd=9, keep_fd=5).arguments()
    assert pairs(argv, "--pidns", 1) == [["9"]]
    assert pairs(argv, "--sync-fd", 1) == [["5"]]
    assert "--unshare-pid" not in argv


@pytest.mark.parametrize("network", [True, False])
@pytest.mark.parametrize("pids", [True, False])
def test_a_pods_sandbox_unshares_what_is_the_pods_own(network: bool, pids: bool) -> None:
    argv = Sandbox(network=network, ipc=True, pids=pids, hostname="p", status_fd=3).arguments()
    assert ("--unshare-net" in argv, "--unshare-uts" in argv) == (network, network)
    assert ("--unshare-pid" in argv) == pids
    assert pairs(argv, "--hostname", 1) == [["p"]] * network
    assert pairs(argv, "--cap-drop", 1) == [["ALL"]]


def test_a_pod_on_the_nodes_network_is_not_entered() -> None:
    assert enter_pod(12, network=False, ipc=False) == []
    assert enter_pod(12, network=True, ipc=False)[1:] == ["--net=/proc/12/ns/net", "--uts=/proc/12/ns/uts", "--"]


def test_exec_enters_namespaces_and_the_containers_own_folder() -> None:
    argv = enter_container(12, ["mnt", "pid", "net"], "/w")
    assert argv[1:] == ["--target=12", "--mount", "--pid", "--net", "--wd=/proc/12/root/w", "--"]


def test_capabilities_are_dockers_defaults_without_the_dropped_then_with_the_added() -> None:
    assert set(capabilities([], [], privileged=False)) == set(DEFAULT_CAPABILITIES)
    assert capabilities(["NET_BIND_SERVICE"], ["all"], privileged=False) == ("NET_BIND_SERVICE",)
    assert "KILL" not in capabilities([], ["CAP_KILL"], privileged=False)
    assert set(capabilities(["ALL"], ["CHOWN"], privileged=False)) == set(ALL_CAPABILITIES) - {"CHOWN"}
    assert capabilities([], ["ALL"], privileged=True) == ALL_CAPABILITIES


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(ArgumentError, match="WINGS"):
        capabilities(["WINGS"], [], privileged=False)


def test_another_user_has_no_capabilities() -> None:
    argv = set_user(["setpriv"], User(1000, 2000, (3000, 4000)))
    assert argv[:4] == ["setpriv", "--reuid=1000", "--regid=2000", "--groups=3000,4000"]
    assert "--bounding-set=-all" in argv
    assert "--clear-groups" in set_user(["setpriv"], User(1000))


def test_an_execs_capabilities_are_limited_to_the_containers() -> None:
    assert "--bounding-set=-all,+chown" in limit(["setpriv"], ["CHOWN"], privileged=False)
    assert "--bounding-set=+all" in limit(["setpriv"], [], privileged=True)
