"""Look at the node that this runs on, and tell what was found, as JSON: an object per line of the textbook's script."""

from __future__ import annotations

import json
from dataclasses import asdict

from labkit.cluster.preflight.preparation import look

print(json.dumps([{"part": step.part, "line": step.line, **asdict(check)} for step, check in look()]))
