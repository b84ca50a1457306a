"""Experiments: what is done to a lab to find something out, as one call of a session.

What an experiment asks on the way is not taken down: it has names that are drawn by lot, and waits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from labkit.lab.lab import Lab

_Options = ParamSpec("_Options")
_Found = TypeVar("_Found")


def one_call(
    function: Callable[Concatenate[Lab, _Options], _Found],
) -> Callable[Concatenate[Lab, _Options], _Found]:
    """Make a function one call of a session, by its name and arguments.

    Parameters
    ----------
    function : callable
        Takes a lab first; it leaves the lab as it found it, and returns a value (`labkit.lab.session.values`).
    """

    @functools.wraps(function)
    def done(lab: Lab, /, *arguments: _Options.args, **options: _Options.kwargs) -> _Found:
        whole = getattr(type(lab), "whole", None)  # sessions have it: the one that is made, and the recorded one
        found: _Found = whole(lab, function, arguments, options) if whole else function(lab, *arguments, **options)
        return found

    return done
