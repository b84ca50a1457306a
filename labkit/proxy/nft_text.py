"""Rules of ``nft -j`` in the words of nft(8): the statements that kube-proxy uses; any other stays as JSON.

The JSON is that of libnftables-json(5).
"""

from __future__ import annotations

import json
from typing import Any

_VERDICTS = ("jump", "goto")
_PLAIN = ("accept", "drop", "reject", "return", "masquerade", "counter")


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
    if not isinstance(statement, dict) or len(statement) != 1:
        return json.dumps(statement)
    ((name, body),) = statement.items()
    if name in _VERDICTS and isinstance(body, dict):
        return f"{name} {body.get('target')}"
    if name in _PLAIN:
        return str(name)
    match body:
        case {"op": op, "left": left, "right": right} if name == "match":
            return f"{_value(left)} {'' if op == '==' else f'{op} '}{_value(right)}"
        case {"addr": address, "port": port} if name == "dnat":
            return f"dnat to {address}:{port}"
        case {"key": key, "data": data} if name == "vmap":
            return f"{_value(key)} vmap {_map(data)}"
        case {"op": op, "elem": key, "set": target} if name == "set":
            return f"{op} {target} {{ {_value(key)} }}"
    return json.dumps(statement)


def _map(data: Any) -> str:
    match data:
        case {"set": [*pairs]} if all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            return "{ " + ", ".join(f"{_value(key)} : {_statement(verdict)}" for key, verdict in pairs) + " }"
    return _value(data)


def _value(value: Any) -> str:
    match value:
        case str() | int():
            return str(value)
        case {"payload": {"protocol": protocol, "field": field}}:
            return f"{protocol} {field}"
        case {"meta": {"key": key}}:
            return f"meta {key}"
        case {"fib": {"result": result, "flags": [*flags]}}:
            return f"fib {' '.join(map(str, flags))} {result}"
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case {"numgen": {"mode": mode, "mod": mod}}:
            return f"numgen {mode} mod {mod}"
        case {"concat": [*parts]}:
            return " . ".join(map(_value, parts))
        case {"elem": {"val": inner, "comment": comment}}:
            return f'{_value(inner)} comment "{comment}"'
    return json.dumps(value)
