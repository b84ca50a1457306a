"""What Jupyter opens: the first notebook, in the language that LABKIT_LANG names."""

from labkit.language import language

c = get_config()  # noqa: F821 - traitlets gives it to a file of configuration
_FOLDER = "notebooks" if language() == "en" else f"notebooks/{language()}"
_FIRST = f"/lab/tree/{_FOLDER}/00_start_here.ipynb"
c.ServerApp.default_url = c.LabApp.default_url = c.JupyterNotebookApp.default_url = _FIRST
c.LabApp.news_url = None
