"""Rules with their handles, as ``nft --handle list ruleset ip`` lists them (nft(8), "-a, --handle")."""

from __future__ import annotations

import re
from collections.abc import Iterator

_HANDLE = re.compile(r" # handle (\d+)$")


def rules(listing: str) -> Iterator[tuple[str, str, int, str]]:
    """Return each rule's table, chain, handle and text, in the order of the listing."""
    table = chain = ""
    for line in listing.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            table = words[2]
        elif words[:1] == ["chain"]:
            chain = words[1]
        elif chain and words == ["}"]:
            chain = ""
        elif chain and (match := _HANDLE.search(line)):
            yield table, chain, int(match[1]), line[: match.start()]
