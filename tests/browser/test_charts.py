"""What all charts share, in Chromium: where plotly's toolbar is, and whether words can be read."""

import pytest

from tests.browser.lab import Lab, assert_fine, open_tab, watched_at
from tests.conftest import watched_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

CHARTS = "#charts .js-plotly-plot"

# Whether the toolbar lies over no word of its chart, and can be pressed: nothing cuts it or covers it.
_TOOLBAR = """plot => {
  const box = node => node.getBoundingClientRect();
  const buttons = [...plot.querySelectorAll(".modebar-btn")];
  const words = [...plot.querySelectorAll(".main-svg text")].filter(text => text.textContent);
  const over = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return {
    buttons: buttons.length,
    words: words.length,
    covered: words.filter(word => buttons.some(button => over(box(button), box(word))))
      .map(word => word.textContent),
    pressed: buttons.every(button => {
      const {left, top, width, height} = box(button);
      return button.contains(document.elementFromPoint(left + width / 2, top + height / 2));
    }),
  };
}"""

# The least contrast of a chart's words with the panel behind it.
_CONTRAST = """plot => {
  const light = colour => {
    const channels = colour.match(/[\\d.]+/g).slice(0, 3).map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
  };
  const page = light(getComputedStyle(plot.closest("#charts")).backgroundColor);
  const words = [...plot.querySelectorAll(".main-svg text")].filter(text => text.textContent);
  return Math.min(...words.map(word => {
    const [low, high] = [light(getComputedStyle(word).fill), page].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }));
}"""


def draw_charts(page, address, folded=False):
    """Open the page at its charts, which a phone has folded, and return them."""
    Lab(page).open(address)
    if folded:
        page.locator("#charts > button:not(.open)").click()
    charts = page.locator(CHARTS)
    for _ in range(200):  # what loads above them may move them out of view again
        page.locator("#charts").scroll_into_view_if_needed()
        if charts.count() == 2:
            break
        page.wait_for_timeout(300)
    for index in range(2):
        charts.nth(index).locator(".main-svg").first.wait_for()
        charts.nth(index).locator(".xtick text").first.wait_for()
    return charts


def test_the_toolbar_covers_no_title(desktop, server):
    charts = draw_charts(desktop.page, server)
    for chart in charts.all():
        chart.scroll_into_view_if_needed()
        found = chart.evaluate(_TOOLBAR)
        assert found["buttons"] > 3
        assert found["words"] > 10
        assert found["covered"] == []
        assert found["pressed"]
    assert_fine(desktop)


@pytest.mark.slow
def test_bars_say_how_methods_are_set(desktop, server):
    draw_charts(desktop.page, f"{server}/?methods=median,bilateral&median:radius=3")
    words = desktop.page.locator("#charts .ytick text").all_text_contents()
    assert any("radius 3 pixels" in " ".join(text.split()) for text in words)
    assert_fine(desktop)


@pytest.mark.slow
def test_a_phone_has_no_toolbar(browser, server):
    with watched_at(browser, "phone") as watched:
        draw_charts(watched.page, server, folded=True)
        bars = watched.page.locator("#charts .modebar")
        assert bars.count() == 2
        assert not any(bar.is_visible() for bar in bars.all())
        assert_fine(watched)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_from_the_page(browser, server, theme):
    with watched_page(browser, 1440, 900) as watched:
        for chart in draw_charts(watched.page, f"{server}?__theme={theme}").all():
            assert chart.evaluate(_CONTRAST) >= 4.5
        assert_fine(watched)


def test_what_scrolls_says_so_and_is_a_stop_for_the_keyboard(desktop, server):
    page = desktop.page
    page.goto(server)
    open_tab(page, "Benchmark")
    table = page.locator("#benchmark-table .results-scroll")
    table.locator("tbody tr").first.wait_for()

    def more(edges):
        wanted = "(edges) => document.querySelector('#benchmark-table .scroller').dataset.more === edges"
        page.wait_for_function(wanted, arg=edges)

    more("right bottom")
    assert table.get_attribute("tabindex") == "0"
    assert "-16px" in table.evaluate("box => getComputedStyle(box).boxShadow")
    table.evaluate("box => box.scrollTo(50, 50)")
    more("left right top bottom")
    table.evaluate("box => box.scrollTo(box.scrollWidth, box.scrollHeight)")
    more("left top")
    # Where all of it has room, there is nothing to say and nothing to stop for.
    table.evaluate("box => { box.style.maxHeight = 'none'; box.firstElementChild.style.zoom = 0.2; }")
    more("")
    assert table.get_attribute("tabindex") is None
    assert_fine(desktop)
