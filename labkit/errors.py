"""Every error labkit raises on purpose: few types, each message says what, why and what to do."""

from __future__ import annotations

from labkit.language import gettext


class LabkitError(Exception):
    """Something failed and labkit knows what, why and what to do about it.

    Parameters
    ----------
    what : str
        What went wrong, as one sentence.
    why : str, optional
        The cause, with the evidence at hand (a log's tail, a path, a value).
    fix : str, optional
        What the reader can do about it.

    Attributes
    ----------
    exit_code : int
        What the command line exits with.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        """Return the message as lines: what, then why, then the fix."""
        parts = [self.what]
        if self.why:
            parts.append(gettext("Why: {why}").format(why=self.why))
        if self.fix:
            parts.append(gettext("What to do: {fix}").format(fix=self.fix))
        return "\n".join(parts)


class UsageError(LabkitError):
    """The caller asked for something that cannot be right; nothing was started or changed."""

    exit_code = 2


class PreflightError(LabkitError):
    """The machine lacks something that the request needs; nothing was started or changed."""

    exit_code = 3


class ComponentError(LabkitError):
    """A pinned program could not be found, fetched, built or verified."""


class ClusterError(LabkitError):
    """A cluster, a node or one of its components did not do what it was asked."""


class EvidenceError(LabkitError):
    """Evidence that a component should have left is missing or unreadable."""


class NotRecordedError(LabkitError):
    """A lab that is a recording was asked what nobody asked while it was recorded."""
