"""Wait until files have something in them: for a node's supervisor (init.sh).

A shell has to start a program for every look but the first, twenty a second on each node that is not configured yet.
Nothing is imported here that is slow to import.
"""

import os
import sys
import time

_LOOK_SECONDS = 0.02

if __name__ == "__main__":
    while not all(os.path.exists(path) and os.path.getsize(path) for path in sys.argv[1:]):  # noqa: PTH110, PTH202 - as above
        time.sleep(_LOOK_SECONDS)
