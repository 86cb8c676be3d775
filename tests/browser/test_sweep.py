"""The tab "Sweep" in Chromium, against the real app, at both widths."""

import csv
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from denoiser.analysis.sweeps import FACTORS
from denoiser.denoisers.registry import DEFAULT_DENOISERS
from tests.browser.lab import EACH_WIDTH, Lab, assert_fine, open_tab, read_rgb, watched_at

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

RADIUS = "Median 3x3: Radius of the window (pixels)"

_IS = """([state, axis]) => {
  const box = document.querySelector(".sweep-progress");
  const title = document.querySelector("#sweep-chart .xtitle, #sweep-chart .x2title");
  return box && box.dataset.state === state && title && title.textContent.startsWith(axis);
}"""


class SweepTab:
    """What the tests press and read."""

    def __init__(self, page):
        self.page = page
        self.lab = Lab(page)
        self.root = page.locator("#sweep")
        self.pictures = page.locator("#sweep-pictures .sweep-pictures")
        self.slider = self.pictures.get_by_role("slider", name="Place on the axis")
        self.state = page.locator(".sweep-progress")

    def open(self, url):
        self.lab.open(url)
        self.go_to("Sweep")
        self.wait_for("done", "Standard deviation")

    def go_to(self, name):
        open_tab(self.page, name)

    def wait_for(self, state, axis):
        self.page.wait_for_function(_IS, arg=[state, axis])

    def curves(self):
        """Values along the axis of every named curve that is drawn."""
        script = """plot => Object.fromEntries(plot.data.filter(t => t.name && t.yaxis !== "y2")
          .map(t => [t.name, {x: Array.from(t.x), y: Array.from(t.y)}]))"""
        return self.page.locator("#sweep-chart .js-plotly-plot").evaluate(script)

    def place(self):
        return float(self.pictures.get_attribute("data-place"))

    def pixels(self, method, index=0):
        canvas = self.pictures.locator(f'[data-method="{method}"] canvas').nth(index)
        return read_rgb(canvas)

    def choose(self, control, option):
        self.page.locator(f"#sweep-{control}").get_by_role("radio", name=option, exact=True).click()


@pytest.fixture(params=EACH_WIDTH)
def tab(browser, server, request):
    """The tab, opened; at the end, whatever the test did, nothing may have gone wrong in it."""
    with watched_at(browser, request.param) as watched:
        opened = SweepTab(watched.page)
        opened.open(server)
        yield opened
        assert opened.lab.overflow() <= 0
        assert_fine(watched)


@pytest.mark.slow
def test_the_pictures_under_the_pointer(tab, tmp_path):
    curves = tab.curves()
    assert len(curves) == 1 + len(DEFAULT_DENOISERS)
    assert all(len(curve["x"]) == 9 for curve in curves.values())
    # Where the slider of the comparison stands, it is the comparison.
    assert tab.place() == 25
    shown = {name: tab.pixels(name) for name in ("clean", "noisy", *DEFAULT_DENOISERS)}

    tab.slider.focus()
    tab.page.keyboard.press("ArrowRight")
    assert tab.place() == 38
    assert not np.array_equal(tab.pixels("noisy"), shown["noisy"])
    np.testing.assert_array_equal(tab.pixels("clean"), shown["clean"])

    plot = tab.page.locator("#sweep-chart .js-plotly-plot")
    plot.scroll_into_view_if_needed()
    spot = plot.evaluate(
        """plot => {
          const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
          return [box.left + xaxis._offset + xaxis.d2p(75), box.top + yaxis._offset + yaxis._length / 2];
        }"""
    )
    tab.page.mouse.move(*spot)
    tab.page.wait_for_function("document.querySelector('.sweep-pictures').dataset.place === '75'")

    with tab.page.expect_download() as download:
        tab.root.get_by_role("button", name="Numbers (CSV)").click()
    path = tmp_path / "sweep.csv"
    download.value.save_as(path)
    rows = list(csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()))
    written = [float(row["psnr"]) for row in rows if row["id"] == "median"]
    assert written == pytest.approx(curves["Median 3x3"]["y"])

    before = tab.curves()
    tab.choose("metric", "SSIM")
    tab.page.wait_for_function("document.querySelector('#sweep-chart .ytitle')?.textContent === 'SSIM'")
    assert tab.curves() != before

    tab.page.get_by_role("tab", name="Compare").click()
    for name, pixels in shown.items():
        np.testing.assert_array_equal(tab.lab.rgb(name), pixels)


@pytest.mark.slow
def test_assumed_strength_and_redraw(tab):
    tab.choose("view", "Assumed strength")
    tab.wait_for("done", "Assumed over true strength")
    curves = tab.curves()
    assert len(curves["Non-local means"]["x"]) == len(FACTORS)
    assert len(set(curves["Median 3x3"]["y"])) == 1
    assert tab.place() == 1
    expect(tab.pictures.locator('[data-method="nl-means"]')).to_contain_text(
        "told 25.0 of 255", use_inner_text=True
    )

    tab.choose("view", "Re-draw")
    tab.wait_for("done", "PSNR")
    verdict = tab.page.locator("#sweep-verdict")
    verdict.get_by_text("16 draws").wait_for()
    bias, spread = (tab.pixels("noisy", index) for index in (0, 1))
    assert np.ptp(bias, axis=-1).max() > 0  # in colour
    assert not np.array_equal(bias, spread)
    before = verdict.inner_text()
    tab.page.locator("#sweep-second input").click()
    tab.page.get_by_role("option", name="Noisy picture", exact=True).click()
    verdict.get_by_text("Noisy picture").wait_for()
    assert verdict.inner_text() != before
    expect(verdict).to_contain_text("the gap is real", use_inner_text=True)


@pytest.mark.slow
def test_menus_keep_what_is_chosen(tab):
    tab.page.locator("#sweep-axis input").click()
    tab.page.get_by_role("option", name=RADIUS, exact=True).click()
    tab.wait_for("done", RADIUS)
    assert list(tab.curves()["Median 3x3"]["x"]) == list(range(1, 8))
    curves = tab.curves()
    # What is on show already is not computed again, and stays.
    tab.go_to("Compare")
    tab.go_to("Sweep")
    tab.page.wait_for_timeout(3000)
    tab.wait_for("done", RADIUS)
    assert tab.curves() == curves
    expect(tab.page.locator("#sweep-axis input")).to_have_value(RADIUS)
    expect(tab.page.locator("#sweep-methods .token")).to_have_count(len(DEFAULT_DENOISERS))
    assert tab.pixels("median").shape == (48, 48, 3)

    # On the way from close to sharp, the pointer is on the sweep's places all the same.
    tab.choose("metric", "Sharpness against PSNR")
    tab.page.wait_for_function(
        "document.querySelector('#sweep-chart .xtitle')?.textContent.startsWith('PSNR')"
    )
    plot = tab.page.locator("#sweep-chart .js-plotly-plot")
    plot.scroll_into_view_if_needed()
    spot = plot.evaluate(
        """plot => {
          const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
          const way = plot.data.find(({name}) => name === "Median 3x3");
          const index = way.customdata.indexOf(4);
          const across = xaxis._offset + xaxis.d2p(way.x[index]);
          return [box.left + across, box.top + yaxis._offset + yaxis.d2p(way.y[index])];
        }"""
    )
    tab.page.mouse.move(*spot)
    tab.page.wait_for_function("document.querySelector('.sweep-pictures').dataset.place === '4'")
    expect(tab.page.locator("#sweep-chart .sweep-pointer")).to_have_count(0)


def test_cancel_stops_it_and_run_goes_on(tab):
    tab.choose("places", "33")
    tab.choose("draws", "8")  # replaces the one before
    tab.page.wait_for_function(
        "document.querySelector('.sweep-progress').dataset.state === 'running'"
        " && document.querySelector('.sweep-progress progress').max >= 264"
        " && document.querySelector('.sweep-progress progress').value > 0"
    )
    # Not click(): on a busy machine that waits for a page that stands still, until all is done.
    tab.root.get_by_role("button", name="Cancel").dispatch_event("click")
    tab.wait_for("stopped", "Standard deviation")
    count = tab.state.locator("progress").get_attribute("value")
    tab.page.wait_for_timeout(3000)
    assert tab.state.get_attribute("data-state") == "stopped"
    assert tab.state.locator("progress").get_attribute("value") == count
    assert int(count) < 264
    tab.root.get_by_role("button", name="Run").click()
    tab.page.wait_for_function(
        "count => document.querySelector('.sweep-progress progress').value > count", arg=int(count)
    )
