"""The benchmark tab in Chromium, against the real app and the committed results."""

from itertools import pairwise

import pytest
from playwright.sync_api import expect

from denoiser.analysis.published import PUBLISHED
from denoiser.analysis.results import NOISY, read_benchmark, read_history
from tests.browser.lab import EACH_WIDTH, assert_fine, open_tab, watched_at
from tests.conftest import watched_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

CHARTS = ("strength", "time", "perception", "matrix", "training")


class BenchmarkTab:
    """What the tests press and read."""

    def __init__(self, page):
        self.page = page
        self.table = page.locator("#benchmark-table table")

    def open(self, url):
        self.page.goto(url)
        open_tab(self.page, "Benchmark")
        for chart in CHARTS:
            self.page.locator(f"#benchmark-{chart} .js-plotly-plot .main-svg").first.wait_for(
                timeout=90_000  # the first chart of all loads plotly, in Python and in the browser
            )
        self.table.locator("tbody tr").first.wait_for()

    def wait_for_change(self, name, before):
        script = """([name, before]) => {
          const plot = document.querySelector(`#benchmark-${name} .js-plotly-plot`);
          return plot && plot.data && plot.layout && plot.querySelector(".main-svg")
            && JSON.stringify(plot.data.map(t => [t.name, t.y, t.z])) !== before;
        }"""
        self.page.wait_for_function(script, arg=[name, before])

    def state(self, name):
        script = "plot => JSON.stringify(plot.data.map(t => [t.name, t.y, t.z]))"
        return self.page.locator(f"#benchmark-{name} .js-plotly-plot").evaluate(script)

    def names(self, name):
        script = "plot => plot.data.map(t => t.name)"
        return self.page.locator(f"#benchmark-{name} .js-plotly-plot").evaluate(script)

    def heading(self, label):
        return self.table.locator("thead").get_by_role("button", name=label, exact=True)

    def column(self, label):
        """The texts of a column, from top to bottom."""
        heads = [h.strip(" ▲▼") for h in self.table.locator("thead button").all_inner_texts()]
        index = [" ".join(head.split()) for head in heads].index(label)
        return self.table.evaluate(
            "(table, i) => [...table.tBodies[0].rows].map(row => row.cells[i].textContent)", index
        )

    def section(self, name):
        return self.page.locator(f"#benchmark-{name}-section")

    def choose(self, menu, option):
        self.page.locator(f"#{menu} input").click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def overflow(self):
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return self.page.evaluate(script)


@pytest.fixture(scope="module")
def benchmark():
    return read_benchmark()


@pytest.fixture(scope="module", params=EACH_WIDTH)
def watched(browser, server, request):
    """A page with the tab open, for all tests of a width: each presses what no other does."""
    with watched_at(browser, request.param) as watched:
        BenchmarkTab(watched.page).open(server)
        yield watched


@pytest.fixture
def tab(watched):
    """The tab; at the end, whatever the test did, nothing may have gone wrong in it."""
    opened = BenchmarkTab(watched.page)
    yield opened
    assert opened.overflow() <= 0
    assert watched.errors == []
    assert watched.hosts == {"127.0.0.1"}


def number(text):
    return float(text.removeprefix("★ ")) if text else None


def test_the_table_sorts_by_psnr(tab, benchmark):
    expected = {
        m.label: f"{benchmark.value(m.id, 'gaussian-50', 'psnr'):.2f}" for m in benchmark.methods
    }
    expected["Noisy picture"] = f"{benchmark.value(NOISY, 'gaussian-50', 'psnr'):.2f}"
    expected |= {p.label: f"{p.psnr['gaussian-50']:.2f}" for p in PUBLISHED}
    for first in (True, False):
        tab.heading("Gaussian 50").click()
        values = [number(text) for text in tab.column("Gaussian 50")]
        assert values == sorted(values, reverse=first)
        names = tab.column("Denoiser")
        assert dict(zip(names, [f"{v:.2f}" for v in values], strict=True)) == expected
        pressed = tab.table.locator("thead th[aria-sort]")
        expect(pressed).to_have_attribute("aria-sort", ("descending" if first else "ascending"))


def test_the_table_sorts_numbers_as_numbers_and_gaps_last(tab):
    tab.heading("ms").click()
    times = [number(text) for text in tab.column("ms")]
    measured = [time for time in times if time is not None]
    assert measured == sorted(measured)
    assert times[len(measured) :] == [None] * (1 + len(PUBLISHED))  # nor does the noisy picture


def test_the_first_column_stays_and_the_table_scrolls_inside_itself(tab):
    scroller = tab.page.locator("#benchmark-table .results-scroll")
    name = tab.table.locator("tbody tr").nth(1).locator("th")
    before = name.bounding_box()["x"]
    assert scroller.evaluate("box => box.scrollWidth > box.clientWidth")
    scroller.evaluate("box => box.scrollTo(300, 0)")
    assert scroller.evaluate("box => box.scrollLeft") == 300
    assert name.bounding_box()["x"] == pytest.approx(before, abs=1)


def test_metric_and_families_of_the_table(tab, benchmark):
    tab.heading("Gaussian 50").click()
    section = tab.section("table")
    section.get_by_role("checkbox", name="classical").click()
    tab.table.locator("tbody th", has_text="Wavelet").wait_for(state="detached")
    section.get_by_role("radio", name="SSIM").click()
    best = max(
        benchmark.value(m.id, "gaussian-50", "ssim")
        for m in benchmark.methods
        if m.family != "classical"
    )
    tab.table.locator("td.is-best", has_text=f"{best:.3f}").first.wait_for()
    values = [number(text) for text in tab.column("Gaussian 50")]
    assert values == sorted(values, reverse=True)  # the order chosen before still holds
    assert values[0] == pytest.approx(best, abs=0.0006)
    shown = {m.label for m in benchmark.methods if m.family != "classical"}
    assert set(tab.column("Denoiser")) == shown | {"Noisy picture"}


def test_strength(tab, benchmark):
    before = tab.state("strength")
    tab.section("strength").get_by_role("radio", name="SSIM").click()
    tab.wait_for_change("strength", before)
    before = tab.state("strength")
    tab.choose("benchmark-curve", "Salt and pepper")
    tab.wait_for_change("strength", before)
    before = tab.state("strength")
    tab.section("strength").get_by_label("Denoisers").click()
    tab.page.get_by_role("option", name="Trimmed median", exact=True).click()
    tab.wait_for_change("strength", before)
    assert "Trimmed median" in tab.names("strength")
    assert tab.names("strength")[-1] == "Noisy picture"


def test_trade_offs(tab):
    time, perception = tab.state("time"), tab.state("perception")
    tab.section("trade-offs").get_by_role("radio", name="SSIM").click()
    tab.wait_for_change("time", time)
    tab.section("trade-offs").get_by_role("radio", name="Sharpness").click()
    tab.wait_for_change("perception", perception)
    time, perception = tab.state("time"), tab.state("perception")
    tab.choose("benchmark-condition", "Gaussian, sigma 50 of 255 (gaussian-50)")
    tab.wait_for_change("time", time)
    tab.wait_for_change("perception", perception)


def test_a_noise_under_which_a_measure_was_not_taken(tab, benchmark):
    measured = benchmark.measured("detectability")
    bare = next(condition for condition in benchmark.conditions if condition not in measured)
    section = tab.section("trade-offs")
    chart, note = (
        tab.page.locator("#benchmark-perception"),
        section.get_by_text("Measuring this takes long"),
    )
    tab.choose("benchmark-condition", f"{bare.description} ({bare.id})")
    section.get_by_role("radio", name="Detectability").click()
    expect(note).to_contain_text(measured[0].label)
    expect(chart).to_be_hidden()
    tab.choose("benchmark-condition", f"{measured[0].description} ({measured[0].id})")
    expect(note).to_be_hidden()
    expect(chart.locator(".main-svg").first).to_be_visible()
    section.get_by_role("radio", name="Sharpness").click()
    expect(chart.get_by_text("As sharp as the clean picture")).to_be_visible()


def test_matrix(tab):
    before = tab.state("matrix")
    tab.section("matrix").get_by_role("radio", name="SSIM").click()
    tab.wait_for_change("matrix", before)


def assert_in_line(boxes, start, length, frame):
    """Boxes side by side, or below each other, none over another one, and all within a frame."""
    boxes = sorted(boxes, key=lambda box: box[start])
    for box, after in pairwise(boxes):
        assert box[start] + box[length] <= after[start] + 1
    assert all(box["x"] >= frame["x"] and box["y"] >= frame["y"] for box in boxes)
    assert all(box["x"] + box["width"] <= frame["x"] + frame["width"] for box in boxes)


@pytest.mark.slow
def test_the_names_in_the_matrix_have_room_on_a_phone(browser, server, benchmark):
    with watched_at(browser, "phone") as watched:
        tab = BenchmarkTab(watched.page)
        tab.open(server)
        chart = tab.page.locator("#benchmark-matrix .js-plotly-plot")
        networks = chart.locator(".xtick text, .x2tick text")
        noises = chart.locator(".ytick text")
        expect(networks).to_have_count(len(benchmark.networks))
        expect(noises).to_have_count(len(benchmark.conditions))
        columns, rows = ([name.bounding_box() for name in names.all()] for names in (networks, noises))
        assert_in_line(columns, "x", "width", chart.bounding_box())
        assert_in_line(rows, "y", "height", chart.bounding_box())
        colours = chart.locator(".colorbar .cbfills").bounding_box()
        assert max(box["y"] + box["height"] for box in columns) < colours["y"]
        assert_fine(watched)


def test_training(tab, benchmark):
    gan = next(m for m in benchmark.methods if m.id == "patchgan")
    before = tab.state("training")
    tab.choose("benchmark-model", gan.label)
    tab.wait_for_change("training", before)
    assert {"Mean", "Training loss", "Generator loss", "Discriminator loss"} <= set(
        tab.names("training")
    )
    assert len(tab.names("training")) == sum(
        len(part) for part in (read_history(gan.id).validation, read_history(gan.id).losses)
    )


def test_where_the_numbers_are_from(tab, benchmark):
    text = tab.section("provenance").inner_text()
    for name in ("command", "split", "pictures", "seed", "machine", "versions"):
        assert benchmark.facts[name] in text
    assert "weights/benchmark.json" in text


def test_nothing_is_drawn_before_the_tab_is_opened(browser, server):
    with watched_page(browser, 1440, 900) as watched:
        watched.page.goto(server)
        watched.page.locator("#comparison .card").first.wait_for()
        assert watched.page.locator("#benchmark").count() == 0
