"""What axe-core has to say about every tab, at both widths and in both themes."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.lab import WIDTHS, Lab, open_tab, watched_at

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(400)]

# What tells that a tab is painted.
TABS = {
    "Compare": "#comparison .card",
    "Photo": "#photo-view .photo[data-state=settled]",
    "Lessons": "#lesson-list button",
    "Sweep": "#sweep-chart .main-svg",
    "Inside": "#inside canvas",
    "Blind test": "#blind canvas",
    "Emotion check": "#emotion-pictures .emotion-card",
    "Benchmark": "#benchmark-training .main-svg",
}

# Gradio's own, where a chart is still to be drawn.
PLACEHOLDER = '<div aria-label="Empty value"'


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_tab_has_a_violation(browser, server, width, theme):
    with watched_at(browser, width) as watched:
        Lab(watched.page).open(f"{server}?__theme={theme}")
        for tab, painted in TABS.items():
            open_tab(watched.page, tab)
            watched.page.locator(painted).first.wait_for(state="attached", timeout=60_000)
            watched.page.wait_for_timeout(500)  # colours fade in
            found = Axe().run(watched.page).response["violations"]
            assert [
                (tab, rule["id"], node["html"][:200])
                for rule in found
                for node in rule["nodes"]
                if not node["html"].startswith(PLACEHOLDER)
            ] == []
