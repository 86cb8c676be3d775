"""The page looks as it did when somebody last looked at it; see :mod:`tests.browser.appearance`."""

import pytest

from tests.browser.appearance import SIZES, THEMES, difference, draw, read_reference

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOST = 0.02  # of the page


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_looks_as_it_did(browser, server, size, theme):
    """Where it is meant to look otherwise, ``python -m tests.browser.appearance`` says so."""
    assert difference(draw(browser, server, size, theme), read_reference(size, theme)) < MOST


@pytest.mark.parametrize(
    "fault",
    [
        "#noise-panel { display: none !important }",
        "#compare { flex-direction: row-reverse }",
        ".stage-frame { aspect-ratio: 2 !important }",
        "#results { max-width: 800px }",
        "body, .gradio-container { background: #888 !important }",
    ],
)
def test_a_fault_would_be_seen(browser, server, fault):
    now = draw(browser, server, "desktop", "light", fault)
    assert difference(now, read_reference("desktop", "light")) > MOST
