"""What says the same thing twice must say the same: pyproject, environment.yml, lock files, binder, the wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from traitlets.config.loader import PyFileConfigLoader

from labkit.components import pins

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

# Packages that conda-forge has under another name, and those that are there for Python packages of no registry.
CONDA_NAMES = {"kubernetes": "python-kubernetes", "matplotlib": "matplotlib-base"}
CONDA_ONLY = {"python", "pip", "kubernetes", "go", "maven", "openjdk"}
#: What builds labkit, where pip is told not to fetch it itself.
BUILD = (ROOT / "scripts" / "build-requirements.in").read_text("utf-8").splitlines()


def _conda() -> dict[str, str]:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    return {name: wanted for name, _, wanted in (entry.partition(" ") for entry in entries)}


def test_conda_environment_asks_for_what_the_project_asks_for() -> None:
    conda = _conda()
    expected = {}
    build = [line for line in BUILD if line and not line.startswith("#")]
    for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["lab"] + build:
        requirement = Requirement(line)
        expected[CONDA_NAMES.get(requirement.name, requirement.name)] = requirement.specifier
    assert set(conda) == set(expected) | CONDA_ONLY
    for name, specifier in expected.items():
        assert Requirement(f"{name}{conda[name]}").specifier == specifier, name


def test_conda_environment_has_a_python_that_labkit_runs_on_and_binder_understands() -> None:
    # repo2docker/buildpacks/conda/__init__.py: where this finds nothing, the environment begins with another Python.
    found = re.match(r"python\s*=+\s*([\d\.]*)", f"python {_conda()['python']}")
    assert found is not None
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{found[1]}.0")
    assert tuple(map(int, found[1].split("."))) >= (3, 12)


def test_conda_environment_has_the_go_that_the_recipes_ask_for() -> None:
    recipes = (ROOT / "labkit" / "components" / "recipes").glob("*/go.mod")
    wanted = [re.findall(r"^go ([\d.]+)$", path.read_text("utf-8"), re.MULTILINE)[0] for path in recipes]
    assert Version(_conda()["go"].removeprefix(">=")) >= max(map(Version, wanted))


def test_conda_environment_has_the_pinned_kubernetes() -> None:
    assert "=" + pins()["kubernetes"].version.removeprefix("v") == _conda()["kubernetes"]


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", ["lab"]), ("requirements-dev.lock", ["lab", "dev"])]
)
def test_lock_file_has_every_dependency_with_hashes_and_names_no_registry(lock: str, extras: list[str]) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    locked = re.findall(r"^([a-z0-9._-]+)==(\S+)(?: ;[^\\\n]*)? \\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(locked) == len(re.findall(r"^[^\s#]", text, re.MULTILINE))
    wanted = PROJECT["dependencies"] + [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    for line in wanted:
        requirement = Requirement(line)
        assert any(requirement.specifier.contains(version) for name, version in locked if name == requirement.name), (
            line
        )


def test_binder_installs_the_debian_packages_that_labkit_runs_with() -> None:
    entries = [line.split() for line in (ROOT / "scripts" / "debian-packages.txt").read_text("utf-8").splitlines()]
    run = {words[1] for words in entries if words and words[0] == "run"}
    apt = {line for line in (ROOT / "binder" / "apt.txt").read_text("utf-8").splitlines() if not line.startswith("#")}
    assert apt == run - {"python3-venv"}  # Binder makes the environment itself
    assert (ROOT / "binder" / "environment.yml").read_text() == (ROOT / "environment.yml").read_text()


def test_apt_knows_the_packages_that_binder_installs() -> None:
    if shutil.which("apt-cache") is None:
        pytest.skip("this machine has no apt")
    lines = (ROOT / "binder" / "apt.txt").read_text("utf-8").splitlines()
    wanted = {line for line in lines if line and not line.startswith("#")}
    done = subprocess.run(["apt-cache", "show", *wanted], capture_output=True, text=True, check=False)
    assert wanted <= {line.split()[1] for line in done.stdout.splitlines() if line.startswith("Package: ")}


def test_binders_scripts_are_run_as_programs_and_stop_at_an_error() -> None:
    for name in ("postBuild", "start"):
        assert os.access(ROOT / "binder" / name, os.X_OK)
        assert "\nset -euo pipefail\n" in (ROOT / "binder" / name).read_text("utf-8")


def test_binders_start_becomes_what_it_is_given() -> None:
    start = ROOT / "binder" / "start"
    command = [str(start), "sh", "-c", 'echo "$$ $JUPYTER_CONFIG_PATH"; echo "$@"; exit 7', "sh", "a b", "c"]
    environment = {**os.environ, "JUPYTER_CONFIG_PATH": "/mine"}
    process = subprocess.Popen(command, cwd="/", env=environment, stdout=subprocess.PIPE, text=True)
    printed, _ = process.communicate(timeout=20)
    assert printed == f"{process.pid} {start.parent / 'jupyter'}:/mine\na b c\n"
    assert process.returncode == 7


def test_wheel_has_all_that_is_no_python(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    listed = subprocess.run(["git", "ls-files", "labkit"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "labkit/components/recipes/kubernetes/go.sum" in packed
    assert set(listed.split()) <= packed


@pytest.mark.parametrize(("named", "folder"), [("", "notebooks"), ("zh", "notebooks/zh")])
def test_binder_opens_the_first_notebook_in_the_language_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, named: str, folder: str
) -> None:
    monkeypatch.setenv("LABKIT_LANG", named)
    config = PyFileConfigLoader("jupyter_server_config.py", path=str(ROOT / "binder" / "jupyter")).load_config()
    first = config["LabApp"]["default_url"].removeprefix("/lab/tree/")
    assert first == f"{folder}/00_start_here.ipynb"
    assert (ROOT / first).is_file()
