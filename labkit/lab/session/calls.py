"""How a call is written down: as a person would write it, and the same for every way of writing it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.lab.kubectl import split

#: In place of an attribute's name: what a notebook showed of something.
SHOWN = "shown"


def attribute(of: str, name: str) -> str:
    """Return how an attribute of something is written; of the lab itself by its name alone."""
    return f"{of}.{name}" if of else name


def called(what: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> str:
    """Return how a call is written: ``nodes['master'].exec('ls')``."""
    given = [*map(repr, arguments), *(f"{name}={value!r}" for name, value in options.items())]
    return f"{what}({', '.join(given)})"


def kubectl(arguments: str | Sequence[str], stdin: str) -> str:
    """Return how a command is written, whether it was given as text or as words.

    Raises
    ------
    UsageError
        The text has an unclosed quote.
    """
    command = shlex.join(split(arguments))
    return f"kubectl {command} < {stdin!r}" if stdin else f"kubectl {command}"
