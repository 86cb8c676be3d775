"""The tab "Photo" in Chromium: a photo given, a region of it, the stage, the map, and all of it."""

import io
import json
import re

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms
from playwright.sync_api import expect

from denoiser.images.photo import read_photo
from denoiser.images.values import to_unit
from denoiser.noise import GaussianNoise
from denoiser.ui.photo.noise_blocks import noisy_part
from denoiser.ui.photo.session import portrait
from tests.browser.lab import EACH_WIDTH, Lab, as_gray, assert_fine, open_tab, read_rgb, watched_at

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HEIGHT, WIDTH = 420, 640
PLACE = "51 deg 30' N"  # as nobody is to see it
OWNER = "Somebody's camera"


def made_up(colour=True) -> np.ndarray:
    """A photo of nothing, whose every place looks different."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    channels = [
        0.5 + 0.4 * np.sin(rows / (11 + 7 * c)) * np.cos(columns / (29 - 5 * c)) for c in range(3)
    ]
    return np.rint(255 * (np.stack(channels, axis=-1) if colour else channels[0])).astype(np.uint8)


def with_profile_and_place(pixels: np.ndarray) -> bytes:
    """A PNG as a telephone's photo would be."""
    exif = PIL.Image.Exif()
    exif[0x010F] = OWNER
    exif[0x8825] = {1: "N", 2: (51.0, 30.0, 0.0), 3: "W", 4: (0.0, 7.0, 0.0), 29: PLACE}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG", exif=exif, icc_profile=profile)
    return buffer.getvalue()


class PhotoTab:
    """Drives the tab."""

    def __init__(self, page):
        self.page = page
        self.root = page.locator("#photo-view .photo")
        self.frame = page.locator("#photo-map .photo-map-frame")
        self.map = page.locator("#photo-map .photo-map")
        self.strip = self.root.locator(".photo-method")
        self.status = self.root.locator(".photo-status")
        self.whole = page.locator("#photo-whole .photo-whole")

    def open(self, server):
        self.page.goto(server)
        open_tab(self.page, "Photo")
        self.wait_for("settled")

    def wait_for(self, state="settled", photo=None, but=""):
        """Wait for a state of the view, of a photo, under another key than ``but``."""
        self.page.wait_for_function(
            """([state, but, photo]) => {
              const shown = document.querySelector('#photo-view .photo')?.dataset;
              const given = document.querySelector('#photo-map .photo-map')?.dataset;
              return shown?.state === state && shown.key !== but && (!photo || given.photo !== photo);
            }""",
            arg=[state, but, photo],
        )

    def key(self):
        return self.root.get_attribute("data-key")

    def region(self):
        return json.loads(self.map.get_attribute("data-region"))

    def give(self, data, tmp_path, name="photo.png"):
        """Give a photo, and wait until the page asks what it is."""
        file = tmp_path / name
        file.write_bytes(data)
        before = self.map.get_attribute("data-photo")
        self.page.locator("#photo-picture input[type=file]").first.set_input_files(file)
        self.wait_for("question", before)

    def say(self, what):
        self.page.locator("#photo-answer").get_by_text(what).click()
        self.wait_for()

    def canvas(self, place):
        return self.root.locator(".stage-figure canvas").nth(place)

    def rgb(self, place):
        return read_rgb(self.canvas(place))

    def style(self, part, what):
        return self.root.locator(part).last.evaluate(f"e => e.{what}")

    def name(self):
        return self.root.locator(".stage-figure strong").nth(1).inner_text()

    def mode(self, name):
        self.root.locator(".stage-modes").get_by_text(name).click()


def opened_at(browser, server, width):
    with watched_at(browser, width) as watched:
        tab = PhotoTab(watched.page)
        tab.open(server)
        yield tab
        assert_fine(watched)


@pytest.fixture
def tab(browser, server):
    yield from opened_at(browser, server, "desktop")


@pytest.fixture(params=EACH_WIDTH)
def any_tab(browser, server, request):
    for tab in opened_at(browser, server, request.param):
        yield tab
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert tab.page.evaluate(script) <= 0


def rows_and_columns(region):
    """Which of a photo's pixels a region has."""
    side = region["side"]
    return tuple(slice(region[name], region[name] + side) for name in ("top", "left"))


def noisy_region(region, sigma=25):
    """What a region of the portrait looks like with noise."""
    pixels, side = portrait().photo.pixels, region["side"]
    corner = region["top"], region["left"], side, side
    return np.rint(255 * to_unit(noisy_part(pixels, GaussianNoise(sigma / 255), 0, *corner)))


def test_the_tab_opens_with_the_portrait_clean_and_noisy(any_tab):
    tab = any_tab
    region = tab.region()
    assert region["photo"] == "portrait"
    rows, columns = (slice(region[name], region[name] + 128) for name in ("top", "left"))
    noisy = noisy_part(
        portrait().photo.pixels, GaussianNoise(), 0, region["top"], region["left"], 128, 128
    )
    np.testing.assert_array_equal(tab.rgb(0), np.rint(255 * to_unit(noisy)))
    tab.root.locator(".stage-reference").select_option("clean")
    np.testing.assert_array_equal(tab.rgb(0), portrait().photo.pixels[rows, columns])
    assert tab.strip.count() >= 5
    for gain in tab.strip.locator("strong").all_inner_texts():
        assert gain.endswith(" dB")
    expect(tab.page.locator("#photo-map .photo-map-about")).to_contain_text("NASA")
    expect(tab.root.locator(".stage-verdict")).to_contain_text("is closest here")


def test_a_method_of_the_strip_goes_onto_the_stage(tab):
    median = tab.strip.filter(has_text="Median 3x3")
    before = tab.rgb(1)
    median.click()
    expect(median).to_have_attribute("aria-pressed", "true")
    assert tab.name() == "Median 3x3"
    assert (tab.rgb(1) != before).any()
    # It stays there when the region moves.
    key = tab.key()
    tab.frame.press("ArrowRight")
    tab.wait_for(but=key)
    assert tab.name() == "Median 3x3"


def test_the_map_moves_the_region(any_tab):
    tab = any_tab
    start = tab.region()
    moves = (("left", "ArrowRight", 16), ("top", "ArrowDown", 16), ("left", "ArrowLeft", -16))
    for name, key, step in moves:
        before, shown = tab.region(), tab.key()
        tab.frame.press(key)
        tab.wait_for(but=shown)
        assert tab.region() == before | {name: before[name] + step}
    assert tab.region() == start | {"top": start["top"] + 16}
    tab.root.locator(".stage-reference").select_option("clean")
    cut = portrait().photo.pixels[rows_and_columns(tab.region())]
    np.testing.assert_array_equal(tab.rgb(0), cut)
    for _ in range(60):
        tab.frame.press("ArrowUp")
    assert tab.region()["top"] == 0  # and no further
    assert "0 from the top" in tab.frame.get_attribute("aria-valuetext")


def test_drag_the_frame_and_it_stays_within_the_photo(tab):
    tab.frame.scroll_into_view_if_needed()
    box = tab.frame.bounding_box()
    shown = tab.key()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    for part in np.linspace(0, 1, 10):
        tab.page.mouse.move(x + 800 * part, y + 800 * part)
    tab.page.mouse.up()
    tab.wait_for(but=shown)
    region = tab.region()
    assert (region["top"], region["left"]) == (384, 384)
    tab.root.locator(".stage-reference").select_option("clean")
    tab.wait_for()
    np.testing.assert_array_equal(tab.rgb(0), portrait().photo.pixels[384:, 384:])


def test_a_click_beside_the_frame_brings_it_there(any_tab):
    tab = any_tab
    picture = tab.page.locator(".photo-map-picture")
    shown = tab.key()
    box = picture.bounding_box()
    place = {"x": box["width"] / 2, "y": 0.75 * box["height"]}
    touch = tab.page.evaluate("matchMedia('(pointer: coarse)').matches")
    picture.tap(position=place) if touch else picture.click(position=place)
    tab.wait_for(but=shown)
    region = tab.region()
    assert region["top"] == pytest.approx(0.75 * 512 - 64, abs=4)
    assert region["left"] == pytest.approx(256 - 64, abs=4)


def test_another_size_keeps_the_middle(tab):
    before, shown = tab.region(), tab.key()
    tab.page.locator("#photo-side").get_by_text("256").click()
    tab.wait_for(but=shown)
    region = tab.region()
    assert region == {
        "photo": "portrait",
        "top": max(0, before["top"] - 64),
        "left": before["left"] - 64,
        "side": 256,
    }
    assert tab.rgb(1).shape == (256, 256, 3)


def test_wipe_by_keys_and_by_dragging(tab):
    tab.mode("Wipe")
    wipe = tab.root.locator(".stage-wipe")
    wipe.press("Home")
    assert (
        tab.root.locator(".stage-pictures").evaluate("e => e.style.getPropertyValue('--wipe')") == "0%"
    )
    frame = tab.root.locator(".stage-frame").nth(1)
    box = frame.bounding_box()
    tab.page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 50)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 60)
    tab.page.mouse.up()
    assert int(wipe.input_value()) == pytest.approx(70, abs=2)


def test_zoom_is_the_same_on_both_sides_and_crisp(tab):
    tab.root.get_by_role("button", name="Larger").click()
    tab.root.locator(".stage-frame").nth(1).hover(position={"x": 20, "y": 30})
    transforms = [
        tab.canvas(i).evaluate("c => c.style.transform + c.style.transformOrigin") for i in (0, 1)
    ]
    assert transforms[0] == transforms[1]
    assert "scale(2)" in transforms[0]
    assert tab.canvas(1).evaluate("c => getComputedStyle(c).imageRendering") == "pixelated"


def test_the_noise_is_that_of_the_controls(tab):
    shown = tab.key()
    box = tab.page.locator("#photo-noise-gaussian-sigma input[type=number]")
    box.fill("60")
    box.press("Tab")
    tab.wait_for(but=shown)
    np.testing.assert_array_equal(tab.rgb(0), noisy_region(tab.region(), sigma=60))


def test_an_emptied_number_is_a_sentence_and_the_pictures_stay(tab):
    before = tab.rgb(1)
    box = tab.page.locator("#photo-seed input")
    box.fill("")
    box.press("Tab")
    expect(tab.status).to_contain_text("The seed has to be a whole number")
    expect(tab.status).to_contain_text("last good settings")
    np.testing.assert_array_equal(tab.rgb(1), before)
    box.fill("3")
    box.press("Tab")
    expect(tab.status).to_be_hidden()


def test_a_photo_of_one_s_own_is_asked_about_first(any_tab, tmp_path):
    tab = any_tab
    tab.give(with_profile_and_place(made_up()), tmp_path, "my secret name.png")
    expect(tab.root.locator(".stage")).to_be_hidden()
    expect(tab.root.locator(".photo-question")).to_contain_text("clean or already noisy")
    expect(tab.page.locator("#photo-run")).to_be_hidden()
    tab.say("It is clean")
    tab.root.locator(".stage-reference").select_option("clean")
    np.testing.assert_array_equal(tab.rgb(0), made_up()[rows_and_columns(tab.region())])
    html = tab.page.content()
    for secret in ("my secret name", OWNER, PLACE):
        assert secret not in html


def test_a_noisy_photo_has_no_psnr_and_says_why(tab, tmp_path):
    noisy = noisy_part(made_up(), GaussianNoise(20 / 255), 0, 0, 0, HEIGHT, WIDTH)
    tab.give(with_profile_and_place(np.rint(255 * to_unit(noisy)).astype(np.uint8)), tmp_path)
    tab.say("It is already noisy")
    expect(tab.page.locator("#photo-no-psnr")).to_be_visible()
    expect(tab.page.locator("#photo-noise")).to_be_hidden()
    expect(tab.root.locator(".photo-about")).to_contain_text("Gaussian, sigma")
    # Nothing but estimates.
    for text in [tab.root.locator(".stage-numbers").nth(1).inner_text(), *tab.strip.all_inner_texts()]:
        assert "over noisy" not in text
        assert re.search(r"about \d+\.\d dB", text)
    tab.mode("Method noise")
    method_noise = tab.rgb(1).astype(float) - 127.5
    assert abs(method_noise.mean()) < 4
    assert method_noise.std() == pytest.approx(20 * 127.5 / 32, rel=0.35)


def test_gray_stays_gray(tab, tmp_path):
    tab.give(with_profile_and_place(made_up(colour=False)), tmp_path)
    tab.say("It is clean")
    for place in (0, 1):
        as_gray(tab.rgb(place))


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "empty"), (b"no picture at all", "isn't a picture"), (b"\x89PNG\r\n\x1a\n" + b"0" * 50, ".")],
    ids=["empty", "text", "damaged"],
)
def test_a_bad_file_is_a_sentence_and_the_photo_stays(tab, tmp_path, data, said):
    file = tmp_path / "photo.png"
    file.write_bytes(data)
    before = tab.rgb(1)
    tab.page.locator("#photo-picture input[type=file]").first.set_input_files(file)
    note = tab.page.locator("#photo-note p")
    expect(note).to_contain_text(said)
    assert tab.region()["photo"] == "portrait"
    np.testing.assert_array_equal(tab.rgb(1), before)
    # And a good one can be given after it.
    tab.give(with_profile_and_place(made_up()), tmp_path)
    expect(note).to_be_hidden()


def download(tab, bits) -> bytes:
    with tab.page.expect_download() as waiting:
        tab.page.locator(f"#photo-save-{bits}").click()
    assert waiting.value.suggested_filename == "photo.png"
    return waiting.value.path().read_bytes()


def test_the_whole_photo_is_computed_and_saved_with_its_profile_and_without_its_place(any_tab, tmp_path):
    tab = any_tab
    tab.give(with_profile_and_place(made_up()), tmp_path)
    tab.say("It is clean")
    median = tab.strip.filter(has_text="Median 3x3")
    median.click()
    shown = tab.rgb(1)
    region = tab.region()
    expect(tab.page.locator("#photo-save-8")).to_be_hidden()
    tab.page.locator("#photo-run").click()
    tab.page.locator("#photo-whole .photo-whole[data-state=done]").wait_for()
    expect(tab.whole).to_contain_text("by Median 3x3")
    expect(tab.whole).to_contain_text("PSNR of the whole photo")
    expect(tab.whole.locator("img")).to_be_visible()
    for bits in (8, 16):
        data = download(tab, bits)
        photo = read_photo(data)
        assert (photo.bits, photo.pixels.shape) == (bits, (HEIGHT, WIDTH, 3))
        image = PIL.Image.open(io.BytesIO(data))
        assert image.info["icc_profile"]
        assert 0x8825 not in image.getexif()
        assert PLACE.encode() not in data
        assert b"51" not in (photo.exif or b"")
        # What the stage shows is what is saved.
        part = photo.pixels[rows_and_columns(region)]
        np.testing.assert_allclose(np.rint(255 * to_unit(part)), shown, atol=1)


@pytest.mark.slow
def test_a_whole_photo_can_be_cancelled_and_begun_again(tab, tmp_path):
    large = np.tile(made_up(), (5, 4, 1))
    tab.give(with_profile_and_place(large), tmp_path)
    tab.say("It is already noisy")
    tab.strip.filter(has_text="Residual U-Net").first.click()
    cancel = tab.page.locator("#photo-cancel")
    expect(cancel).to_be_hidden()
    tab.page.locator("#photo-run").click()
    cancel.click()
    tab.page.locator("#photo-whole .photo-whole[data-state=stopped]").wait_for()
    expect(tab.whole).to_contain_text("Stopped.")
    expect(cancel).to_be_hidden()
    expect(tab.page.locator("#photo-save-8")).to_be_hidden()
    tab.strip.filter(has_text="Median 3x3").click()
    tab.page.locator("#photo-run").click()
    tab.page.locator("#photo-whole .photo-whole[data-state=done]").wait_for()
    # What there is stays when more is begun and given up.
    tab.strip.filter(has_text="Residual U-Net").first.click()
    tab.page.locator("#photo-run").click()
    cancel.click()
    tab.page.locator("#photo-whole .photo-whole[data-state=stopped]").wait_for()
    expect(tab.page.locator("#photo-save-8")).to_be_visible()
    expect(tab.whole.locator("img")).to_be_visible()


@pytest.mark.slow
def test_another_photo_ends_the_computation_of_the_first(tab, tmp_path):
    tab.give(with_profile_and_place(np.tile(made_up(), (5, 4, 1))), tmp_path)
    tab.say("It is already noisy")
    tab.page.locator("#photo-run").click()
    tab.page.locator("#photo-whole .photo-whole[data-state=running]").wait_for()
    tab.page.locator("#photo-portrait").click()
    tab.page.locator("#photo-whole .photo-whole[data-state=idle]").wait_for()
    expect(tab.page.locator("#photo-cancel")).to_be_hidden()
    tab.strip.filter(has_text="Median 3x3").click()
    tab.page.locator("#photo-run").click()
    tab.page.locator("#photo-whole .photo-whole[data-state=done]").wait_for()
    expect(tab.whole).to_contain_text("512 x 512")


def test_another_photo_takes_the_old_result_away(tab, tmp_path):
    tab.strip.filter(has_text="Median 3x3").click()
    tab.page.locator("#photo-run").click()
    tab.page.locator("#photo-whole .photo-whole[data-state=done]").wait_for()
    tab.give(with_profile_and_place(made_up()), tmp_path)
    tab.say("It is clean")
    expect(tab.page.locator("#photo-save-8")).to_be_hidden()
    tab.page.locator("#photo-portrait").click()
    tab.page.wait_for_function(
        "document.querySelector('#photo-map .photo-map').dataset.photo === 'portrait'"
    )
    tab.wait_for()
    expect(tab.root.locator(".stage")).to_be_visible()


@pytest.mark.slow
def test_on_a_phone_the_pictures_stay_in_sight(browser, server):
    for tab in opened_at(browser, server, "phone"):
        slider = tab.page.locator("#photo-noise-gaussian-sigma input[type=range]")
        slider.scroll_into_view_if_needed()
        tab.page.evaluate("window.scrollBy(0, 120)")
        frame = tab.root.locator(".stage-pictures")
        top = frame.evaluate("e => e.getBoundingClientRect().top")
        assert top == pytest.approx(0, abs=2)
        expect(slider).to_be_in_viewport()


def test_the_address_opens_the_tab(browser, server):
    with watched_at(browser, "desktop") as watched:
        watched.page.goto(f"{server}/?tab=photo")
        tab = PhotoTab(watched.page)
        tab.wait_for("settled")
        assert_fine(watched)


def test_back_on_the_tab_everything_is_as_it_was(tab):
    tab.frame.press("ArrowRight")
    region = tab.region()
    open_tab(tab.page, "Compare")
    Lab(tab.page).wait_for()
    open_tab(tab.page, "Photo")
    tab.wait_for()
    assert tab.region() == region
