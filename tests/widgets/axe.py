"""What axe-core finds on a page: rules of WCAG that a program can check."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.widgets.npm import Package

AXE = Package("axe-core", "4.11.0", "39bed7d72308f6d620789c169d699bfd7e8da80f65b545821a6b2215c3e83107", "axe.min.js")
_RUN = """
async (selector) => {
  const {passes, violations} = await axe.run({include: [selector]});
  const grave = violations.filter(({impact}) => ['serious', 'critical'].includes(impact));
  const told = ({id}, {html, failureSummary}) => `${id}: ${html} ${failureSummary}`;
  return [passes.length, grave.flatMap((rule) => rule.nodes.map((node) => told(rule, node)))];
}
"""


def violations(page: Page, selector: str) -> list[str]:
    """Return the serious and critical violations inside what a selector finds, which has to be there."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(content=AXE.text())
    passed, found = page.evaluate(_RUN, selector)
    assert passed > 0, "no rule was checked"
    return list(found)
