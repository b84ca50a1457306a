"""What a lab answers, as JSON and back.

What JSON has no form for is an object with the key ``$``, which says what it is: ``tuple``, ``datetime``, or a
dataclass of labkit by module and name (``labkit.lab.status:LabStatus``) with its fields. Evidence, and bytes that are
no text, are files beside.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import io
import ipaddress
import math
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit.evidence import recording
from labkit.evidence.model import Evidence
from labkit.lab.kubectl import Output

Files = dict[str, bytes]

_KIND = "$"
#: Where the dataclasses live that a lab answers with, and experiments: a file may name no other module.
_HOMES = ("labkit.lab.", "labkit.proxy.", "labkit.flow.", "labkit.evidence.", "labkit.checks.")
_PLAIN: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "Output": (Output, str, Output),
    "IPv4Address": (ipaddress.IPv4Address, str, ipaddress.IPv4Address),
}
_SEQUENCES: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}


class NoValueError(TypeError):
    """Something that is no value: it does things, as a panel or a node does."""


def encode(value: Any, files: Files) -> Any:
    """Return a value as JSON has it.

    Parameters
    ----------
    value : object
        Text, numbers, the usual collections, dataclasses of labkit.
    files : dict
        Takes what is a file of its own.

    Raises
    ------
    NoValueError
        It, or something in it, is no value.
    """
    if value is None or type(value) in {bool, int, str} or (type(value) is float and math.isfinite(value)):
        return value
    if type(value) is list:
        return [encode(item, files) for item in value]
    if isinstance(value, Mapping):
        return _mapping(value, files)
    return _named(value, files)


def decode(value: Any, files: Files) -> Any:
    """Return what was encoded.

    Raises
    ------
    ValueError, TypeError, KeyError, AttributeError, ImportError
        It was not encoded by this labkit.
    """
    if isinstance(value, list):
        return [decode(item, files) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_KIND)
    if kind is None:
        return {key: decode(item, files) for key, item in value.items()}
    return _unnamed(kind, value, files)


def _mapping(value: Mapping[Any, Any], files: Files) -> Any:
    if all(type(key) is str for key in value) and _KIND not in value:
        return {key: encode(item, files) for key, item in value.items()}
    return {_KIND: "dict", "items": [[encode(key, files), encode(item, files)] for key, item in value.items()]}


def _named(value: Any, files: Files) -> dict[str, Any]:
    """Return what says of itself what it is."""
    for name, (kind, to_text, _) in _PLAIN.items():
        if type(value) is kind:
            return {_KIND: name, "text": to_text(value)}
    for name, sequence in _SEQUENCES.items():
        if type(value) is sequence:
            items = [encode(item, files) for item in value]
            return {_KIND: name, "items": items if name == "tuple" else sorted(items, key=repr)}
    if isinstance(value, Evidence):
        return _file(_recording_of(value), recording.SUFFIX, "Evidence", files)
    return _bytes(value, files) if isinstance(value, bytes) else _object(value, files)


def _unnamed(kind: str, value: dict[str, Any], files: Files) -> Any:
    if kind in _PLAIN:
        return _PLAIN[kind][2](value["text"])
    if kind in _SEQUENCES:
        return _SEQUENCES[kind](decode(item, files) for item in value["items"])
    if kind == "dict":
        return {decode(key, files): decode(item, files) for key, item in value["items"]}
    if kind == "bytes":
        return value["text"].encode() if "text" in value else files[value["file"]]
    if kind == "Evidence":
        return _evidence(files[value["file"]])
    fields = {name: decode(item, files) for name, item in value.items() if name != _KIND}
    return _class(kind)(**fields)


def _object(value: Any, files: Files) -> dict[str, Any]:
    kind = type(value)
    if not dataclasses.is_dataclass(kind) or not kind.__module__.startswith(_HOMES):
        raise NoValueError(f"{kind.__module__}.{kind.__qualname__} is no value")
    fields = {field.name: encode(getattr(value, field.name), files) for field in dataclasses.fields(kind) if field.init}
    return {_KIND: f"{kind.__module__}:{kind.__qualname__}", **fields}


def _class(kind: str) -> Any:
    module, _, name = kind.partition(":")
    if not module.startswith(_HOMES):
        raise ValueError(f"{kind!r} is nothing that a lab answers with")
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, type) or not dataclasses.is_dataclass(found):
        raise TypeError(f"{kind!r} is no dataclass")
    return found


def _bytes(value: bytes, files: Files) -> dict[str, Any]:
    try:
        return {_KIND: "bytes", "text": value.decode()}
    except UnicodeDecodeError:
        return _file(value, "", "bytes", files)


def _file(content: bytes, suffix: str, kind: str, files: Files) -> dict[str, Any]:
    name = f"{hashlib.sha256(content).hexdigest()[:12]}{suffix}"  # the same content is kept once
    files[name] = content
    return {_KIND: kind, "file": name}


def _recording_of(evidence: Evidence) -> bytes:
    """Return a recording that is not compressed: a session is, as a whole, and two of its recordings are much alike."""
    with tempfile.TemporaryDirectory() as folder:
        times = [event.received for event in evidence.audit]
        path = recording.save(evidence, Path(folder) / "evidence", recorded=max(times, default=None))
        plain = io.BytesIO()
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(plain, "w") as target:
            for member in source.infolist():
                target.writestr(zipfile.ZipInfo(member.filename), source.read(member))
        return plain.getvalue()


def _evidence(content: bytes) -> Evidence:
    with tempfile.NamedTemporaryFile(suffix=recording.SUFFIX) as file:
        file.write(content)
        file.flush()
        return recording.load(file.name).evidence
