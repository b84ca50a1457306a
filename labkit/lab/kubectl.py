"""The pinned kubectl, run from the host against a lab."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from labkit.errors import ClusterError, UsageError
from labkit.language import gettext


class Output(str):
    """What a program printed: a `str` that a notebook shows as the lines it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text itself."""
        return str(self)


def environment(kubeconfig: Path, kubectl: Path) -> dict[str, str]:
    """Return this process's environment with a lab's kubeconfig, and the pinned kubectl first on the PATH."""
    path = os.pathsep.join((str(kubectl.parent), os.environ.get("PATH", os.defpath)))
    return {**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": path}


def run(kubectl: Path, kubeconfig: Path, arguments: str | Sequence[str], *, stdin: str = "") -> Output:
    """Run kubectl to its end.

    Parameters
    ----------
    kubectl, kubeconfig : Path
        The program, and whom it speaks to.
    arguments : str or sequence of str
        A string is split as a shell would, and may begin with ``kubectl``.
    stdin : str
        What it reads, for ``apply -f -``.

    Raises
    ------
    ClusterError
        It failed; the message is its own.
    UsageError
        The string has an unclosed quote.
    """
    words = split(arguments)
    done = subprocess.run(
        [kubectl, *words],
        env=environment(kubeconfig, kubectl),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ClusterError(
            gettext("kubectl {words} failed").format(words=shlex.join(words)), why=(done.stderr or done.stdout).strip()
        )
    return Output(done.stdout.rstrip("\n"))


def split(arguments: str | Sequence[str]) -> list[str]:
    """Return kubectl's arguments as words.

    Raises
    ------
    UsageError
        The string has an unclosed quote.
    """
    try:
        words = shlex.split(arguments) if isinstance(arguments, str) else list(arguments)
    except ValueError as error:
        raise UsageError(
            gettext("{arguments!r} cannot be read as a command line").format(arguments=arguments), why=str(error)
        ) from error
    return words[1:] if words[:1] == ["kubectl"] else words
