"""What differs between two versions of an object, as paths with what was there before and after."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

# Items of a list are told apart by one of these, as in a strategic merge patch (the fields' patchMergeKey tags in
# staging/src/k8s.io/api/core/v1/types.go), else by their place.
_IDENTITIES = ("name", "type", "uid", "containerPort", "port", "key", "mountPath", "ip")
_PLAIN = re.compile(r"[\w-]+")
_BOOKKEEPING = "metadata.managedFields"  # who last wrote which field: longer than the object, and no part of it


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes
    ----------
    path : str
        ``"spec.containers[tomcat8].imagePullPolicy"``; empty for the whole.
    kind : {"added", "removed", "changed"}
        What became of it.
    before, after : any JSON value
        None where there was, or is, nothing.
    """

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any


def changes(before: Any, after: Any) -> tuple[Change, ...]:
    """Return what differs, in order of paths; managedFields are left out."""
    return tuple(sorted(_changes("", before, after), key=lambda change: change.path))


def _changes(path: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after or path == _BOOKKEEPING:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _between(path, before, after, _member)
        return
    if _is_list(before) and _is_list(after):
        yield from _between(path, *_identified(before, after), _item)
        return
    yield Change(path, "changed", before, after)


def _between(path: str, before: Mapping[Any, Any], after: Mapping[Any, Any], join: Any) -> Iterator[Change]:
    for key in {**before, **after}:
        below = join(path, key)
        if below == _BOOKKEEPING:
            continue
        if key not in before:
            yield Change(below, "added", None, after[key])
        elif key not in after:
            yield Change(below, "removed", before[key], None)
        else:
            yield from _changes(below, before[key], after[key])


def _member(path: str, key: str) -> str:
    if not _PLAIN.fullmatch(key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def _item(path: str, key: object) -> str:
    return f"{path}[{key}]"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _identified(before: Sequence[Any], after: Sequence[Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Return two lists as mappings, by what tells their items apart."""
    for name in _IDENTITIES:
        both = [_by(name, before), _by(name, after)]
        if len(both[0]) == len(before) and len(both[1]) == len(after):
            return both[0], both[1]
    return dict(enumerate(before)), dict(enumerate(after))


def _by(name: str, items: Sequence[Any]) -> dict[Any, Any]:
    return {str(item[name]): item for item in items if isinstance(item, Mapping) and name in item}
