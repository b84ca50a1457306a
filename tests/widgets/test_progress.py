"""How phases look in a notebook."""

from __future__ import annotations

from labkit.progress import Progress
from labkit.widgets.progress import PhaseTable


def test_a_row_has_what_goes_on_or_what_came_of_it() -> None:
    table = PhaseTable()
    progress = Progress(table.add)
    with progress.phase("provider") as phase:
        phase.conclude("<rootless>")
    with progress.phase("nodes") as phase:
        phase.advance("node-01", 0.5)
        assert table.rows()[1] == ("▸", "nodes", "0.0 s", "50% node-01")
    assert table.rows() == [("✓", "provider", "0.0 s", "<rootless>"), ("✓", "nodes", "0.0 s", "")]
    assert "&lt;rootless&gt;" in table._repr_html_()
