"""Rules of ``nft -j`` in the words of nft(8): the statements that kube-proxy uses; any other stays as JSON.

The JSON is that of libnftables-json(5).
"""

from __future__ import annotations

import json
from typing import Any


def rule(entry: dict[str, Any]) -> str:
    """Return a rule as ``"CHAIN: ip daddr 10.96.0.1 …"``."""
    words = [_statement(statement) for statement in entry.get("expr", [])]
    if entry.get("comment"):
        words.append(f'comment "{entry["comment"]}"')
    return f"{entry.get('chain', '')}: {' '.join(words)}"


def element(map_name: str, key: Any, verdict: Any) -> str:
    """Return an element of a verdict map as ``"service-ips: 10.96.0.1 . tcp . 443 : goto CHAIN"``."""
    return f"{map_name}: {_value(key)} : {_statement(verdict)}"


def _statement(statement: Any) -> str:
    match statement:
        case {"match": {"op": op, "left": left, "right": right}}:
            text = f"{_value(left)} {'' if op == '==' else f'{op} '}{_value(right)}"
        case {"jump": {"target": chain}}:
            text = f"jump {chain}"
        case {"goto": {"target": chain}}:
            text = f"goto {chain}"
        case {"dnat": {"addr": address, "port": port}}:
            text = f"dnat to {address}:{port}"
        case {"vmap": {"key": key, "data": data}}:
            text = f"{_value(key)} vmap {_value(data)}"
        case {"set": {"op": op, "elem": key, "set": name}}:
            text = f"{op} {name} {{ {_value(key)} }}"
        case {"drop": None}:
            text = "drop"
        case _:
            text = json.dumps(statement)
    return text


def _value(value: Any) -> str:
    match value:
        case str() | int():
            text = str(value)
        case {"payload": {"protocol": protocol, "field": field}}:
            text = f"{protocol} {field}"
        case {"meta": {"key": key}}:
            text = f"meta {key}"
        case {"fib": {"result": result, "flags": [*flags]}}:
            text = f"fib {' '.join(map(str, flags))} {result}"
        case {"prefix": {"addr": address, "len": length}}:
            text = f"{address}/{length}"
        case {"numgen": {"mode": mode, "mod": mod}}:
            text = f"numgen {mode} mod {mod}"
        case {"concat": [*parts]}:
            text = " . ".join(map(_value, parts))
        case {"elem": {"val": inner, "comment": comment}}:
            text = f'{_value(inner)} comment "{comment}"'
        case {"set": [[_, _], *_] as pairs}:
            text = "{ " + ", ".join(f"{_value(key)} : {_statement(verdict)}" for key, verdict in pairs) + " }"
        case _:
            text = json.dumps(value)
    return text
