"""What a `Lab` offers of the cluster's installation."""

from __future__ import annotations


class Installation:
    """The calls of a lab about how its cluster was made; what they need of it is what `Lab` has."""
