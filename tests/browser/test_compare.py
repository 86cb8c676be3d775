"""The compare tab in Chromium, against the real app."""

import csv
import io
import json
import re
import zipfile
from urllib.parse import quote

import numpy as np
import PIL.Image
import pytest
from playwright.sync_api import expect
from skimage.data import astronaut

from denoiser.analysis.results import read_benchmark
from denoiser.denoisers.registry import (
    COLOUR_MODELS,
    DEFAULT_DENOISERS,
    MODELS,
    create_denoiser,
    list_denoisers,
)
from denoiser.faces.samples import bundled_faces, face_at, get_sample
from denoiser.images import load_face, to_uint8
from denoiser.noise import GaussianNoise, NoiseChain, create_noise
from denoiser.pipeline import compare
from denoiser.ui.experiment.costs import plan
from denoiser.ui.experiment.run import describe_methods
from tests.browser.lab import (
    EACH_WIDTH,
    WIDTHS,
    Lab,
    as_gray,
    assert_fine,
    open_lab,
    read_rgb,
    watched_at,
)
from tests.conftest import watched_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SIGMA = "noise-gaussian-sigma"
NETWORKS = [name for name in MODELS if create_denoiser(name).info.family != "flow"]
LATE = plan(NETWORKS, describe_methods(), (48, 48)).later[0]
"""With all networks before it chosen, too, it is one too many to answer while the slider moves."""
# A white square on gray, put where Ctrl+C would put it.
COPY_A_SQUARE = """async () => {
  const canvas = Object.assign(document.createElement("canvas"), {width: 96, height: 96});
  const context = canvas.getContext("2d");
  context.fillStyle = "#777";
  context.fillRect(0, 0, 96, 96);
  context.fillStyle = "#fff";
  context.fillRect(24, 24, 48, 48);
  const blob = await new Promise(resolve => canvas.toBlob(resolve, "image/png"));
  await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
}"""

# The states of a card that follows, frame by frame, while the slider moves once.
STATES_WHILE_MOVING = """method => new Promise(resolve => {
  const card = document.querySelector(`#comparison [data-method="${method}"]`);
  const slider = document.querySelector("#noise-gaussian-sigma input[type=range]");
  const states = [], start = performance.now();
  slider.value = 40;
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  const frame = () => {
    states.push(card.dataset.state);
    performance.now() - start > 2000 ? resolve(states) : requestAnimationFrame(frame);
  };
  frame();
})"""


@pytest.fixture
def lab(browser, server):
    yield from open_lab(browser, server, "desktop")


@pytest.fixture(scope="module")
def untouched_lab(browser, server):
    """A page for all tests that only look at it."""
    yield from open_lab(browser, server, "desktop")


@pytest.fixture(params=EACH_WIDTH)
def any_lab(browser, server, request):
    yield from open_lab(browser, server, request.param)


def clean_of(sample_id):
    return get_sample(bundled_faces(), sample_id).image


def assert_shows(lab, comparison):
    """Every card has the pixels and, as rounded on the card, the scores of this comparison."""
    np.testing.assert_array_equal(lab.gray("clean"), to_uint8(comparison.corruption.clean))
    np.testing.assert_array_equal(lab.gray("noisy"), to_uint8(comparison.corruption.noisy))
    assert lab.methods() == ["clean", "noisy", *comparison]
    assert lab.metric("noisy", "psnr") == pytest.approx(comparison.noisy.psnr, abs=0.0051)
    for name, result in comparison.items():
        # One level: a network's last bits depend on how many threads it runs on.
        off = np.abs(lab.gray(name).astype(int) - to_uint8(result.image))
        assert off.max() <= 1
        assert lab.metric(name, "psnr") == pytest.approx(result.psnr, abs=0.0061)
        assert lab.metric(name, "ssim") == pytest.approx(result.ssim, abs=0.00061)
        assert lab.metric(name, "gain") == pytest.approx(comparison.gain(name), abs=0.061)


class TestFirstSight:
    def test_the_four_methods_and_what_they_really_score(self, any_lab):
        assert any_lab.methods() == ["clean", "noisy", *DEFAULT_DENOISERS]
        clean = clean_of(any_lab.sample_ids()[0])
        assert_shows(any_lab, compare(clean, GaussianNoise(25 / 255), 0, DEFAULT_DENOISERS))

    def test_it_says_which_noise(self, untouched_lab):
        lab = untouched_lab
        expect(lab.root).to_have_attribute("data-noise", "gaussian")
        expect(lab.root).to_have_attribute("data-seed", "0")
        expect(lab.root).to_have_attribute("data-sigma", "25")
        expect(lab.root).to_contain_text("25 of 255", use_inner_text=True)

    @pytest.mark.parametrize("width", [320, pytest.param(390, marks=pytest.mark.slow)])
    def test_nothing_sticks_out(self, browser, server, width):
        with watched_page(browser, width, 800, has_touch=True, is_mobile=True) as watched:
            lab = Lab(watched.page)
            lab.open(server)
            assert lab.overflow() <= 0
            assert lab.cards.first.bounding_box()["width"] > 100

    @pytest.mark.parametrize(
        "width", [390, *(pytest.param(width, marks=pytest.mark.slow) for width in (320, 640))]
    )
    def test_every_tab_is_in_sight(self, browser, server, width):
        with watched_page(browser, width, 800, has_touch=True, is_mobile=True) as watched:
            lab = Lab(watched.page)
            lab.open(server)
            tabs = watched.page.get_by_role("tab")
            expect(tabs).to_have_count(8)
            for tab in tabs.all():
                box = tab.bounding_box()
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width
            expect(watched.page.locator("#tabs .overflow-menu > button")).to_be_hidden()
            tabs.last.click()
            watched.page.locator("#benchmark").wait_for()

    def test_wide_screens_too(self, untouched_lab):
        assert untouched_lab.overflow() <= 0

    @pytest.mark.parametrize("tall", [False, pytest.param(True, marks=pytest.mark.slow)])
    def test_charts_are_drawn_when_they_come_into_view(self, browser, server, tall):
        """Where no chart is looked at, Plotly isn't loaded, more than all the rest of the page."""
        with watched_page(browser, 1440, 6000 if tall else 900) as watched:
            scripts = []
            watched.page.on("request", lambda request: scripts.append(request.url.rsplit("/")[-1]))
            lab = Lab(watched.page)
            lab.open(server)
            charts = watched.page.locator("#charts .js-plotly-plot")
            if not tall:
                watched.page.wait_for_timeout(3000)  # they came after one
                assert not any(name.startswith("PlotlyPlot") for name in scripts)
                watched.page.locator("#charts").scroll_into_view_if_needed()
            expect(charts).to_have_count(2)
            assert any(name.startswith("PlotlyPlot") for name in scripts)
            # And anew, whatever is changed while they are in view.
            heights = "() => document.querySelector('#metric-bars').innerText"
            before, version = watched.page.evaluate(heights), lab.version()
            lab.set_number(60)
            watched.page.locator("#charts").scroll_into_view_if_needed()
            lab.wait_for(version, sigma=60)
            watched.page.wait_for_function(f"before => ({heights})() !== before", arg=before)
            assert_fine(watched)

    @pytest.mark.slow
    def test_a_phone_folds_what_stands_below_the_noise(self, browser, server):
        with watched_at(browser, "phone") as watched:
            lab = Lab(watched.page)
            lab.open(server)
            faces = watched.page.locator("#faces")
            for hidden in (
                faces,
                watched.page.locator("#methods"),
                watched.page.locator("#metric-bars"),
            ):
                expect(hidden).to_be_hidden()
            expect(lab.root.locator(".stage-hint")).to_contain_text("finger")
            expect(lab.root.locator(".lab-legend")).to_contain_text("Touch")
            heading = watched.page.get_by_role("button", name="1. Face")
            expect(heading).to_have_attribute("aria-expanded", "false")
            heading.click()
            expect(faces).to_be_visible()
            heading.click()
            expect(faces).to_be_hidden()
            watched.page.locator("#charts > button").click()
            expect(watched.page.locator("#charts .js-plotly-plot")).to_have_count(2)
            # Turned on its side it may be wide enough for all of it.
            watched.page.set_viewport_size({"width": 1000, "height": 844})
            expect(faces).to_be_visible()
            expect(heading).to_have_count(0)
            assert_fine(watched)

    @pytest.mark.slow
    def test_terms_are_explained_and_the_keyboard_skips_to_the_stage(self, lab):
        page = lab.page
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_focused()
        expect(page.get_by_text("Skip to the content")).to_be_in_viewport(ratio=1)
        page.keyboard.press("Enter")
        expect(lab.root.locator(".stage-pictures")).to_be_focused()
        terms = page.locator("#glossary")
        expect(terms).to_be_hidden()
        page.get_by_role("button", name="What the terms mean").click()
        expect(terms).to_be_visible()
        expect(terms.locator("dt")).to_contain_text(["PSNR", "SSIM"])
        page.keyboard.press("Escape")
        expect(terms).to_be_hidden()
        told = lab.card("median").locator("dt", has_text="SSIM").get_attribute("title")
        assert told == terms.locator("[data-term=ssim]").text_content()

    def test_dark(self, browser, server):
        for lab in open_lab(browser, f"{server}?__theme=dark", "desktop"):
            colours = lab.cards.first.evaluate(
                "card => [getComputedStyle(card).backgroundColor, getComputedStyle(card).color]"
            )
            paper, ink = (np.mean([int(n) for n in re.findall(r"\d+", c)[:3]]) for c in colours)
            assert paper < 80
            assert ink > 150


class TestFace:
    def test_pick_a_sample(self, lab):
        sample = lab.sample_ids()[3]
        before = lab.version()
        lab.pick(sample)
        lab.wait_for(before)
        assert_shows(lab, compare(clean_of(sample), GaussianNoise(25 / 255), 0, DEFAULT_DENOISERS))

    @pytest.mark.slow
    def test_upload_a_picture_with_transparency(self, any_lab, tmp_path):
        lab = any_lab
        pixels = np.dstack([astronaut(), np.full((512, 512), 255, np.uint8)])
        pixels[:40, :40, 3] = 0
        file = tmp_path / "rgba.png"
        PIL.Image.fromarray(pixels).save(file)
        before = lab.version()
        lab.upload(file)
        lab.wait_for(before)
        expected = load_face(file.read_bytes())
        assert_shows(lab, compare(expected.image, GaussianNoise(25 / 255), 0, DEFAULT_DENOISERS))

    @pytest.mark.slow
    def test_paste_a_picture(self, browser, server):
        allowed = ["clipboard-read", "clipboard-write"]
        with watched_page(browser, 1440, 900, permissions=allowed) as watched:
            lab = Lab(watched.page)
            lab.open(server)
            lab.open_own_picture()
            before = lab.version()
            lab.page.evaluate(COPY_A_SQUARE)
            lab.page.get_by_label("Paste from clipboard").click()
            lab.wait_for(before)
            clean = lab.gray("clean")
            assert clean[24, 24] == 255
            assert clean[2, 2] == 0x77
            expect(lab.page.locator("#face-note")).to_contain_text("whole picture", use_inner_text=True)
            assert watched.hosts == {"127.0.0.1"}

    @pytest.mark.slow
    def test_take_a_picture(self, browser, server):
        with watched_page(browser, 1440, 900, permissions=["camera"]) as watched:
            lab = Lab(watched.page)
            lab.open(server)
            lab.open_own_picture()
            before, old = lab.version(), lab.gray("clean")
            lab.page.get_by_label("Capture from camera").click()
            lab.page.get_by_text("Click to Access Webcam").click()
            # A picture taken before the camera shows one is empty, and nothing comes of it.
            lab.page.wait_for_function(
                "() => document.querySelector('#picture video')?.videoWidth > 0"
                " && document.querySelector('#picture video').currentTime > 0.5"
            )
            lab.page.get_by_label("capture photo").click()
            lab.wait_for(before)
            assert (lab.gray("clean") != old).any()
            assert np.ptp(lab.gray("clean")) > 50  # the test picture has a dark clock on colours
            assert watched.hosts == {"127.0.0.1"}

    def test_a_file_that_is_no_picture_changes_nothing(self, lab, tmp_path):
        file = tmp_path / "notes.png"
        file.write_text("not a picture")
        shown = lab.gray("median")
        lab.upload(file)
        lab.page.locator("#face-note").get_by_text("isn't a picture").wait_for()
        assert str(tmp_path) not in lab.page.locator("body").inner_text()
        np.testing.assert_array_equal(lab.gray("median"), shown)
        # And the page goes on working.
        before = lab.version()
        lab.set_number(40)
        lab.wait_for(before, sigma=40)

    def test_a_file_name_is_never_run(self, lab, tmp_path):
        file = tmp_path / "${window.hacked=1}<img src=x onerror=window.hacked=1>.png"
        PIL.Image.fromarray(astronaut()[:200, 150:350]).save(file)
        before = lab.version()
        lab.upload(file)
        lab.wait_for(before)
        assert lab.page.evaluate("window.hacked") is None


class TestSizeAndColour:
    def test_a_small_gray_sample_says_so_and_the_astronaut_has_more(self, lab):
        form = lab.page.locator("#face-form")
        larger, colour = form.get_by_label("128x128"), form.get_by_label("Colour")
        expect(larger).to_be_disabled()
        expect(colour).to_be_disabled()
        expect(form.locator("p")).to_contain_text("This sample is 48x48 and gray.")
        before = lab.version()
        form.get_by_role("button", name="Take the astronaut").click()
        lab.wait_for(before)
        expect(larger).to_be_enabled()
        expect(form.locator("p")).to_be_hidden()
        before = lab.version()
        larger.check(force=True)  # its text is what is seen
        colour.check()
        lab.page.wait_for_url(re.compile("face=astronaut&face-size=128&colour=yes"))
        lab.wait_for(before)
        sample = get_sample(bundled_faces(), "astronaut")
        clean = face_at(sample.image, sample.detail, 128, True)
        expected = compare(clean, GaussianNoise(), 0, DEFAULT_DENOISERS)
        np.testing.assert_array_equal(lab.rgb("clean"), to_uint8(clean))
        np.testing.assert_array_equal(lab.rgb("noisy"), to_uint8(expected.corruption.noisy))
        assert plan(DEFAULT_DENOISERS, describe_methods(), clean.shape).later  # they followed
        for method in DEFAULT_DENOISERS:
            shown, wanted = lab.rgb(method).astype(int), to_uint8(expected[method].image).astype(int)
            assert np.abs(shown - wanted).max() <= 1
            assert lab.metric(method, "psnr") == pytest.approx(expected[method].psnr, abs=0.0061)
        # The other views, the magnifier and the stage's difference are in colour, too.
        lab.show("error")
        expect(lab.root.locator(".lab-legend")).to_contain_text("the mean of red, green and blue")
        errors = np.abs(to_uint8(expected["median"].image).astype(int) - to_uint8(clean)).mean(axis=2)
        row, column = np.unravel_index(errors.argmax(), errors.shape)
        np.testing.assert_array_equal(lab.rgb("median")[row, column], [252, 255, 164])
        lab.show("residual")
        taken = to_uint8(expected.corruption.noisy).astype(int) - to_uint8(expected["median"].image)
        gray = np.clip(127.5 + 127.5 * taken / 64, 0, 255)
        assert np.abs(lab.rgb("median") - gray).max() <= 2
        lab.show("picture")
        lab.card("noisy").locator("canvas.card-picture").focus()
        lab.page.keyboard.press("ArrowDown")
        values = to_uint8(expected.corruption.noisy)[64, 64]
        expect(lab.card("noisy").locator(".card-reading")).to_have_text(" ".join(map(str, values)))
        lab.root.locator('label:has(input[value="difference"])').click()
        difference = read_rgb(lab.root.locator(".stage-figure canvas").last)
        assert np.ptp(difference, axis=-1).max() > 0
        # Back at a small face all is as it was; what was wanted is kept for one that has it.
        before = lab.version()
        lab.pick(lab.sample_ids()[1])
        lab.wait_for(before)
        assert lab.gray("noisy").shape == (48, 48)
        expect(larger).to_be_disabled()
        expect(larger).not_to_be_checked()
        lab.page.wait_for_url(re.compile("^(?!.*colour=yes)"))
        before = lab.version()
        lab.pick("astronaut")
        lab.wait_for(before)
        assert lab.rgb("noisy").shape == (128, 128, 3)

    def test_undo_brings_the_size_back(self, lab):
        before = lab.version()
        lab.page.locator("#face-form").get_by_role("button", name="Take the astronaut").click()
        lab.wait_for(before)
        undo = lab.page.locator("#history").get_by_role("button", name="Undo")
        expect(undo).to_be_disabled()  # another face is no step
        before = lab.version()
        lab.page.locator("#face-form").get_by_label("96x96").check(force=True)
        lab.wait_for(before)
        assert lab.rgb("noisy").shape == (96, 96, 3)
        before = lab.version()
        undo.click()
        lab.wait_for(before)
        assert lab.rgb("noisy").shape == (48, 48, 3)
        expect(lab.page.locator("#face-form").get_by_label("48x48")).to_be_checked()

    @pytest.mark.slow
    def test_networks_for_colour_are_offered_in_colour(self, browser, server):
        label = describe_methods(colour=True)[COLOUR_MODELS[0]].label
        with watched_at(browser, "desktop") as watched:
            lab = Lab(watched.page)
            lab.open(f"{server}?face=astronaut&colour=yes")
            box = watched.page.locator("#methods").get_by_label(label, exact=True)
            expect(box).to_be_visible()
            watched.page.locator("#face-form").get_by_label("Colour").uncheck()
            expect(box).to_be_hidden()
            expect(watched.page.get_by_text("Networks for colour")).to_be_hidden()
            assert_fine(watched)

    @pytest.mark.slow
    def test_other_tabs_say_that_they_have_the_small_gray_face(self, browser, server):
        with watched_at(browser, "desktop") as watched:
            lab = Lab(watched.page)
            lab.open(f"{server}?face=astronaut&face-size=96&colour=yes")
            for tab in ("Sweep", "Inside", "Emotion check"):
                watched.page.get_by_role("tab", name=tab, exact=True).click()
                line = watched.page.locator(".prose.experiment:visible")
                expect(line).to_contain_text("at 96x96 in colour; here it is 48x48 and gray.")
            assert_fine(watched)


class TestNoise:
    def test_drag_the_slider_and_the_last_position_wins(self, any_lab):
        lab, slider = any_lab, any_lab.slider()
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        y = box["y"] + box["height"] / 2
        before = lab.version()
        lab.page.mouse.move(box["x"] + 0.1 * box["width"], y)
        lab.page.mouse.down()
        for part in np.linspace(0.1, 0.8, 25):
            lab.page.mouse.move(box["x"] + part * box["width"], y)
        lab.page.mouse.up()
        last = int(slider.input_value())
        assert 70 < last < 90
        lab.wait_for(before, sigma=last)
        clean = clean_of(lab.sample_ids()[0])
        assert_shows(lab, compare(clean, GaussianNoise(last / 255), 0, DEFAULT_DENOISERS))
        lab.page.wait_for_timeout(700)  # nothing older may come in later
        assert lab.root.get_attribute("data-sigma") == str(last)

    def test_arrow_keys(self, any_lab):
        lab = any_lab
        before = lab.version()
        lab.slider().focus()
        for _ in range(12):
            lab.page.keyboard.press("ArrowRight")
        lab.wait_for(before, sigma=37)
        before = lab.version()
        lab.page.keyboard.press("Home")
        lab.wait_for(before, sigma=0)
        np.testing.assert_array_equal(lab.gray("noisy"), lab.gray("clean"))
        assert lab.metric("noisy", "psnr") == np.inf

    @pytest.mark.parametrize(
        "typed", ["1000", *(pytest.param(text, marks=pytest.mark.slow) for text in ("-3", ""))]
    )
    def test_a_number_that_will_not_do(self, lab, typed):
        shown = lab.gray("median")
        lab.number().fill(typed)
        lab.status.get_by_text("has to be a number from 0 to 100").wait_for()
        np.testing.assert_array_equal(lab.gray("median"), shown)
        before = lab.version()
        lab.set_number(30)
        lab.wait_for(before, sigma=30)
        expect(lab.status).to_be_hidden()

    @pytest.mark.slow
    def test_undo_and_reset(self, lab):
        undo, reset = (
            lab.page.locator("#history").get_by_role("button", name=n) for n in ("Undo", "Reset")
        )
        first, median = lab.page.locator("#preset-gaussian"), lab.gray("median")
        expect(first).to_have_attribute("aria-pressed", "true")
        expect(undo).to_be_disabled()
        expect(reset).to_be_disabled()

        before = lab.version()
        lab.set_number(60)
        lab.wait_for(before, sigma=60)
        expect(undo).to_be_enabled()  # once it has rested: a dragged slider is one step
        expect(first).to_have_attribute("aria-pressed", "false")
        at_sixty = lab.gray("median")
        lab.page.locator("#methods-filters").click()
        expect(lab.card("nl-means")).to_be_visible()

        undo.click()  # though it has not rested yet
        expect(lab.card("nl-means")).to_have_count(0)
        lab.wait_for(sigma=60)
        np.testing.assert_array_equal(lab.gray("median"), at_sixty)
        undo.click()
        lab.wait_for(sigma=25)
        np.testing.assert_array_equal(lab.gray("median"), median)
        expect(undo).to_be_disabled()

        low = lab.page.locator("#preset-gaussian-low")
        low.click()
        lab.wait_for(preset="gaussian-low")
        expect(low).to_have_attribute("aria-pressed", "true")
        expect(reset).to_be_enabled()
        reset.click()
        lab.wait_for(preset="gaussian", sigma=25)
        expect(reset).to_be_disabled()
        undo.click()
        lab.wait_for(preset="gaussian-low")

    @pytest.mark.slow
    def test_other_noise_is_other_noise(self, lab):
        before, shown = lab.version(), lab.gray("noisy")
        clean = lab.gray("clean")
        lab.page.locator("#reroll").click()
        lab.wait_for(before)
        assert not np.array_equal(lab.gray("noisy"), shown)
        np.testing.assert_array_equal(lab.gray("clean"), clean)
        seed = int(lab.root.get_attribute("data-seed"))
        expected = GaussianNoise(25 / 255)(clean_of(lab.sample_ids()[0]), seed)
        np.testing.assert_array_equal(lab.gray("noisy"), to_uint8(expected))

    def test_another_kind(self, lab):
        before = lab.version()
        lab.page.get_by_label("Kind of noise", exact=True).click()
        lab.page.get_by_role("option", name="Salt and pepper").click()
        lab.wait_for(before, noise="salt-and-pepper")
        expected = compare(
            clean_of(lab.sample_ids()[0]), create_noise("salt-and-pepper"), 0, DEFAULT_DENOISERS
        )
        assert_shows(lab, expected)
        expect(lab.slider()).to_be_hidden()
        expect(lab.slider("noise-salt-and-pepper-amount")).to_be_visible()

    def test_up_to_four_noises_one_after_the_other(self, lab):
        more = lab.page.locator("#more-noises")
        add = more.get_by_role("button", name="Add a noise")
        rows = more.get_by_role("group")
        expect(rows).to_have_count(0)
        add.click()
        expect(more.get_by_label("Kind of noise 2")).to_be_focused()
        add.click()
        add.click()
        expect(add).to_be_hidden()
        expect(rows).to_have_count(3)
        # By hand, with the keyboard and as a number; each row has settings of its own.
        more.get_by_label("Kind of noise 2").select_option("jpeg")
        more.get_by_label("Quality (of 100), noise 2", exact=True).press("Home")
        more.get_by_label("Kind of noise 4").select_option("impulse")
        typed = more.get_by_label("Share of pixels (% of pixels), noise 4, as a number")
        typed.fill("150")
        typed.press("Tab")
        expect(typed).to_have_value("60")
        stages = [create_noise("gaussian"), create_noise("jpeg", quality=1), create_noise("gaussian")]
        chain = NoiseChain((*stages, create_noise("impulse", amount=0.6)))
        given, four = lab.root.locator(".lab-given"), f"{chain.describe()}, seed 0"
        expect(given).to_have_text(four)
        shown = get_sample(bundled_faces(), lab.sample_ids()[0]).image
        noisy = compare(shown, chain, 0, []).corruption.noisy
        np.testing.assert_array_equal(lab.gray("noisy"), to_uint8(noisy))
        # Any of them can go, and Undo brings it back.
        lab.page.wait_for_timeout(1000)  # so that it is a step of its own
        more.get_by_role("button", name="Remove noise 3").click()
        expect(given).to_have_text(re.compile("^Gaussian.*JPEG.*impulses"))
        expect(add).to_be_focused()
        expect(more.get_by_label("Kind of noise 3")).to_have_value("impulse")
        lab.page.locator("#history").get_by_role("button", name="Undo").click()
        expect(given).to_have_text(four)
        expect(more.get_by_label("Kind of noise 3")).to_have_value("gaussian")
        # A preset is one noise.
        lab.page.locator("#preset-gaussian-high").click()
        expect(rows).to_have_count(0)
        expect(add).to_be_visible()
        assert lab.overflow() <= 0

    def test_no_noise_at_all(self, lab):
        """Nothing is scored against infinity, nothing is best, and every card says what it destroys."""
        before = lab.version()
        lab.set_number(0)
        lab.wait_for(before, sigma=0)
        expect(lab.card("noisy").locator(".card-flag")).to_have_text(
            "nothing to remove", use_inner_text=True
        )
        for name in DEFAULT_DENOISERS:
            text = lab.card(name).inner_text()
            assert re.search(r"destroys (< )?\d+\.\d of 255|changes nothing", text)
            assert "∞" not in text.replace("∞ dB", "", 1)  # a method that changes nothing has that PSNR
        assert [best for best in lab.page.locator(".card-best").all_inner_texts() if best] == []

    @pytest.mark.slow
    def test_times_are_medians_of_the_page_s_runs(self, lab):
        title = lab.card("attention-unet").locator("dt", has_text=re.compile("run|Median of"))
        for _ in range(2):
            before = lab.version()
            lab.page.locator("#reroll").click()
            lab.wait_for(before)
        assert re.fullmatch(r"Median of \d+", title.text_content())
        runs = int(title.text_content().split()[-1])
        before = lab.version()
        lab.page.locator("#reroll").click()
        lab.wait_for(before)
        assert int(title.text_content().split()[-1]) == min(runs + 1, 15)
        assert lab.metric("attention-unet", "ms") > 0
        for row in lab.page.locator(".card-numbers > div:visible").all():
            assert row.evaluate("row => row.scrollWidth <= row.clientWidth")

    def test_preset(self, lab):
        before = lab.version()
        lab.page.locator("#preset-salt-and-pepper-10").click()
        lab.wait_for(before, noise="salt-and-pepper", sigma=10)
        expected = create_noise("salt-and-pepper-10")(clean_of(lab.sample_ids()[0]), 0)
        np.testing.assert_array_equal(lab.gray("noisy"), to_uint8(expected))


class TestViews:
    def test_picture_error_and_residual(self, lab):
        clean, noisy, median = (lab.gray(name).astype(int) for name in ("clean", "noisy", "median"))
        lab.show("residual")
        expected = np.clip(127.5 + 127.5 * (noisy - median) / 64, 0, 255)
        # The residual is taken before the noisy picture is rounded to 8 bits: up to half a level.
        np.testing.assert_allclose(lab.gray("median"), expected, atol=2)
        lab.show("error")
        no_error = lab.rgb("clean")
        assert np.unique(no_error.reshape(-1, 3), axis=0).tolist() == [[0, 0, 4]]
        brightness = lab.rgb("median").astype(int).sum(axis=-1)
        error = np.abs(median - clean)
        assert brightness[error >= 32].min() > brightness[error <= 3].max()
        lab.show("picture")
        np.testing.assert_array_equal(lab.gray("median"), median)


class TestStage:
    """Two of the pictures, large."""

    def shown(self, lab, place):
        return as_gray(read_rgb(lab.root.locator(".stage-figure canvas").nth(place)))

    def test_what_is_chosen_is_on_it_and_the_verdict_ranks_it(self, lab):
        first, *_, last = DEFAULT_DENOISERS
        np.testing.assert_array_equal(self.shown(lab, 0), lab.gray("noisy"))
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray(first))
        assert lab.root.locator(".stage-frame").first.bounding_box()["width"] >= 480
        lab.card(last).locator(".card-gain").click()
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray(last))
        assert lab.card(last).get_attribute("aria-current") == "true"
        gains = {name: lab.metric(name, "psnr") for name in DEFAULT_DENOISERS}
        ranked = sorted(gains, key=gains.__getitem__, reverse=True)
        verdict = lab.root.locator(".stage-verdict").inner_text()
        assert verdict.startswith(create_denoiser(ranked[0]).info.label)
        place, count = ranked.index(last) + 1, len(ranked)
        assert f"{create_denoiser(last).info.label} is number {place} of {count}" in verdict
        lab.root.get_by_role("button", name="Next method").click()
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray(first))  # round and round

        # It follows the slider, and where its method is taken away, the first one is on it.
        lab.card("median").locator("canvas.card-picture").press("Enter")
        before = lab.version()
        lab.set_number(60)
        lab.wait_for(before, sigma=60)
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray("median"))
        before = lab.version()
        lab.toggle(create_denoiser("median").info.label)
        lab.wait_for(before)
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray(first))

    @pytest.mark.slow
    def test_wipe_difference_swap_and_zoom(self, lab):
        first = DEFAULT_DENOISERS[0]
        pictures = lab.root.locator(".stage-pictures")
        frame = lab.root.locator(".stage-frame").nth(1)
        lab.root.locator(".stage-modes").get_by_text("Wipe").click()
        assert lab.root.locator(".stage-figure").first.bounding_box()["x"] == frame.bounding_box()["x"]
        lab.root.locator(".stage-wipe").press("ArrowRight")
        assert pictures.evaluate("node => node.style.getPropertyValue('--wipe')") == "51%"
        box = frame.bounding_box()
        lab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
        lab.page.mouse.down()
        lab.page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 60)
        lab.page.mouse.up()
        assert pictures.evaluate("node => node.style.getPropertyValue('--wipe')") == "25%"

        lab.root.locator(".stage-modes").get_by_text("Difference").click()
        lab.root.get_by_label("Compare with").select_option("median")
        less = lab.gray(first).astype(int) - lab.gray("median")
        expected = np.clip(np.floor(127.5 + 127.5 * less / 32 + 0.5), 0, 255)
        np.testing.assert_array_equal(self.shown(lab, 1), expected)

        lab.root.locator(".stage-modes").get_by_text("Side by side").click()
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray(first))
        lab.page.keyboard.down("f")
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray("median"))
        lab.page.keyboard.up("f")
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray(first))

        canvases = lab.root.locator(".stage-figure canvas")
        lab.root.get_by_role("button", name="Larger").click()
        pictures.press("ArrowRight")
        styles = canvases.evaluate_all(
            "all => all.map(c => [c.style.transform, c.style.transformOrigin])"
        )
        assert styles[0] == styles[1]
        assert styles[0][0] == "scale(2)"
        assert float(styles[0][1].split("%")[0]) == pytest.approx(50 + 100 / 48, abs=0.01)
        lab.root.get_by_role("button", name="Smooth").click()
        assert canvases.first.evaluate("c => getComputedStyle(c).imageRendering") == "auto"
        assert lab.overflow() <= 0

    @pytest.mark.slow
    def test_two_noises_side_by_side_on_the_same_face(self, lab):
        lab.card("noisy").locator(".card-label").click()
        gaussian = lab.gray("noisy")
        lab.root.get_by_role("button", name="Keep").click()
        before = lab.version()
        lab.page.locator("#preset-salt-and-pepper-10").click()
        lab.wait_for(before, preset="salt-and-pepper-10")
        np.testing.assert_array_equal(self.shown(lab, 0), gaussian)
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray("noisy"))
        kept = lab.root.locator(".stage-figure figcaption").first
        expect(kept).to_contain_text("Kept: Noisy")
        expect(kept).to_contain_text("Gaussian, sigma 25 of 255")
        # Its error is that of its own noise.
        lab.show("error")
        error = read_rgb(lab.root.locator(".stage-figure canvas").first)
        lab.page.locator("#preset-gaussian").click()
        lab.wait_for(preset="gaussian")
        np.testing.assert_array_equal(error, lab.rgb("noisy"))
        # Another face is not to be compared with it.
        lab.show("picture")
        before = lab.version()
        lab.pick(lab.sample_ids()[3])
        lab.wait_for(before)
        np.testing.assert_array_equal(self.shown(lab, 0), lab.gray("noisy"))
        expect(lab.root.locator(".stage-reference option")).to_have_count(len(lab.methods()))

    @pytest.mark.slow
    def test_presenting_leaves_the_stage_and_the_slider(self, lab):
        page, first = lab.page, DEFAULT_DENOISERS[0]
        page.set_viewport_size({"width": 1280, "height": 720})
        lab.root.get_by_role("button", name="Present").click()
        for hidden in ("#introduction", "#face-panel", "#methods-panel", "#charts", "#seed"):
            expect(page.locator(hidden)).to_be_hidden()
        expect(lab.slider()).to_be_in_viewport(ratio=1)
        expect(lab.root.locator(".stage-verdict")).to_be_in_viewport(ratio=1)
        size = lab.root.locator(".stage-numbers").first.evaluate(
            "node => getComputedStyle(node).fontSize"
        )
        assert float(size.removesuffix("px")) >= 24
        page.keyboard.press("ArrowRight")
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray(DEFAULT_DENOISERS[1]))
        page.keyboard.press("ArrowLeft")
        np.testing.assert_array_equal(self.shown(lab, 1), lab.gray(first))
        page.keyboard.press("v")
        expect(lab.root).to_have_attribute("data-view", "error")
        before = lab.version()
        page.keyboard.press("r")
        lab.wait_for(before)
        page.keyboard.press("Escape")
        expect(page.locator("#introduction")).to_be_visible()
        expect(lab.root.get_by_role("button", name="Present")).to_be_visible()

    @pytest.mark.slow
    @pytest.mark.parametrize("width", ["desktop", "phone"])
    def test_it_is_above_the_fold_and_stays_in_view(self, browser, server, width):
        with watched_at(browser, width) as watched:
            lab = Lab(watched.page)
            lab.open(server)
            top = "document.querySelector('.stage-frame').getBoundingClientRect().top"
            assert watched.page.evaluate(f"{top} + 100 < innerHeight")
            watched.page.evaluate("scrollTo(0, 500)")
            watched.page.wait_for_function(f"scrollY === 500 && {top} >= 0 && {top} < 150")

    @pytest.mark.slow
    def test_sorted_by_gain(self, lab):
        lab.root.get_by_role("button", name="Sort by gain").click()
        gains = [lab.metric(name, "psnr") for name in lab.methods()[2:]]
        assert lab.methods()[:2] == ["clean", "noisy"]
        assert gains == sorted(gains, reverse=True)
        lab.root.get_by_role("button", name="Sort by gain").click()
        assert lab.methods()[2:] == list(DEFAULT_DENOISERS)


class TestMethods:
    def test_take_one_away_and_bring_it_back(self, lab):
        label = create_denoiser("median").info.label
        before = lab.version()
        lab.toggle(label)
        lab.wait_for(before)
        assert lab.methods() == ["clean", "noisy", *DEFAULT_DENOISERS[:-1]]
        before = lab.version()
        lab.toggle(label)
        lab.wait_for(before)
        assert "median" in lab.methods()

    @pytest.mark.slow
    def test_a_network_too_many_follows(self, lab):
        for method in [m for m in MODELS[: MODELS.index(LATE) + 1] if m not in DEFAULT_DENOISERS]:
            before = lab.version()
            lab.toggle(create_denoiser(method).info.label)
            lab.wait_for(before)
        clean = clean_of(lab.sample_ids()[0])
        for sigma in (25, 60):
            if sigma != 25:
                before = lab.version()
                lab.set_number(sigma)
                lab.wait_for(before, sigma=sigma)
            card = lab.card(LATE).and_(lab.page.locator('[data-state="settled"]'))
            card.locator("[data-metric=psnr]").get_by_text("dB").wait_for()
            expected = compare(clean, GaussianNoise(sigma / 255), 0, [LATE])[LATE]
            assert lab.metric(LATE, "psnr") == pytest.approx(expected.psnr, abs=0.0061)
        states = lab.page.evaluate(STATES_WHILE_MOVING, LATE)
        assert "updating" in states  # it really came after the others

    def test_a_setting_of_a_method_reaches_its_card_and_the_address(self, lab):
        lab.open_method_settings()
        before = lab.version()
        lab.set_number(3, "method-median-radius")
        lab.wait_for(before)
        wide = create_denoiser("median").with_hyperparameters(radius=3)
        expected = compare(clean_of(lab.sample_ids()[0]), GaussianNoise(25 / 255), 0, [wide])["median"]
        np.testing.assert_array_equal(lab.gray("median"), to_uint8(expected.image))
        assert lab.metric("median", "psnr") == pytest.approx(expected.psnr, abs=0.0061)
        expect(lab.card("median")).to_contain_text("radius 3 pixels", use_inner_text=True)
        lab.page.wait_for_url(re.compile(r"median:radius=3"))
        lab.toggle(create_denoiser("median").info.label)  # its slider goes with it
        expect(lab.page.locator("#method-median-radius")).to_be_hidden()

    @pytest.mark.slow
    def test_sets_of_methods(self, lab):
        expect(lab.page.locator("#methods .method-group:visible")).to_have_count(5)
        filters = [m for m in list_denoisers() if create_denoiser(m).info.family == "classical"]
        best = read_benchmark().best_of_families("gaussian").values()
        sets = {
            "filters": filters,
            "none": [],
            "default": list(DEFAULT_DENOISERS),
            "best": [m for m in list_denoisers() if m in best],
        }
        for button, chosen in sets.items():
            before = lab.version()
            lab.page.locator(f"#methods-{button}").click()
            lab.wait_for(before)
            assert lab.methods() == ["clean", "noisy", *chosen]

    @pytest.mark.slow
    def test_finding_a_method_by_its_name(self, lab):
        boxes = lab.page.locator("#methods label:visible")
        lab.page.get_by_label("Find a method by its name").fill("dual")  # and no "Residual"
        labels = {create_denoiser(m).info.label for m in list_denoisers()}
        ticked = {create_denoiser(m).info.label for m in DEFAULT_DENOISERS}
        found = {label for label in labels if label.startswith("Dual")} | ticked
        assert {text.strip() for text in boxes.all_inner_texts()} == found
        expect(lab.page.locator("#methods .method-group:visible")).to_have_count(4)
        lab.page.get_by_label("Find a method by its name").fill("filters")  # a whole group
        expect(boxes.get_by_text("Total variation")).to_be_visible()
        lab.page.get_by_label("Find a method by its name").fill("no such")
        expect(lab.page.get_by_text("No method has this name.")).to_be_visible()

    @pytest.mark.slow
    def test_what_is_made_for_other_noise_says_so(self, lab):
        label = create_denoiser("trimmed-median").info.label
        before = lab.version()
        lab.toggle(label)
        lab.wait_for(before)
        expect(lab.card("trimmed-median")).to_contain_text("made for other noise: Salt and pepper")
        expect(lab.card("median")).not_to_contain_text("made for")
        verdict = lab.root.locator(".stage-verdict")
        expect(verdict).to_contain_text(f"{label} is made for other noise.")
        lab.card("trimmed-median").locator(".card-label").click()
        expect(verdict).to_contain_text("it is made for other noise.")
        lab.page.locator("#preset-salt-and-pepper-10").click()
        lab.wait_for(preset="salt-and-pepper-10")
        expect(lab.card("trimmed-median")).not_to_contain_text("made for")

    @pytest.mark.slow
    def test_none_at_all(self, lab):
        for name in DEFAULT_DENOISERS:
            before = lab.version()
            lab.toggle(create_denoiser(name).info.label)
            lab.wait_for(before)
        assert lab.methods() == ["clean", "noisy"]


class TestDownloads:
    def save(self, lab, label):
        with lab.page.expect_download() as waiting:
            lab.page.get_by_role("button", name=label).click()
        download = waiting.value
        return download.suggested_filename, download.path().read_bytes()

    def test_contact_sheet(self, any_lab):
        name, data = self.save(any_lab, "Contact sheet (PNG)")
        picture = PIL.Image.open(io.BytesIO(data))
        picture.load()
        assert name.endswith(".png")
        assert picture.width > 600
        assert picture.info == {}

    def test_pictures(self, untouched_lab):
        lab = untouched_lab
        name, data = self.save(lab, "Pictures (zip)")
        archive = zipfile.ZipFile(io.BytesIO(data))
        assert name.endswith(".zip")
        assert archive.testzip() is None
        for method in lab.methods():
            stored = np.asarray(PIL.Image.open(archive.open(f"{method}.png")))
            np.testing.assert_array_equal(stored, lab.gray(method))

    def test_numbers(self, untouched_lab):
        lab = untouched_lab
        name, data = self.save(lab, "Numbers (CSV)")
        rows = {row["id"]: row for row in csv.DictReader(io.StringIO(data.decode()))}
        assert name.endswith(".csv")
        assert list(rows) == ["noisy", *DEFAULT_DENOISERS]
        for method, row in rows.items():
            assert float(row["psnr"]) == pytest.approx(lab.metric(method, "psnr"), abs=0.0051)

    def test_they_follow_the_controls(self, lab):
        before = lab.version()
        lab.set_number(50)
        lab.wait_for(before, sigma=50)
        _, data = self.save(lab, "Numbers (CSV)")
        noisy = next(csv.DictReader(io.StringIO(data.decode())))
        assert float(noisy["psnr"]) == pytest.approx(lab.metric("noisy", "psnr"), abs=0.0051)


class TestTwoPeople:
    def test_what_one_does_leaves_the_other_alone(self, browser, server):
        pages = [open_lab(browser, server, name) for name in WIDTHS]
        one, other = (next(page) for page in pages)
        shown, before = other.gray("noisy"), one.version()
        one.pick(one.sample_ids()[5])
        one.wait_for(before)
        before = other.version()
        other.set_number(26)
        other.wait_for(before, sigma=26)
        np.testing.assert_array_equal(other.gray("clean"), to_uint8(clean_of(other.sample_ids()[0])))
        assert not np.array_equal(other.gray("noisy"), shown)
        for page in pages:
            assert next(page, None) is None

    @pytest.mark.slow
    def test_a_page_that_the_server_has_forgotten_says_so_and_goes_on(self, lab):
        """After a restart, or many other visitors; here its requests come from another session."""

        def forget(route):
            sent = route.request.post_data_json
            route.continue_(post_data=json.dumps(sent | {"session_hash": "forgotten"}))

        before = lab.version()
        lab.pick(lab.sample_ids()[2])
        lab.wait_for(before)
        expect(lab.status).to_be_empty()
        lab.page.route("**/gradio_api/run/predict*", forget)
        lab.set_number(30)
        lab.wait_for(sigma=30)
        expect(lab.status).to_contain_text("no longer has this page's face", use_inner_text=True)
        lab.page.unroute("**/gradio_api/run/predict*")
        lab.set_number(40)
        lab.wait_for(sigma=40)
        expect(lab.status).to_be_empty()


SCRIPT = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>${window.ran=1}'


class TestScripts:
    def test_a_link_that_brings_one(self, browser, server):
        keys = ("noise", "sample", "methods", "seed", "tab", "class")
        query = "?" + "&".join(f"{key}={quote(SCRIPT)}" for key in keys)
        for lab in open_lab(browser, server + query, "desktop"):
            assert lab.page.locator("#link-note").inner_text()
            assert lab.page.evaluate("window.ran") is None

    def test_an_error_that_quotes_one(self, browser, server):
        """Gradio says which value is none of a menu's choices; nobody but the sender ever sees it."""

        def misuse(route):
            sent = route.request.post_data_json
            route.continue_(post_data=json.dumps(sent | {"data": [SCRIPT]}))

        with watched_page(browser, 1440, 900) as watched:
            lab = Lab(watched.page)
            lab.open(server)
            lab.page.route("**/gradio_api/queue/join*", misuse)
            lab.page.locator("#shuffle").click()
            toast = lab.page.get_by_test_id("toast-body")
            toast.wait_for()
            expect(toast).to_contain_text("not in the list of choices", use_inner_text=True)
            assert lab.page.evaluate("window.ran") is None
