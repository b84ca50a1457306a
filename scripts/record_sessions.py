"""Run notebooks on a lab each and record what it answered, for where no cluster can run: `make sessions`.

python -m scripts.record_sessions [NAME ...]     # all by default
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

import labkit
from labkit.lab.session.tape import SUFFIX
from scripts.build_notebooks import FOLDER, named, source

RECORDINGS = Path(labkit.__file__).parent / "recordings"
_CELL_SECONDS = 300
_BEGIN = """
import labkit
from datetime import UTC, datetime
from labkit.lab.session.recording import RecordedLab
from labkit.lab.session.tape import About

def _recording(up):
    def recorded(*arguments, **options):
        lab = up(*arguments, **options)
        about = About({name!r}, datetime.now(UTC), lab.spec.kubernetes_version, lab.cluster.provider)
        labkit.recorded_lab = RecordedLab(lab, about)
        return labkit.recorded_lab
    return recorded

labkit.up = _recording(labkit.up)
"""
#: What is asked besides, so that learners' answers can be checked: by notebook, and by how the cell before it begins.
_ALSO = {
    "01_architecture": {
        "prediction = {": """
for component in ("kube-scheduler", "kube-controller-manager", "kubelet/node-01"):
    architecture.stopped(lab, component, dict.fromkeys(prediction, True))
architecture.static_pods(lab, {"etcd"})
architecture.known_as(lab, "kube-scheduler", "nobody")
"""
    },
    "02_pods": {
        "answer = None\npods.reaches": """
for host in ("127.0.0.1", "localhost", "mysql", "php", "blog", lab.anatomy("blog").address):
    pods.reaches(lab, f"{host}:3306")
"""
    },
}
_END = "from pathlib import Path\nlabkit.recorded_lab.save(Path({path!r}))"


def record(name: str) -> Path:
    """Run a notebook from top to bottom on a lab of its own, and return the file of what it was answered."""
    path = RECORDINGS / f"{name}{SUFFIX}"
    notebook = source(name)
    begin, end = (new_code_cell(text) for text in (_BEGIN.format(name=name), _END.format(path=str(path))))
    notebook.cells = [begin, *_with_more(name, notebook.cells), end]
    resources = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=_CELL_SECONDS, store_widget_state=False, resources=resources).execute()
    path.chmod(0o644)  # a session holds no secrets, and this one is for everybody
    return path


def _with_more(name: str, cells: list[Any]) -> Iterator[Any]:
    """Yield a notebook's cells, and what is asked besides after them."""
    also = dict(_ALSO.get(name, {}))
    for cell in cells:
        yield cell
        for beginning in [each for each in also if cell.source.startswith(each)]:
            yield new_code_cell(also.pop(beginning))
    if also:
        sys.exit(f"Notebook {name} has no cell that begins so: {', '.join(also)}")


def main() -> None:
    """Record the notebooks that are named, or all."""
    os.environ["LABKIT_PROVIDER"] = "rootless"
    for name in named(sys.argv[1:]):
        with tempfile.TemporaryDirectory(prefix="labkit-sessions-") as state:
            os.environ["LABKIT_STATE"] = state
            try:
                path = record(name)
            finally:
                for lab in labkit.lab_names():  # of a notebook that failed
                    labkit.down(lab)
        print(f"{name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
