"""Looking into the bodies of requests and answers, which may be of any shape: a recording comes from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]
_NOTHING: Json = {}


def dig(value: Any, *keys: str) -> Any:
    """Return what is at a path of keys, or None where there is no such path."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def mapping(value: Any, *keys: str) -> Json:
    """Return the mapping at a path, or an empty one."""
    found = dig(value, *keys)
    return found if isinstance(found, Mapping) else _NOTHING


def mappings(value: Any, *keys: str) -> list[Json]:
    """Return the mappings in the list at a path, or none."""
    found = dig(value, *keys)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def text(value: Any, *keys: str) -> str:
    """Return the text at a path, or an empty one."""
    found = dig(value, *keys)
    return found if isinstance(found, str) else ""


def metadata(body: Any) -> Json:
    """Return the metadata of an object, or an empty mapping."""
    return mapping(body, "metadata")
