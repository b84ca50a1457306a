"""The calls that nodes' container runtimes logged: one JSON object a line (labkit.cri.calls)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from labkit.evidence.model import Loss, RuntimeCall
from labkit.evidence.tail import Tail


def parse(line: bytes, node: str, number: int) -> RuntimeCall:
    """Read one line.

    Raises
    ------
    ValueError
        It is no call.
    """
    raw: Any = orjson.loads(line)
    try:
        return RuntimeCall(
            number=number,
            node=node,
            time=datetime.fromisoformat(raw["time"]).astimezone(UTC),
            seconds=float(raw["seconds"]),
            call=raw["call"],
            namespace=raw.get("namespace", ""),
            pod=raw.get("pod", ""),
            uid=raw.get("uid", ""),
            container=raw.get("container", ""),
            image=raw.get("image", ""),
            error=raw.get("error", ""),
            fields=raw,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a call without {error}") from error


class RuntimeTail:
    """The calls of all nodes' runtimes, followed.

    Parameters
    ----------
    logs : mapping of str to Path
        Node → its log of calls.
    since : datetime or None
        Calls that began before are left out; None takes all.
    """

    def __init__(self, logs: Mapping[str, Path], since: datetime | None = None) -> None:
        self._logs = logs
        self._tails = {node: Tail(partial(_existing, path)) for node, path in logs.items()}
        self._numbers = dict.fromkeys(logs, 0)
        self._since = since
        self._losses: list[Loss] = []
        self._told_missing: set[str] = set()

    @property
    def at_end(self) -> bool:
        """Whether the last read came to the end of every log."""
        return all(tail.at_end for tail in self._tails.values())

    def read(self) -> list[RuntimeCall]:
        """Return what was added since the last call, each node's in its order."""
        calls = []
        for node, tail in self._tails.items():
            for line in tail.read():
                self._numbers[node] += 1
                try:
                    call = parse(line, node, self._numbers[node])
                except ValueError:
                    self._losses.append(Loss("runtime", f"line {self._numbers[node]} of {node} is no call"))
                    continue
                if self._since is None or call.time >= self._since:
                    calls.append(call)
        if self.at_end:
            self._since = None  # from here on all is new, whatever the clock does
        return calls

    def take_losses(self) -> list[Loss]:
        """Return what was lost since the last call."""
        losses, self._losses = self._losses, []
        for node, tail in self._tails.items():
            losses += [Loss("runtime", f"{node}: {what}", why) for what, why in tail.take_losses()]
            if not tail.found and node not in self._told_missing:
                self._told_missing.add(node)
                losses.append(Loss("runtime", f"{node} has no log of calls", f"{self._logs[node]} does not exist"))
        return losses

    def close(self) -> None:
        """Close the files."""
        for tail in self._tails.values():
            tail.close()


def _existing(path: Path) -> list[Path]:
    return [path] if path.exists() else []
