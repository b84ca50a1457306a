"""What the panels' tests share: one Chromium and one JupyterLab, which know nothing of the test before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.chromium import chromium
from tests.widgets.jupyterlab import Jupyter, jupyterlab

#: The page of a notebook tells tests what it is made of, in JupyterLab and in Notebook 7.
_EXPOSED = ("--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True")


@pytest.fixture(scope="package")  # Playwright's event loop runs as long as it, and would be in others' way
def browser() -> Iterator[Browser]:
    """One Chromium; a test opens a page of its own, with nothing stored, and closes it."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def _jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    pytest.importorskip("jupyterlab")
    folder = tmp_path_factory.mktemp("jupyter")
    with jupyterlab(folder, *_EXPOSED) as address:
        yield Jupyter(address, folder)


@pytest.fixture
def jupyter(_jupyter: Jupyter) -> Iterator[Jupyter]:
    """One JupyterLab: no notebook, no kernel, and the settings that all begin with."""
    yield _jupyter
    _jupyter.forget()
