"""YAML that Kubernetes' programs read as it was meant.

They take a bare ``y`` or ``n`` for a truth value (YAML 1.1, yaml.org/type/bool.html) and ``1e3`` or ``0o7`` for a
number, which PyYAML does not and so leaves unquoted: a lab may have such a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    pass


# What would be resolved as something else is quoted.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("[yYnN]$"), list("yYnN"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("[-+.0-9]"), list("-+.0123456789"))


def dump(document: Any) -> str:
    """Return one document."""
    return dump_all([document])


def dump_all(documents: Iterable[Any]) -> str:
    """Return documents, one after the other."""
    text: str = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False)
    return text
