"""The pinned Kubernetes programs: find, download or build them, and prove their checksum or version.

Where a component comes from, in this order: a folder the user names (`LABKIT_COMPONENTS`), the cache, the conda
environment or PATH if the version matches, the official release by its pinned checksum, Maven's client (Tomcat) or the
Go toolchain (all else). What is downloaded or built goes into the cache, atomically, with a manifest of checksums.
"""

from labkit.components.locate import Components, Row, ensure, ensure_optional, find_optional, list_components
from labkit.components.pins import Pin, pins

__all__ = ["Components", "Pin", "Row", "ensure", "ensure_optional", "find_optional", "list_components", "pins"]
