"""What a node's rules say, with 5,000 Services: from the tools' output to the model, in each mode.

The output is a real node's (tests/proxy/data), in which a Service of one port and three endpoints is copied, with
names, addresses and chains of its own, until there are enough.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labkit.proxy.rules import Tables

_DATA = Path(__file__).parents[1] / "tests" / "proxy" / "data"
_SERVICE = "shop/udp"
_FIRST = ipaddress.IPv4Address("10.97.0.1")
_CHAIN = re.compile(r"KUBE-(?:SVC|SEP|EXT)-([0-9A-Z]{16})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=5000, help="how many (default 5000)")
    parser.add_argument("--runs", type=int, default=5, help="how often each (default 5)")
    options = parser.parse_args()
    iptables = _iptables((_DATA / "node-01.iptables").read_text(), options.services)
    nftables = _nftables((_DATA / "node-01.nft.json").read_text(), options.services)
    for tables in (Tables("node-01", iptables, ""), Tables("node-01", "", nftables)):
        times = []
        for _ in range(options.runs):
            began = time.perf_counter()
            (mode,) = tables.modes
            found = tables.parse(mode)
            times.append(time.perf_counter() - began)
        copies = [port for port in found.ports if port.service.startswith(f"{_SERVICE}-") and len(port.endpoints) == 3]
        assert len(copies) == options.services, f"only {len(copies)} of {options.services} were understood"
        size = len(tables.iptables or tables.nftables) / 1e6
        print(f"{mode}, {len(copies)} Services, {size:4.1f} MB: tables to model (s) {statistics.median(times):8.2f}")


def _iptables(text: str, count: int) -> str:
    """Return the output of iptables-save with so many copies of the Service."""
    chains = {match[1] for line in text.splitlines() if _SERVICE in line for match in _CHAIN.finditer(line)}
    (address,) = {match[1] for match in re.finditer(rf'-d (\S+)/32 .*"{_SERVICE}:', text)}
    ours = re.compile("|".join(chains))
    lines: list[str] = []
    for line in text.splitlines():
        lines.append(line)
        if line.startswith("-A ") and ours.search(line):
            template = line.replace(_SERVICE, f"{_SERVICE}-NUMBER").replace(f"-d {address}/32", "-d ADDRESS/32")
            lines += [
                ours.sub(lambda match: f"{match[0][:11]}{number:05}", template)  # noqa: B023 - called at once
                .replace("NUMBER", str(number))
                .replace("ADDRESS", str(_FIRST + number))
                for number in range(count)
            ]
    return "\n".join(lines)


def _nftables(text: str, count: int) -> str:
    """Return the output of ``nft -j list table`` with so many copies of the Service."""
    entries: list[dict[str, Any]] = json.loads(text)["nftables"]
    ours = [each for each in entries if f"-{_SERVICE}/" in json.dumps(each) and ("rule" in each or "chain" in each)]
    elements = next(each["map"]["elem"] for each in entries if each.get("map", {}).get("name") == "service-ips")
    element = next(each for each in elements if f"-{_SERVICE}/" in json.dumps(each))
    address = element[0]["concat"][0]
    for own, entry in _copies(json.dumps([ours, element]), address, count):
        entries += own
        elements.append(entry)
    return json.dumps({"nftables": entries})


def _copies(template: str, address: str, count: int) -> Iterator[tuple[list[dict[str, Any]], Any]]:
    for number in range(count):
        copy = template.replace(f"-{_SERVICE}/", f"-{_SERVICE}-{number}/").replace(address, str(_FIRST + number))
        yield json.loads(copy)


if __name__ == "__main__":
    main()
