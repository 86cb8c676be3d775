"""The tab "Inside" in Chromium, against the real app: its parts, the line one draws, and bad numbers."""

import re
import sys

import numpy as np
import pytest
from playwright.sync_api import expect

from denoiser.analysis.inspection import SAMPLES, draw_samples, find_capabilities
from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.samples import bundled_faces
from denoiser.images import to_uint8
from denoiser.metrics import psnr
from denoiser.noise import GaussianNoise
from denoiser.ui.experiment.face_source import first_face
from tests.browser.lab import EACH_WIDTH, open_tab, watched_at
from tests.browser.two_part_app import MIDDLE
from tests.conftest import app_environment, free_port, running, watched_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

PARTS = {
    "Attention gates": "gates",
    "Experts": "experts",
    "Samples": "samples",
    "Discriminator": "patches",
    "Residual": "residual",
    "Bias": "bias",
    "Invention": "invention",
}
READ_GRAY = """canvas => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return Array.from(data.filter((_, i) => i % 4 === 0));
}"""


class InsideTab:
    """What the tests press and read."""

    def __init__(self, page):
        self.page = page
        self.line = page.locator("#inside-line .line")

    def open(self, url):
        self.page.goto(url)
        open_tab(self.page, "Inside")

    def turn_to(self, name):
        self.page.locator("#inside-part").get_by_role("radio", name=name, exact=True).click()

    def version(self, part):
        root = self.page.locator(f"#inside-{part}-panels .panels[data-version]")
        root.wait_for(timeout=60_000)
        return int(root.get_attribute("data-version"))

    def wait_after(self, part, version):
        script = """([part, version]) => {
          const root = document.querySelector(`#inside-${part}-panels .panels`);
          return root && Number(root.dataset.version) > version;
        }"""
        self.page.wait_for_function(script, arg=[part, version], timeout=60_000)

    def panel(self, part, name):
        return self.page.locator(f'#inside-{part}-panels [data-panel="{name}"]')

    def gray(self, part, name):
        read = self.panel(part, name).locator("canvas.panel-picture").evaluate(READ_GRAY)
        return np.array(read, np.uint8).reshape(48, 48)

    def wait_for_gray(self, part, name, expected):
        """Wait for a picture: turning to a part computes it anew, so its version may not be the last."""
        for _ in range(120):
            if np.array_equal(self.gray(part, name), expected):
                return
            self.page.wait_for_timeout(500)
        np.testing.assert_array_equal(self.gray(part, name), expected)

    def wait_for_other_gray(self, part, name, before):
        """Wait for a picture that differs; see above."""
        for _ in range(120):
            if (self.gray(part, name) != before).any():
                return
            self.page.wait_for_timeout(500)
        pytest.fail(f"{name} stays as it was")

    def number(self, part, name, label):
        """Where a panel's number stands."""
        row = self.panel(part, name).locator("dl div", has_text=label).first
        return row.locator("dd")

    def overflow(self):
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return self.page.evaluate(script)

    def wait_for_line(self, *ends):
        script = """wanted => {
          const line = document.querySelector("#inside-line .line");
          const plot = document.querySelector("#inside-profile-chart .js-plotly-plot");
          return line && line.dataset.line === wanted && plot && plot.data;
        }"""
        self.page.wait_for_function(script, arg=" ".join(map(str, ends)), timeout=60_000)

    def wait_for_profile(self, values):
        script = """wanted => {
          const plot = document.querySelector("#inside-profile-chart .js-plotly-plot");
          const drawn = plot && plot.data && Array.from(plot.data[0].y);
          return drawn && drawn.length === wanted.length
            && drawn.every((y, i) => Math.abs(y - wanted[i]) < 0.01);
        }"""
        self.page.wait_for_function(script, arg=values, timeout=60_000)


@pytest.fixture(scope="module", params=EACH_WIDTH)
def watched(browser, server, request):
    """A page with the tab open, for all tests of a width: each turns to parts that no other changes."""
    with watched_at(browser, request.param) as watched:
        InsideTab(watched.page).open(server)
        yield watched


@pytest.fixture
def tab(watched):
    """The tab; at the end, whatever the test did, nothing may have gone wrong in it."""
    opened = InsideTab(watched.page)
    yield opened
    assert opened.overflow() <= 0
    assert watched.errors == []
    assert watched.hosts == {"127.0.0.1"}


@pytest.fixture(scope="module")
def pair():
    """The clean and the noisy picture that the page starts with."""
    clean = first_face(bundled_faces()).image
    return clean, GaussianNoise(25 / 255)(clean, 0)


def test_every_part_shows_what_it_says(tab, pair):
    clean, noisy = pair
    for name, part in PARTS.items():
        tab.turn_to(name)
        tab.version(part)
        assert tab.overflow() <= 0

    tab.turn_to("Attention gates")
    tab.wait_for_gray("gates", "noisy", to_uint8(noisy))
    gates = tab.page.locator('#inside-gates-panels [data-panel^="gate-"]')
    expect(gates).to_have_count(len(create_denoiser("attention-unet").network.gates))

    tab.turn_to("Experts")
    divided = create_denoiser("residual-unet")
    experts = tab.page.locator('#inside-experts-panels [data-panel^="expert-"]')
    expect(experts).to_have_count(len(divided.network.experts))
    asked = tab.page.locator('#inside-experts-panels [data-panel^="expert-"]:has-text("is asked")')
    expect(asked).to_have_count(1)
    name = str(asked.get_attribute("data-panel"))
    tab.wait_for_gray("experts", name, to_uint8(divided(noisy)))

    tab.turn_to("Bias")
    biased = create_denoiser("median")(clean)
    expect(tab.number("bias", "median", "PSNR")).to_have_text(f"{psnr(biased, clean):.2f} dB")
    tab.page.locator("#inside-bias").get_by_text("The result", exact=True).click()
    tab.wait_for_gray("bias", "median", to_uint8(biased))

    tab.turn_to("Samples")
    draws = tab.page.locator('#inside-samples-panels [data-panel^="sample-"]')
    expect(draws).to_have_count(SAMPLES, timeout=60_000)
    drawn = draw_samples(create_denoiser("flow-unet"), noisy)
    tab.wait_for_gray("samples", "mean", to_uint8(drawn.mean))
    film = tab.page.locator('#inside-samples-panels [data-panel="film"]')
    film.get_by_role("button", name="Play").click()
    expect(film.locator("canvas")).to_have_attribute("data-frame", re.compile("sample-"))
    film.get_by_role("button", name="Pause").click()
    frame = film.locator("canvas").get_attribute("data-frame")
    tab.page.wait_for_timeout(600)
    expect(film.locator("canvas")).to_have_attribute("data-frame", frame)
    shown = int(frame.removeprefix("sample-"))
    tab.wait_for_gray("samples", "film", to_uint8(drawn.pictures[shown]))

    tab.turn_to("Discriminator")
    scores = [tab.number("patches", m, "Mean score").inner_text() for m in ("clean", "attention-unet")]
    assert float(scores[0]) > float(scores[1])

    tab.turn_to("Residual")
    for chart in ("histogram", "spectrum", "autocorrelation"):
        tab.page.locator(f"#inside-{chart} .js-plotly-plot .main-svg").first.wait_for(timeout=60_000)
    before = tab.gray("residual", "residual")
    tab.page.locator("#inside-residual input").first.click()
    tab.page.get_by_role("option", name=create_denoiser("median").info.label, exact=True).click()
    taken = 255 * (noisy.astype(np.float64) - create_denoiser("median")(noisy))
    shown = np.clip(np.rint(127.5 + 127.5 * taken / 64), 0, 255).astype(np.uint8)
    tab.wait_for_gray("residual", "residual", shown)
    assert (before != shown).any()


def test_a_line_by_pointer_and_by_keyboard(tab, pair):
    clean, _ = pair
    tab.turn_to("Edge profile")
    tab.wait_for_line(19, 6, 19, 41)
    tab.wait_for_profile([255 * float(value) for value in clean[19, 6:42]])

    slider = tab.page.locator("#inside-start-row input[type=range]")
    slider.focus()
    slider.press("ArrowUp")
    tab.wait_for_line(20, 6, 19, 41)

    picture = tab.page.locator("#inside-line svg")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()

    def at(row, column):
        return (
            box["x"] + box["width"] * (column + 0.5) / 48,
            box["y"] + box["height"] * (row + 0.5) / 48,
        )

    mouse = tab.page.mouse
    mouse.move(*at(40, 10))
    mouse.down()
    mouse.move(*at(40, 20))
    mouse.move(*at(40, 30))
    mouse.up()
    tab.wait_for_line(40, 10, 40, 30)
    tab.wait_for_profile([255 * float(value) for value in clean[40, 10:31]])
    for name, value in (("start-row", 40), ("start-column", 10), ("end-row", 40), ("end-column", 30)):
        expect(tab.page.locator(f"#inside-{name} input[type=number]")).to_have_value(str(value))
    # An end is taken hold of, and only that end moves.
    mouse.move(*at(41, 31))
    mouse.down()
    mouse.move(*at(5, 30))
    mouse.up()
    tab.wait_for_line(40, 10, 5, 30)
    steps = tab.page.locator("#inside-line tbody tr")
    assert steps.first.locator("td").inner_text().isdigit()


def test_pure_noise_follows_its_controls_and_bad_numbers_are_told(tab):
    tab.turn_to("Invention")
    tab.version("invention")
    before = tab.gray("invention", "noise")
    seed = tab.page.locator("#inside-seed input")
    seed.fill("7")
    seed.press("Tab")
    tab.wait_for_other_gray("invention", "noise", before)
    seed.fill("1.5")
    seed.press("Tab")
    status = tab.page.locator("#inside-invention-panels .panels-status")
    expect(status).to_have_text(re.compile("^The seed has to be a whole number"))
    expect(tab.panel("invention", "median")).to_be_visible()  # the last good pictures stay


@pytest.mark.slow
def test_the_tab_follows_the_noise_under_compare(browser, server, pair):
    clean, _ = pair
    with watched_page(browser, 1440, 900) as watched:
        tab = InsideTab(watched.page)
        tab.open(server)
        version = tab.version("gates")
        tab.page.get_by_role("tab", name="Compare", exact=True).click()
        box = tab.page.locator("#noise-gaussian-sigma input[type=number]")
        box.fill("60")
        box.press("Tab")
        tab.page.get_by_role("tab", name="Inside", exact=True).click()
        tab.wait_after("gates", version)
        noisy = GaussianNoise(60 / 255)(clean, 0)
        tab.wait_for_gray("gates", "noisy", to_uint8(noisy))
        assert watched.errors == []


@pytest.mark.slow
def test_a_new_method_of_two_parts_appears_by_itself(browser):
    """With a tiny dual autoencoder among the methods, whether or not weights/ has one."""
    port = free_port()
    command = [sys.executable, "-m", "tests.browser.two_part_app"]
    with (
        running(command, port, app_environment(port)) as url,
        watched_page(browser, 1440, 900) as watched,
    ):
        tab = InsideTab(watched.page)
        tab.open(url)
        tab.turn_to("Intermediate image")
        tab.version("intermediate")
        found = find_capabilities()
        last = len(set(found.intermediate_image).difference(found.samples))
        menu = tab.page.locator("#inside-intermediate input").first
        menu.click()
        expect(tab.page.get_by_role("option")).to_have_count(last + 1)
        tab.page.get_by_role("option", name="Tiny two", exact=True).click()
        half = to_uint8(np.full((1, 1), MIDDLE, np.float32))
        script = """wanted => {
          const picture = document.querySelector(
            '#inside-intermediate-panels [data-panel="intermediate"] canvas.panel-picture');
          return picture && picture.getContext("2d").getImageData(0, 0, 1, 1).data[0] === wanted;
        }"""
        tab.page.wait_for_function(script, arg=int(half[0, 0]), timeout=60_000)
        assert watched.errors == []
