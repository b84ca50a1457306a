"""How errors look in a terminal: what, why, what to do; a traceback goes to a file."""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from pathlib import Path

from labkit import paths
from labkit.cli import console
from labkit.errors import LabkitError

_INDENT = 12  # the width of "What to do: "


def show(error: LabkitError) -> int:
    """Show an error that labkit raised on purpose; return the exit code."""
    _show_traceback(error)
    err = console.err()
    err.print(console.text("Error:", "bold red"), console.text(error.what), soft_wrap=True)
    for label, words in (("Why:", error.why), ("What to do:", error.fix)):
        if words:
            lines = ("\n" + " " * _INDENT).join(words.strip().splitlines())
            err.print(console.text(f"{label:{_INDENT - 1}}", "bold"), console.text(lines), soft_wrap=True)
    return error.exit_code


def show_unexpected(error: Exception) -> int:
    """Show in a line that labkit itself is at fault, and keep the traceback in a file; return the exit code."""
    _show_traceback(error)
    kind = type(error).__name__
    first = str(error).strip().partition("\n")[0]
    log = _write_log("".join(traceback.format_exception(error)))
    where = f"the details are in {log}" if log else "the details could not be written anywhere"
    message = f"{kind}: {first}" if first else kind
    err = console.err()
    err.print(console.text("Unexpected error:", "bold red"), console.text(f"{message} ({where})"), soft_wrap=True)
    return LabkitError.exit_code


def _show_traceback(error: Exception) -> None:
    if os.environ.get("LABKIT_DEBUG"):
        console.err().print(console.text("".join(traceback.format_exception(error))), soft_wrap=True)


def _write_log(text: str) -> Path | None:
    """Write a file for this user alone, in the cache or, where that cannot be, among the temporary files."""
    name = f"error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    for folder in (paths.cache_dir() / "errors", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            continue
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return folder / name
    return None
