"""Start the runtime: ``python -m labkit.cri --config FILE``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from labkit.cri.config import Config
from labkit.cri.server import serve
from labkit.errors import LabkitError


def main() -> int:
    """Serve until asked to end; return what to exit with."""
    parser = argparse.ArgumentParser(prog="labkit.cri", description="labkit's container runtime")
    parser.add_argument("--config", type=Path, required=True, help="the runtime's settings, as JSON")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(Config.read(arguments.config)))
    except LabkitError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
