"""Bring the catalogues up to date and make of them what is read: labkit.mo, notebooks/zh. No lab is needed.

It says which texts lack a translation: write those into the catalogue, take `#, fuzzy` away where a translation still
fits, and run it again.
"""

from __future__ import annotations

from rich.console import Console

from scripts import catalogues
from scripts.build_notebooks import named, translate


def main() -> None:
    """Do it for labkit and for every notebook."""
    console = Console(stderr=True)
    catalogues.renew(catalogues.LABKIT, catalogues.said_by_labkit())
    catalogues.LABKIT.with_suffix(".mo").write_bytes(catalogues.compiled(catalogues.LABKIT))
    names = named([])
    for name in names:
        catalogues.renew(catalogues.of_notebook(name), catalogues.said_by_notebook(name))
        translate(name)
    for path in (catalogues.LABKIT, *map(catalogues.of_notebook, names)):
        lacking = catalogues.lacking(path)
        told = f", {len(lacking)} lack a translation; the first: {lacking[0]!r}" if lacking else ""
        console.print(
            f"{path.relative_to(catalogues.SOURCES.parent)}: {len(catalogues.read(path))} texts{told}", markup=False
        )


if __name__ == "__main__":
    main()
