"""The command line: ``labkit …``, the same calls as from Python, for a terminal."""

from labkit.cli.entry import main

__all__ = ["main"]
