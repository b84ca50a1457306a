"""Runtime errors that say which gRPC status kubelet shall see."""

from __future__ import annotations

from labkit.errors import ClusterError


class CriError(ClusterError):
    """A CRI call failed.

    Attributes
    ----------
    code : str
        The name of the gRPC status that the call ends with.
    """

    code = "UNKNOWN"


class NotFoundError(CriError):
    """No such sandbox, container or image."""

    code = "NOT_FOUND"


class StateError(CriError):
    """The sandbox, container or machine is not in a state that allows the call."""

    code = "FAILED_PRECONDITION"


class ArgumentError(CriError):
    """The call asks for something that can never be right."""

    code = "INVALID_ARGUMENT"


class DeadlineError(CriError):
    """A process took longer than the caller allowed, and was ended."""

    code = "DEADLINE_EXCEEDED"
