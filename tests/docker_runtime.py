"""An OCI runtime for machines that lack a capability: it takes from a container what the machine could not give it.

``docker run --privileged`` asks for every capability that the kernel knows, and runc fails with "unable to apply caps"
where this machine's bounding set has not all of them (capabilities(7)). Called as runc is (github.com/opencontainers/
runc, man/), it edits the configuration that runc is about to read, and becomes runc.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

#: Number → name of the one that virtual machines are known to lack.
_KNOWN = {24: "CAP_SYS_RESOURCE"}


def main(arguments: list[str]) -> None:
    for option, name in (("--bundle", "config.json"), ("-b", "config.json"), ("--process", ""), ("-p", "")):
        if option in arguments:
            file = Path(arguments[arguments.index(option) + 1], name)
            document = json.loads(file.read_text())
            _reduce(document.get("process", document))
            file.write_text(json.dumps(document))
    os.execvp("runc", ["runc", *arguments])  # noqa: S606


def _reduce(process: dict[str, dict[str, list[str]]]) -> None:
    status = Path("/proc/self/status").read_text()
    bounding = int(status.partition("CapBnd:")[2].split()[0], 16)
    missing = {name for number, name in _KNOWN.items() if not bounding >> number & 1}
    for kind, names in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [name for name in names or [] if name not in missing]


if __name__ == "__main__":
    main(sys.argv[1:])
