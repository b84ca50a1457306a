"""The lab's outer sandbox: one user, PID, mount and network namespace in which all its nodes live.

A privileged one has no user namespace of its own: its root is the machine's.

Ending its first process ends everything in it, and with the last process go its namespaces, mounts and links:
that is how `down` leaves nothing behind, whatever happened before.
"""

from __future__ import annotations

import functools
import getpass
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psutil

from labkit.errors import ClusterError, PreflightError
from labkit.language import gettext
from labkit.node.process import ProcessIdentity, detach

IdMap = Literal["full", "single"]

_IDS = 65536
_START_TIMEOUT = 10.0


class OuterSandbox:
    """A running outer sandbox.

    Parameters
    ----------
    folder : Path
        The lab's, as given to `start`.
    holder : ProcessIdentity
        Its first process, as the host sees it.

    Attributes
    ----------
    privileged : bool
        Whether it has no user namespace of its own.
    """

    def __init__(self, folder: Path, holder: ProcessIdentity) -> None:
        self.folder = folder
        self.holder = holder
        # Of another user's process, only root may ask (ptrace(2)); and nobody else can make a privileged one.
        self.privileged = os.geteuid() == 0 and _user_namespace(str(holder.pid)) == _user_namespace("self")

    @property
    def alive(self) -> bool:
        """Whether the sandbox still exists."""
        return self.holder.alive

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """Return the command that runs `argv` inside the sandbox, as its root."""
        enter = ["nsenter", "--target", str(self.holder.pid), "--preserve-credentials"]
        users = [] if self.privileged else ["--user"]
        return [*enter, *users, "--mount", "--net", "--pid", "--", *(str(part) for part in argv)]

    def kill(self) -> None:
        """End every process in the sandbox; its namespaces and mounts end with them."""
        self.holder.kill()


def namespaces(folder: Path) -> Path:
    """Return where the sandbox of a lab's folder, and nobody else, sees the nodes' network namespaces as files."""
    return folder / "netns"


@functools.cache
def id_map() -> IdMap:
    """Tell which user ids a sandbox of this user can have, by trying it.

    Returns
    -------
    {"full", "single"}
        ``full``: 65,536 ids, as root or through newuidmap and a range in /etc/subuid (user_namespaces(7),
        newuidmap(1)); ``single``: only the user, who is root inside.
    """
    if _no_new_privileges():
        return "single"
    if os.geteuid() == 0:
        return "full"
    if not (_subordinate_range("/etc/subuid") and _subordinate_range("/etc/subgid") and shutil.which("newuidmap")):
        return "single"
    with subprocess.Popen(
        ["unshare", "--user", "--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as trial:
        try:
            _wait_for_namespace(trial)
            _map_ids(trial.pid)
        except (OSError, subprocess.CalledProcessError):
            return "single"
    return "full"


def require_root() -> None:
    """Make sure that a privileged sandbox can be made.

    Raises
    ------
    PreflightError
        The caller is not the machine's root.
    """
    if os.geteuid() != 0:
        raise PreflightError(
            gettext("A privileged lab can only be made by root"),
            why=gettext("user {user} has no rights over the machine to give to its nodes").format(user=os.geteuid()),
            fix=gettext("leave --privileged out: only kube-proxy's ipvs mode needs it; or become root"),
        )


def start(folder: Path, *, privileged: bool = False) -> OuterSandbox:
    """Start an outer sandbox.

    Parameters
    ----------
    folder : Path
        The lab's; its logs go there.
    privileged : bool
        Without a user namespace of its own.

    Raises
    ------
    PreflightError
        This machine forbids user namespaces; or for a privileged one, the others, or the caller is not root.
    ClusterError
        It did not start for another reason.
    """
    if privileged:
        require_root()
    namespaces(folder).mkdir(parents=True, exist_ok=True)
    status, started = folder / "sandbox.json", folder / "started"
    for stale in (status, started):
        stale.unlink(missing_ok=True)
    log_path = folder / "sandbox.log"
    with log_path.open("wb") as log, status.open("wb") as status_file:
        bubblewrap = [
            *("bwrap", "--unshare-net", "--unshare-pid", "--cap-add", "ALL", "--dev-bind", "/", "/", "--proc", "/proc"),
            *("--tmpfs", str(namespaces(folder)), "--json-status-fd", str(status_file.fileno()), "--"),
            # Bubblewrap tells its child's pid before the child has its mounts; the file tells that it has.
            *("sh", "-c", ': >"$0" && exec sleep infinity', str(started)),
        ]
        run = _run_as_is if privileged else _unshare
        process = run(bubblewrap, status_file.fileno(), log.fileno())
    deadline = time.monotonic() + _START_TIMEOUT
    with _ended_on_failure(process):
        while time.monotonic() < deadline and process.poll() is None:
            child = read_child_pid(status)
            if child is not None and started.exists():
                detach(process)
                return OuterSandbox(folder, ProcessIdentity.of(child))
            time.sleep(0.005)
        raise _refused(log_path.read_text(errors="replace").strip(), privileged=privileged)


def find(folder: Path) -> OuterSandbox | None:
    """Return the sandbox that was started with this folder and still runs, None where there is none.

    The process table is asked rather than a file, so that a start that was interrupted half-way is found too.
    """
    mark = str(namespaces(folder))
    for process in psutil.process_iter():
        try:
            # Only the sandbox's own first process, not the one outside that waits for it, is number 1 in there.
            if process.name() == "bwrap" and mark in process.cmdline() and _innermost_pid(process.pid) == 1:
                return OuterSandbox(folder, ProcessIdentity.of(process.pid))
        except (psutil.Error, OSError):
            continue
    return None


def remove_tree(folder: Path) -> None:
    """Remove a folder whose files may belong to ids that only a sandbox of this user has.

    Raises
    ------
    ClusterError
        Something could not be removed.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:
        process = _unshare(["rm", "-rf", "--", str(folder)], None, subprocess.DEVNULL)
        if process.wait() != 0 or folder.exists():
            raise ClusterError(
                gettext("{folder} could not be removed").format(folder=folder),
                why=gettext("some files in it are not this user's"),
                fix=f"rm -rf {folder}",
            ) from None


def read_child_pid(status: Path) -> int | None:
    """Return the ``child-pid`` that bubblewrap wrote to its ``--json-status-fd``, None where it has not yet."""
    try:
        first = status.read_text().partition("\n")[0]
        return int(json.loads(first)["child-pid"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _user_namespace(pid: str) -> Path | None:
    """Return the name of a process's user namespace, None where there is no such process."""
    try:
        return Path(f"/proc/{pid}/ns/user").readlink()
    except FileNotFoundError:
        return None


def _run_as_is(command: list[str], status_fd: int | None, log_fd: int) -> subprocess.Popen[bytes]:
    """Run a command as the machine's root."""
    return _popen(command, status_fd, log_fd, stdin=subprocess.DEVNULL)


def _unshare(command: list[str], status_fd: int | None, log_fd: int) -> subprocess.Popen[bytes]:
    """Run a command as root of a new user namespace, with as many ids as this user may map."""
    if id_map() == "single":
        argv = ["unshare", "--user", "--map-root-user", "--", *command]
        return _popen(argv, status_fd, log_fd, stdin=subprocess.DEVNULL)
    # The shell waits unprivileged until its ids are mapped; execve then makes uid 0 privileged in the namespace.
    argv = ["unshare", "--user", "--", "sh", "-c", 'read -r _ && exec "$@" </dev/null', "sh", *command]
    process = _popen(argv, status_fd, log_fd, stdin=subprocess.PIPE)
    assert process.stdin is not None  # noqa: S101 - PIPE was asked for
    try:
        with _ended_on_failure(process):
            _wait_for_namespace(process)
            _map_ids(process.pid)
            process.stdin.write(b"\n")
            process.stdin.close()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ClusterError(
            gettext("The lab's user namespace got no ids"),
            why=str(error),
            fix=gettext("look at /etc/subuid and /etc/subgid, or run `labkit doctor`"),
        ) from error
    return process


@contextmanager
def _ended_on_failure(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process where the block fails or is interrupted: until it has made the sandbox, `find` knows nothing."""
    try:
        yield
    except BaseException:
        process.kill()
        process.wait()
        raise


def _popen(argv: list[str], status_fd: int | None, log_fd: int, stdin: int) -> subprocess.Popen[bytes]:
    try:
        kept = () if status_fd is None else (status_fd,)
        return subprocess.Popen(argv, stdin=stdin, stdout=log_fd, stderr=log_fd, pass_fds=kept, start_new_session=True)
    except FileNotFoundError as error:
        raise PreflightError(
            gettext("A program that sandboxes need is missing"),
            why=str(error),
            fix="apt-get install util-linux bubblewrap",
        ) from error


def _wait_for_namespace(process: subprocess.Popen[bytes]) -> None:
    ours = Path("/proc/self/ns/user").readlink()
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if Path(f"/proc/{process.pid}/ns/user").readlink() != ours:
            return
        time.sleep(0.002)


def _map_ids(pid: int) -> None:
    if os.geteuid() == 0:
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{name}").write_text(f"0 0 {_IDS}\n")
        return
    for program, path, own in (
        ("newuidmap", "/etc/subuid", os.getuid()),
        ("newgidmap", "/etc/subgid", os.getgid()),
    ):
        first, count = _subordinate_range(path) or (0, 0)
        ids = ["0", str(own), "1", "1", str(first), str(min(count, _IDS - 1))]
        subprocess.run([program, str(pid), *ids], check=True, capture_output=True)


def _innermost_pid(pid: int) -> int:
    """Return a process's pid as its own PID namespace numbers it (proc(5): NSpid)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return pid


def _subordinate_range(path: str) -> tuple[int, int] | None:
    """Return the first range of this user in /etc/subuid or /etc/subgid as (first, count); subuid(5)."""
    try:
        names = {getpass.getuser(), str(os.getuid())}
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        owner, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if owner in names and first.isdigit() and count.isdigit():
            return int(first), int(count)
    return None


def _no_new_privileges() -> bool:
    """Whether newuidmap, which is setuid, cannot work here (prctl(2), PR_SET_NO_NEW_PRIVS)."""
    return "NoNewPrivs:\t1" in Path("/proc/self/status").read_text()


def _refused(log: str, *, privileged: bool) -> ClusterError | PreflightError:
    if privileged and "Operation not permitted" in log:
        return PreflightError(
            gettext("Root may not make namespaces here"),
            why=log,
            fix=gettext(
                "root of a container lacks CAP_SYS_ADMIN: start that with --privileged, or leave it out for the lab"
            ),
        )
    if "Operation not permitted" in log or "No space left" in log or "Permission denied" in log:
        return PreflightError(
            gettext("This machine does not let you make user namespaces"),
            why=log,
            fix=gettext("run `labkit doctor`: it tells the cause"),
        )
    return ClusterError(
        gettext("The lab's sandbox did not start"),
        why=log or gettext("it left no message"),
        fix=gettext("run `labkit doctor`"),
    )
