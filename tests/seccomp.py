"""Run a program as a container engine's default lets it run: it makes no namespaces and mounts nothing.

    python -m tests.seccomp PROGRAM ARGUMENTS...

What the default profile of Docker and containerd has for whoever lacks CAP_SYS_ADMIN (moby's default seccomp profile):
unshare, setns and mount are not permitted, clone only without the flags of namespaces, and clone3, whose flags a
filter cannot read, is said not to exist, so that the C library takes clone. Written for seccomp(2) and
bpf(2)'s classic form; the process must not be able to gain privileges.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _FIRST_ARGUMENT = 0, 16  # offsets in struct seccomp_data
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* of linux/sched.h
#: Numbers of unshare, setns, mount, clone (asm/unistd.h); clone3 has the same everywhere.
_NUMBERS = {"x86_64": (272, 308, 165, 56), "aarch64": (97, 268, 40, 220)}
_CLONE3 = 435


def forbid_namespaces() -> None:
    """Put the filter on this process and what it starts."""
    *forbidden, clone = _NUMBERS[platform.machine()]
    program = [(_LOAD, 0, 0, _NUMBER)]
    for number, error in [*((each, errno.EPERM) for each in forbidden), (_CLONE3, errno.ENOSYS)]:
        program += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error)]
    program += [
        (_JUMP_IF_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_IF_ANY_BIT, 0, 1, _NEW_NAMESPACES),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    filter_of = struct.pack("HP", len(program), ctypes.addressof(instructions))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_of, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the filter was refused")


if __name__ == "__main__":
    forbid_namespaces()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - that is its purpose
