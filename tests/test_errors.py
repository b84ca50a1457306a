"""What an error says, and what the command line exits with."""

from __future__ import annotations

import pytest

from labkit import errors
from labkit.errors import LabkitError, PreflightError, UsageError

TYPES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LabkitError)]


def test_an_error_says_what_why_and_what_to_do() -> None:
    error = LabkitError("It broke", why="it was old", fix="buy a new one")
    assert str(error) == "It broke\nWhy: it was old\nWhat to do: buy a new one"
    assert (error.what, error.why, error.fix) == ("It broke", "it was old", "buy a new one")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (LabkitError("It broke"), "It broke"),
        (LabkitError("It broke", why="old"), "It broke\nWhy: old"),
        (LabkitError("It broke", fix="mend it"), "It broke\nWhat to do: mend it"),
    ],
)
def test_what_is_not_known_is_not_said(error: LabkitError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize("kind", TYPES)
def test_every_error_is_caught_as_labkits_own_and_has_an_exit_code(kind: type[LabkitError]) -> None:
    with pytest.raises(LabkitError):
        raise kind("It broke")
    assert kind.exit_code in {1, 2, 3}


def test_exit_codes_tell_usage_and_preflight_from_failure() -> None:
    assert {kind.__name__: kind.exit_code for kind in TYPES if kind.exit_code != 1} == {
        UsageError.__name__: 2,
        PreflightError.__name__: 3,
    }
