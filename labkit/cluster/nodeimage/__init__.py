"""A node image for kind that needs no registry: Debian's packages, labkit's components, and pod images made of both."""

from labkit.cluster.nodeimage.build import IMAGE, RECIPE, build, is_current, size

__all__ = ["IMAGE", "RECIPE", "build", "is_current", "size"]
