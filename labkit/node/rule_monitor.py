"""The program that writes down, on a node, when the kernel's packet rules change.

It prints each line of ``nft --handle monitor`` (nft(8), "MONITOR") after the time at which it came, in seconds since
the epoch; the first line is ``listening``. It ends, and nft with it, when standard input does.

Source: netlink's table of sockets tells when nft listens to changes of rules: group 7, NFNLGRP_NFTABLES of
linux/netfilter/nfnetlink.h, is bit 0x40 there. It listens to packet traces, too; ``monitor ruleset`` would not, but nor
does it tell where a transaction ends.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

#: The status with which it ends where there is no nft, as a shell's.
NO_NFT = 127
#: The first line.
LISTENING = "listening"
_SOCKETS = Path("/proc/net/netlink")
_CHANGES = 0x40
_POLL_SECONDS = 0.005


def _listens(pid: int) -> bool:
    found = re.search(rf"^\S+ +12 +{pid} +([0-9a-f]{{8}}) ", _SOCKETS.read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) & _CHANGES)


def _end_with_input(monitor: subprocess.Popen[str]) -> None:
    sys.stdin.read()
    monitor.terminate()


def main() -> int:
    """Print until standard input ends; return nft's status where it ended before."""
    nft = shutil.which("nft")
    if nft is None:
        return NO_NFT
    with subprocess.Popen(
        [nft, "--handle", "monitor"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as monitor:
        try:
            while not _listens(monitor.pid):
                if monitor.poll() is not None:
                    return monitor.returncode
                time.sleep(_POLL_SECONDS)
            print(LISTENING, flush=True)
            threading.Thread(target=_end_with_input, args=(monitor,), daemon=True).start()
            assert monitor.stdout is not None  # noqa: S101 - PIPE was asked for
            for line in monitor.stdout:
                print(f"{time.time():.6f} {line}", end="", flush=True)
        finally:
            monitor.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
