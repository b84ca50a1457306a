import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from labkit.cri import processes
from labkit.cri.processes import Identity, MountNamespace


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_known_by_pid_and_start_time(sleeper: subprocess.Popen[bytes]) -> None:
    identity = Identity.of(sleeper.pid)
    assert identity
    assert identity.alive()
    other = Identity(identity.pid, identity.started - 1)
    assert not other.alive()
    assert not other.signal(signal.SIGKILL)
    assert sleeper.poll() is None
    assert identity.signal(signal.SIGTERM)
    assert sleeper.wait() == -signal.SIGTERM
    assert not identity.alive()
    assert not identity.signal(signal.SIGTERM)


def test_a_thread_that_has_the_number_of_an_ended_process_is_not_that_process() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        assert thread.native_id
        ended = Identity(thread.native_id, 1)
        assert not ended.alive()
        assert not ended.signal(signal.SIGKILL)
        with pytest.raises(ProcessLookupError):
            ended.open()
    finally:
        over.set()
        thread.join()


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert Identity.of(process.pid) is None
    process.wait()


def test_an_end_is_noticed_also_when_it_is_past(sleeper: subprocess.Popen[bytes]) -> None:
    identity = Identity.of(sleeper.pid)
    assert identity

    async def work() -> None:
        asyncio.get_running_loop().call_later(0.05, sleeper.kill)
        await asyncio.wait_for(processes.ended(identity), 5)
        sleeper.wait()
        await asyncio.wait_for(processes.ended(identity), 5)

    asyncio.run(work())


def test_descendants_are_found_through_new_sessions() -> None:
    script = (
        "import os, subprocess, time; subprocess.Popen(['setsid', 'sleep', '61']); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        family = processes.descendants(process.pid)
        for _ in range(100):  # setsid is about to become sleep
            if any(processes.executable(member.pid) == os.path.realpath("/usr/bin/sleep") for member in family):
                break
            time.sleep(0.02)
        assert len(family) == 2
        assert {member.pid for member in family} > {process.pid}
        for member in family:
            member.signal(signal.SIGKILL)


def test_the_runtimes_own_mount_namespace_is_never_a_container() -> None:
    own = MountNamespace(os.getpid())
    assert own.name == processes.namespace(os.getpid(), "mnt")
    assert own.members() == []
    own.close()


def test_a_mount_namespace_that_is_held_gives_its_number_to_no_other() -> None:
    def one() -> str:
        with subprocess.Popen(["unshare", "--user", "--mount", "cat"], stdin=subprocess.PIPE) as process:
            own = processes.namespace(os.getpid(), "mnt")
            while (name := processes.namespace(process.pid, "mnt")) == own:
                time.sleep(0.001)
            identity = processes.Identity.of(process.pid)
            assert identity
            namespace = MountNamespace.of(identity)
            assert namespace
            assert namespace.name == name
            assert identity in namespace.members()
            found = MountNamespace.named(namespace.name)
            assert found
            assert found.name == namespace.name
            found.close()
            process.kill()
        assert namespace.members() == []
        assert MountNamespace.of(identity) is None
        held.append(namespace)
        return namespace.name

    held: list[MountNamespace] = []
    names = [one() for _ in range(20)]
    assert len(set(names)) == 20
    for namespace in held:
        namespace.close()


def test_a_program_that_takes_too_long_is_ended() -> None:
    async def work() -> None:
        await processes.run(["sleep", "60"], env={}, stdin=b"", timeout=0.1)

    with pytest.raises(TimeoutError):
        asyncio.run(work())


def test_a_program_is_run_to_its_end() -> None:
    result = asyncio.run(processes.run(["sh", "-c", "cat; exit 3"], env={}, stdin=b"in", timeout=5))
    assert result == (3, b"in", b"")


def test_exit_codes_are_those_of_a_shell() -> None:
    assert (processes.exit_code(3), processes.exit_code(-9)) == (3, 137)
