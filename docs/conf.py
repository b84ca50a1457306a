"""How Sphinx builds these pages: `make docs`."""

import re
from pathlib import Path

project = "labkit"
project_copyright = "the labkit authors, Apache-2.0"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]

# Links to a heading are checked, down to this level.
myst_heading_anchors = 3
myst_links_external_new_tab = False

html_theme = "furo"
html_title = "labkit"
html_static_path = ["_static"]
html_css_files = ["labkit.css"]
html_copy_source = False
html_show_sourcelink = False
# No font and no script comes from elsewhere: the pages are read where no network is.
html_theme_options = {"navigation_with_keys": True}


def _files_outside(app, name, text):
    """Have links to documents outside of this folder lead to the files: a forge shows them, this site gives them."""
    page = Path(app.env.doc2path(name))

    def outside(link):
        target = (page.parent / link[1]).resolve()
        return link[0] if target.is_relative_to(app.srcdir) else f"](path:{link[1]})"

    text[0] = re.sub(r"\]\((\.\./[^)#]+\.md)\)", outside, text[0])


def setup(app):
    """Register what is above."""
    app.connect("source-read", _files_outside)
