"""What repo2docker makes of binder/, followed step by step by an ordinary user who can gain no privileges.

The steps are those of repo2docker/buildpacks/base.py: the repository lies in the user's own home; apt.txt's packages
are installed by root (here they are there already), postBuild runs once, and start before the server, each time.
conda's environment is the one step that cannot be followed where conda-forge is out of reach: the project's own Python
packages stand for it.
"""

from __future__ import annotations

import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labkit import components, paths
from tests import traces
from tests.users import as_user, link, ordinary_user

ROOT = Path(__file__).parents[1]
FIRST = "notebooks/00_start_here.ipynb"
USER = "labkit-binder"


@dataclass(frozen=True)
class Image:
    """What repo2docker would have built.

    Attributes
    ----------
    home : Path
        The user's home, which is the repository.
    venv : Path
        The Python environment that labkit is installed into.
    """

    home: Path
    venv: Path

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of a container."""
        return {
            "HOME": str(self.home),
            "REPO_DIR": str(self.home),
            "USER": USER,
            "LANG": "C.UTF-8",
            "PATH": f"{self.venv}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "JPY_SESSION_NAME": str(self.home / FIRST),  # as Jupyter Server tells a notebook's kernel
        }

    def command(self, *words: str | Path) -> list[str | Path]:
        """Return the command line that runs a program in a container of the image."""
        environment = [f"{name}={value}" for name, value in self.variables.items()]
        user = as_user(USER, no_new_privileges=True)
        return [*user, "env", "--ignore-environment", f"--chdir={self.home}", *environment, *words]

    def run(self, *words: str | Path) -> str:
        """Run a program in a container of the image, and return what it printed; fail if it fails."""
        return run(self.command(*words))


def run(command: Sequence[str | Path]) -> str:
    """Return what a program printed; fail if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@contextmanager
def built() -> Iterator[Image]:
    """Build the image; its user and its files are gone in the end."""
    folder = Path(tempfile.mkdtemp(prefix="labkit-binder-"))
    folder.chmod(0o755)
    made = Image(folder / "home", folder / "venv")
    try:
        with ordinary_user(USER, made.home):
            _copy_repository(made.home)
            _copy_environment(made.venv)
            made.run("binder/postBuild")
            yield made
            traces.eventually(lambda: not traces.processes(made.home))
    finally:
        shutil.rmtree(folder)


def _copy_repository(home: Path) -> None:
    """Lay the repository where repo2docker does, and the programs into the user's cache, so that none is fetched."""
    home.mkdir()
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")[:-1]
    subprocess.run(["cp", "--archive", "--parents", *names, home], cwd=ROOT, check=True)
    for pin in components.pins().values():
        link(paths.cache_dir() / "components" / pin.folder_name, home / ".cache/labkit/components" / pin.folder_name)
    _give(home)


def _copy_environment(venv: Path) -> None:
    """Make an environment with pip and with the Python packages of this one, without labkit."""
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True)
    packages = venv / Path(site.getsitepackages()[0]).relative_to(sys.prefix)
    for path in Path(site.getsitepackages()[0]).iterdir():
        if not path.name.startswith(("labkit", "_labkit", "__editable__")) and not (packages / path.name).exists():
            link(path, packages / path.name)
    link(Path(sys.prefix) / "share", venv / "share")  # JupyterLab's pages, kernels
    _give(venv)


def _give(folder: Path) -> None:
    """Make the folders the user's; the files in them may be shared with others, so they stay as they are."""
    subprocess.run(["find", folder, "-type", "d", "-exec", "chown", f"{USER}:", "{}", "+"], check=True)
