"""How many pods there were during an update, against limits: a moment in which two controllers act is none."""

from __future__ import annotations

import pytest

from labkit.checks.controllers import _outside
from labkit.flow.rollout import Count


@pytest.mark.parametrize(
    ("counts", "at"),
    [
        ([Count(0, 3, 3), Count(100, 2, 2), Count(150, 3, 2), Count(900, 3, 3)], None),
        ([Count(0, 3, 3), Count(100, 4, 3), Count(399, 3, 2), Count(900, 3, 3)], None),
        ([Count(0, 3, 3), Count(100, 4, 3), Count(401, 3, 2), Count(900, 3, 3)], 100),
        ([Count(0, 3, 3), Count(100, 4, 3), Count(300, 4, 4), Count(500, 3, 3)], 100),
        ([Count(0, 3, 3), Count(100, 4, 3)], 100),
        ([Count(0, 3, 3), Count(100, 2, 1), Count(101, 3, 3)], 100),
    ],
    ids=["within", "one more for a moment", "for longer", "in two steps", "to the end", "too few ready"],
)
def test_limits(counts: list[Count], at: float | None) -> None:
    found = _outside(counts, most=3, least=2)
    assert (found.at if found else None) == at
