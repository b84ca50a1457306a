"""What axe-core finds on a page: rules of WCAG that a program can check."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.widgets.npm import Package

AXE = Package("axe-core", "4.11.0", "39bed7d72308f6d620789c169d699bfd7e8da80f65b545821a6b2215c3e83107", "axe.min.js")
_RUN = """
async (selector) => {
  // JupyterLab's body has no height and hides what overflows; axe-core then takes all in it for invisible.
  document.body.style.minHeight = '100vh';
  const {passes, violations, incomplete} = await axe.run({include: [selector]});
  const grave = violations.filter(({impact}) => ['serious', 'critical'].includes(impact));
  const told = ({id}, {html, failureSummary}) => `${id}: ${html} ${failureSummary}`;
  const all = (rules) => rules.flatMap((rule) => rule.nodes.map((node) => told(rule, node)));
  return [passes.map(({id}) => id), all(grave), all(incomplete)];
}
"""


def violations(page: Page, selector: str, *, passed: str = "color-contrast") -> list[str]:
    """Return the serious and critical violations inside what a selector finds; a rule has to be among those passed."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.text())  # a page may forbid scripts that it does not know
    names, found, unsure = page.evaluate(_RUN, selector)
    assert found or passed in names, (f"{passed} was not checked", unsure)
    return list(found)
