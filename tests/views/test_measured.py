"""What was measured as a table and as a plot, from values that are made."""

from __future__ import annotations

import json

import pytest

from labkit.proxy.measured import Figure, Machine, Measurement, Run
from labkit.views.measured import draw, to_html

MACHINE = Machine(2, "A <processor>", "6.1", "v1.34.3", 0.5, 3)


def run(mode: str, services: int, last: float = 1e-4, rules: int = 10) -> Run:
    return Run(
        mode=mode,  # type: ignore[arg-type]
        services=services,
        rules=rules,
        elements=0,
        program_all=0.5,
        program_one=(0.1, 0.3),
        first=1e-4,
        last=last,
        cpu=0.2,
        memory=90.0,
        switch=4.0,
        asked=80,
        failed=3,
    )


def measured(*runs: Run) -> Measurement:
    usual = [run(mode, services) for services in (10, 100) for mode in ("iptables", "ipvs")]
    return Measurement(MACHINE, "node-01", runs or tuple(usual))


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(1.234, 0.0), "1.23"),
        (Figure(1.234, 0.0567), "1.23 ± 0.0567"),
        (Figure(12345.6, 7.0), "12346 ± 7"),
        (Figure(0.0, 0.0), "0"),
    ],
)
def test_a_figure(figure: Figure, text: str) -> None:
    assert str(figure) == text


def test_the_mean_of_all_single_values() -> None:
    found = measured(run("iptables", 10, last=1e-4), run("iptables", 10, last=3e-4), run("nftables", 10))
    assert found.figure("iptables", 10, "last").mean == pytest.approx(2e-4)
    assert found.figure("iptables", 10, "last").deviation == pytest.approx(1.414e-4, rel=1e-3)
    assert found.figure("nftables", 10, "program_one").mean == pytest.approx(0.2)
    assert found.repeats == 2
    rows = found.rows()
    assert [row[:2] for row in rows] == [("iptables", "10"), ("nftables", "10")]
    assert rows[0][-1] == "6 of 160"
    assert "200 ± 141" in rows[0]


def test_the_plot_has_a_curve_for_each_mode_and_says_where_it_was_measured() -> None:
    figure = draw(measured())
    assert len(figure.axes) == 6
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["iptables", "ipvs"]
    assert "A <processor>" in figure.get_supxlabel()
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert high >= 9.99 * low, "a small difference looks small"


def test_a_mode_without_rules_has_no_curve_of_them() -> None:
    figure = draw(measured(run("ipvs", 10, rules=0), run("iptables", 10)))
    assert len(figure.axes[0].containers) == 1
    assert len(figure.axes[1].containers) == 2


def test_html_is_escaped_and_has_the_plot_and_the_table() -> None:
    shown = to_html(measured())
    assert "A <processor>" not in shown
    assert shown.startswith('<img alt="Plots of what the table says.')
    assert "data:image/png;base64," in shown
    assert "<table>" in shown


def test_json_has_every_single_value() -> None:
    found = json.loads(json.dumps(measured().to_json()))
    assert found["runs"][0]["program_one"] == [0.1, 0.3]
    assert found["machine"]["cores"] == 2
