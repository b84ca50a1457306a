"""What keeps the machine itself out of a kubelet's reach where no user namespace does: in a privileged lab."""

from __future__ import annotations

from pathlib import Path

#: What a kubelet wants the whole machine's kernel to be like (pkg/kubelet/cm/container_manager_linux.go,
#: setupKernelTunables); it writes only what it finds different. In a user namespace it is let off (KEP-2033).
SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}


def shield(folder: Path) -> list[str]:
    """Return what a node's bubblewrap must have besides, so that its kubelet changes nothing of the machine.

    It reads the settings that it wants, and no messages of the kernel, which it would search for processes that were
    ended for want of memory.

    Parameters
    ----------
    folder : Path
        Where the files that stand for the settings are to be.
    """
    arguments = ["--dev-bind", "/dev/null", "/dev/kmsg"]
    for name, value in SYSCTLS.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
        arguments += ["--ro-bind", str(file), f"/proc/sys/{name}"]
    return arguments
