"""A picture of one's own in Chromium: the square that is the face, and its place among the faces."""

import re
import sys

import cv2
import numpy as np
import PIL.Image
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from skimage.data import astronaut

from denoiser.images import FacePhoto, Square, load_photo, to_png, to_uint8
from denoiser.ui.experiment.own_picture import GONE
from tests.browser.lab import EACH_WIDTH, WIDTHS, Lab, assert_fine, open_lab, read_rgb, watched_at
from tests.conftest import ROOT, app_environment, free_port, running
from tests.pictures import two_faces

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

OUTLINED = "[...document.querySelectorAll('#faces [aria-pressed=true]')].map(face => face.dataset.id)"


class OwnLab(Lab):
    """Drives the square, too."""

    def __init__(self, page):
        super().__init__(page)
        self.crop = page.locator("#crop .crop")
        self.box = page.locator("#crop .crop-square")
        self.picture = page.locator("#crop .crop-picture")
        self.note = page.locator("#face-note")

    def give(self, data, tmp_path) -> FacePhoto:
        """Give a picture, wait until its face is shown, and return what the server reads of it."""
        file = tmp_path / "own.png"
        file.write_bytes(data)
        before = self.version()
        self.upload(file)
        self.wait_for(before)
        self.wait_for_outline("own")
        self.crop.wait_for()
        return load_photo(data)[0]

    def square(self) -> Square:
        """What a reader of screens is told, where the picture was not shrunk."""
        side, left, top = map(int, re.findall(r"\d+", self.box.get_attribute("aria-valuetext")))
        return Square(top, left, side)

    def assert_cut(self, photo: FacePhoto, square: Square):
        """The square is told, drawn where it is, and what is shown in the grid and the strip."""
        assert self.square() == square
        outer, inner = self.picture.bounding_box(), self.box.bounding_box()
        height, width = photo.image.shape
        drawn = [
            (inner["y"] - outer["y"]) / outer["height"] * height,
            (inner["x"] - outer["x"]) / outer["width"] * width,
            inner["width"] / outer["width"] * width,
            inner["height"] / outer["height"] * height,
        ]
        expected = [square.top, square.left, square.side, square.side]
        np.testing.assert_allclose(drawn, expected, atol=2)
        pixels = to_uint8(photo.cut(square, 48))
        np.testing.assert_array_equal(self.gray("clean"), pixels)
        thumbnail = self.page.locator('#faces button[data-id="own"] canvas')
        np.testing.assert_array_equal(read_rgb(thumbnail)[..., 0], pixels)

    def outlined(self):
        return self.page.evaluate(OUTLINED)

    def wait_for_outline(self, *ids):
        self.page.wait_for_function(f"ids => String({OUTLINED}) === String(ids)", arg=list(ids))

    def spot(self, top, left):
        """Where a pixel of the two faces' picture is on the screen."""
        self.picture.scroll_into_view_if_needed()
        frame = self.picture.bounding_box()
        height, width, _ = two_faces().shape
        return frame["x"] + left / width * frame["width"], frame["y"] + top / height * frame["height"]

    def drag(self, start, end):
        """Drag with the mouse from one pixel of the picture to another, and wait for the face."""
        (x, y), (to_x, to_y) = self.spot(*start), self.spot(*end)
        before = self.version()
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for part in np.linspace(0, 1, 12):
            self.page.mouse.move(x + part * (to_x - x), y + part * (to_y - y))
        self.page.mouse.up()
        self.wait_for(before)


@pytest.fixture
def lab(browser, server):
    yield from open_lab(browser, server, "desktop", OwnLab)


@pytest.fixture(params=EACH_WIDTH)
def any_lab(browser, server, request):
    for lab in open_lab(browser, server, request.param, OwnLab):
        yield lab
        assert lab.overflow() <= 0


def middle(square):
    return square.top + square.side / 2, square.left + square.side / 2


TWO_FACES = to_png(two_faces() / 255)


class TestSquare:
    def test_the_whole_picture_is_shown_with_the_square_and_said(self, any_lab, tmp_path):
        lab = any_lab
        expect(lab.crop).to_be_hidden()
        photo = lab.give(TWO_FACES, tmp_path)
        lab.assert_cut(photo, photo.square)
        side = photo.square.side
        expect(lab.crop.locator(".crop-says")).to_have_text(
            f"The square, {side}x{side} pixels, is cut out, turned gray and scaled to 48x48."
        )
        loaded = lab.crop.locator("img").evaluate("photo => [photo.naturalWidth, photo.naturalHeight]")
        assert loaded == [460, 260]
        # Roughly, and at once: what the face will be.
        preview = read_rgb(lab.crop.locator("canvas")) @ [0.299, 0.587, 0.114]
        assert np.abs(preview - to_uint8(photo.cut(photo.square, 48))).mean() < 6

    def test_choose_a_face_or_the_centre(self, any_lab, tmp_path):
        lab = any_lab
        photo = lab.give(TWO_FACES, tmp_path)
        for name, square in {"Face 1": photo.faces[0], "The centre": photo.centre}.items():
            before = lab.version()
            button = lab.crop.get_by_role("button", name=name)
            button.click()
            lab.wait_for(before)
            lab.assert_cut(photo, square)
            expect(button).to_have_attribute("aria-pressed", "true")
            assert lab.crop.locator('[aria-pressed="true"]').count() == 1
        expect(lab.note).to_be_hidden()  # it was about the square that the page chose

    def test_click_on_a_face_in_the_picture(self, lab, tmp_path):
        photo = lab.give(TWO_FACES, tmp_path)
        assert lab.crop.locator(".crop-outlines > :visible").count() == 1
        before = lab.version()
        lab.page.mouse.click(*lab.spot(*middle(photo.faces[0])))
        lab.wait_for(before)
        lab.assert_cut(photo, photo.faces[0])

    def test_click_beside_the_faces_brings_the_square_there(self, lab, tmp_path):
        photo = lab.give(TWO_FACES, tmp_path)
        before = lab.version()
        lab.page.mouse.click(*lab.spot(255, 5))
        lab.wait_for(before)
        lab.assert_cut(photo, Square(260 - photo.square.side, 0, photo.square.side))

    def test_drag_it_and_it_stays_within_the_picture(self, lab, tmp_path):
        photo = lab.give(TWO_FACES, tmp_path)
        side = photo.square.side
        lab.drag(middle(photo.square), (260 - side / 2, side / 2))
        square = lab.square()
        assert (square.side, square.top) == (side, pytest.approx(260 - side, abs=2))
        assert square.left == pytest.approx(0, abs=2)
        lab.assert_cut(photo, square)
        lab.drag(middle(square), (-300, 900))
        lab.assert_cut(photo, Square(0, 460 - side, side))

    def test_drag_a_corner_and_it_stays_a_square(self, lab, tmp_path):
        photo = lab.give(TWO_FACES, tmp_path)
        start = photo.square
        bottom, right = start.top + start.side, start.left + start.side
        lab.drag((bottom, right), (bottom + 20, right + 5))
        assert lab.square() == Square(start.top, start.left, pytest.approx(start.side + 20, abs=2))
        lab.assert_cut(photo, lab.square())
        # As far as it goes: the corner across stays.
        now = lab.square()
        lab.drag((now.top + now.side, now.left + now.side), (900, 900))
        room = min(260 - start.top, 460 - start.left)
        lab.assert_cut(photo, Square(start.top, start.left, room))
        corner = start.top + room - 3, start.left + room - 3  # the picture may end there
        lab.drag(corner, (start.top - 100, start.left - 100))
        lab.assert_cut(photo, Square(start.top, start.left, photo.smallest_side))
        lab.drag((start.top, start.left), (-100, -100))
        grown = lab.square()
        assert grown.top + grown.side == start.top + photo.smallest_side
        assert min(grown.top, grown.left) == 0

    def test_the_face_follows_when_it_is_let_go(self, lab, tmp_path):
        photo = lab.give(TWO_FACES, tmp_path)
        before, shown = lab.version(), lab.gray("clean")
        sent = []
        lab.page.on("request", lambda request: sent.append(request.url))
        lab.page.mouse.move(*lab.spot(*middle(photo.square)))
        lab.page.mouse.down()
        lab.page.mouse.move(*lab.spot(130, 100))
        expect(lab.box).not_to_have_attribute("aria-valuetext", f"{photo.square.side} pixels wide, 0")
        assert lab.square() != photo.square
        lab.page.wait_for_timeout(500)
        assert not any("queue/join" in url for url in sent)
        np.testing.assert_array_equal(lab.gray("clean"), shown)
        lab.page.mouse.up()
        lab.wait_for(before)
        lab.assert_cut(photo, lab.square())

    def test_keys(self, lab, tmp_path):
        photo = lab.give(TWO_FACES, tmp_path)
        start, step = photo.square, 5  # a hundredth of 460
        box = lab.page.get_by_role("slider", name="Square that is cut out")
        for keys, expected in {
            "ArrowLeft ArrowLeft ArrowUp": Square(start.top - step, start.left - 2 * step, start.side),
            "+": Square(start.top - 2 * step, start.left - 3 * step, start.side + 2 * step),
            "Shift+ArrowUp": Square(start.top - 3 * step, start.left - 4 * step, start.side + 4 * step),
            "- Shift+ArrowLeft Shift+ArrowDown": Square(
                start.top, start.left - step, start.side - 2 * step
            ),
        }.items():
            before = lab.version()
            box.focus()
            for key in keys.split():
                lab.page.keyboard.press(key)
            lab.wait_for(before)
            lab.page.wait_for_timeout(400)  # keys on a slow machine are let go one by one
            lab.wait_for()
            lab.assert_cut(photo, expected)

    @pytest.mark.slow
    def test_a_finger_moves_and_resizes_it(self, browser, server, tmp_path):
        with watched_at(browser, "phone") as watched:
            lab = OwnLab(watched.page)
            lab.open(server)
            photo = lab.give(TWO_FACES, tmp_path)
            fingers = lab.page.context.new_cdp_session(lab.page)

            def swipe(start, end):
                before = lab.version()
                scrolled = lab.page.evaluate("scrollY")
                spots = np.linspace(start, end, 8)
                for kind, at in [("touchStart", spots[0]), *(("touchMove", at) for at in spots[1:])]:
                    points = [dict(zip("xy", at, strict=True))]
                    fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
                fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
                lab.wait_for(before)
                assert lab.page.evaluate("scrollY") == scrolled

            lab.crop.evaluate("crop => crop.scrollIntoView({block: 'end'})")
            start = photo.square
            swipe(lab.spot(*middle(start)), lab.spot(*np.add(middle(start), (30, -60))))
            moved = lab.square()
            assert moved.side == start.side
            assert (moved.top, moved.left) == pytest.approx((start.top + 30, start.left - 60), abs=4)
            lab.assert_cut(photo, moved)
            corner = lab.spot(moved.top + moved.side, moved.left + moved.side)
            swipe(np.add(corner, 6), np.add(corner, 36))  # a finger takes it beside the corner, too
            assert lab.square().side > moved.side
            lab.assert_cut(photo, lab.square())
            assert_fine(watched)

    @pytest.mark.slow
    @pytest.mark.parametrize("shape", [(1, 1), (30, 20), (100, 3000), (3000, 30)])
    def test_pictures_of_any_shape(self, lab, tmp_path, shape):
        pixels = cv2.resize(astronaut(), shape[::-1])
        photo = lab.give(to_png(pixels / 255), tmp_path)
        lab.assert_cut(photo, photo.square)
        assert lab.overflow() <= 0
        # The square is in sight, whatever part of the picture is.
        frame, box = lab.crop.locator(".crop-scroll").bounding_box(), lab.box.bounding_box()
        assert frame["x"] - 1 <= box["x"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 1
        assert frame["y"] - 1 <= box["y"]
        assert box["y"] + box["height"] <= frame["y"] + frame["height"] + 1

    @pytest.mark.slow
    def test_a_large_turned_picture(self, lab, tmp_path):
        """The sentence has the pixels of the picture as it was given."""
        file = tmp_path / "turned-before.jpg"
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        pixels = np.rot90(cv2.resize(two_faces(), (2760, 1560)))
        PIL.Image.fromarray(np.ascontiguousarray(pixels)).save(file, exif=exif)
        photo = lab.give(file.read_bytes(), tmp_path)
        assert photo.image.shape[1] < 2000
        np.testing.assert_array_equal(lab.gray("clean"), to_uint8(photo.cut(photo.square, 48)))
        side = round(photo.square.side * photo.size[1] / photo.image.shape[1])
        expect(lab.crop.locator(".crop-says")).to_contain_text(f"{side}x{side} pixels")
        width, height = lab.crop.locator("img").evaluate(
            "photo => [photo.naturalWidth, photo.naturalHeight]"
        )
        assert width / height == pytest.approx(2760 / 1560, rel=0.02)

    @pytest.mark.slow
    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.parametrize("width", WIDTHS)
    def test_axe_has_nothing_to_say(self, browser, server, tmp_path, width, theme):
        with watched_at(browser, width) as watched:
            lab = OwnLab(watched.page)
            lab.open(f"{server}?__theme={theme}")
            lab.give(TWO_FACES, tmp_path)
            found = Axe().run(watched.page, context="#face-panel").response["violations"]
            assert [(rule["id"], node["html"][:200]) for rule in found for node in rule["nodes"]] == []


class TestAmongTheFaces:
    def test_it_stays_and_the_outline_is_on_what_is_shown(self, lab, tmp_path):
        photo = lab.give(TWO_FACES, tmp_path)
        faces = lab.sample_ids()
        assert faces[0] == "own"
        assert len(faces) == 12
        steps = {
            faces[3]: lambda: lab.pick(faces[3]),
            None: lambda: lab.page.locator("#shuffle").click(),
            "own": lambda: lab.pick("own"),
        }
        for outlined, step in steps.items():
            before = lab.version()
            step()
            lab.wait_for(before)
            assert lab.sample_ids()[0] == "own"
            assert len(lab.sample_ids()) == 12
            assert lab.outlined() == [outlined or lab.sample_ids()[1]]
        lab.assert_cut(photo, photo.square)
        # And its square can be moved while a sample is shown.
        sample, before = lab.sample_ids()[5], lab.version()
        lab.pick(sample)
        lab.wait_for(before)
        before = lab.version()
        lab.crop.get_by_role("button", name="Face 1").click()
        lab.wait_for(before)
        assert lab.outlined() == ["own"]
        lab.assert_cut(photo, photo.faces[0])

    def test_a_second_picture_takes_its_place(self, lab, tmp_path):
        lab.give(TWO_FACES, tmp_path)
        photo = lab.give(to_png(astronaut() / 255), tmp_path)
        lab.assert_cut(photo, photo.square)
        assert lab.sample_ids().count("own") == 1
        assert len(lab.sample_ids()) == 12
        assert lab.crop.get_by_role("button").all_inner_texts() == ["The face", "The whole picture"]

    def test_where_nothing_comes_of_a_choice_the_outline_stays(self, lab):
        """The pictures show the last good settings, and so does the outline."""
        first, other = lab.sample_ids()[0], lab.sample_ids()[4]
        lab.set_number(-1, "seed")
        lab.status.get_by_text("The pictures show the last good settings").wait_for()
        before = lab.version()
        lab.pick(other)
        lab.page.wait_for_function(
            "before => document.querySelector('#comparison .lab').dataset.version > before", arg=before
        )
        lab.wait_for_outline(first)
        before = lab.version()
        lab.set_number(1, "seed")
        lab.wait_for(before, seed=1)
        assert lab.outlined() == [other]

    @pytest.mark.slow
    def test_a_server_that_has_forgotten_it_says_so(self, browser, tmp_path):
        """Its face, its square and its place among the faces go together."""
        port = free_port()

        def serving():
            return running([sys.executable, "app.py"], port, app_environment(port), ROOT)

        with watched_at(browser, "desktop") as watched:
            lab = OwnLab(watched.page)
            with serving() as url:
                lab.open(url)
                sample = lab.sample_ids()[0]
                lab.give(TWO_FACES, tmp_path)
            with serving():
                before = lab.version()
                lab.crop.get_by_role("button", name="Face 1").click()
                lab.note.get_by_text(GONE).wait_for()
                lab.wait_for(before)
                expect(lab.status).to_contain_text("no longer has this page's face")
                expect(lab.crop).to_be_hidden()
                assert "own" not in lab.sample_ids()
                assert lab.outlined() == [sample]
                lab.give(TWO_FACES, tmp_path)  # and it can be given again
                expect(lab.status).to_be_hidden()
