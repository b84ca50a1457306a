"""The entry point: whatever happens in here ends with an exit code and words for people, never with a traceback.

Exit codes: 0 done; 1 it failed; 2 it was asked wrongly; 3 this machine lacks something; 130 Ctrl-C; 128 + n signal n.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line of this process and exit."""
    _prepare_streams()
    ends = [signal.SIGTERM]
    if sys.platform != "win32":
        ends.append(signal.SIGHUP)
    for number in ends:
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup's choice stays
            signal.signal(number, _end)
    try:
        # All of the command line is imported in here, so that an interrupt or a fault in an import is told well, too.
        from labkit.cli.app import run  # noqa: PLC0415

        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read our output has gone, as `head` does; Python's own flush at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        code = 130
    except Exception as error:
        from labkit.cli.faults import show_unexpected  # noqa: PLC0415

        code = show_unexpected(error)
    sys.exit(code)


def _prepare_streams() -> None:
    """Let a terminal that lacks a character show a question mark instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _end(number: int, _frame: FrameType | None) -> None:
    """End as by Ctrl-C, with everything undone on the way out."""
    sys.exit(128 + number)
