"""The blind test in Chromium, against the real app: alone, and as a class."""

import contextlib

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from denoiser.analysis.blind_test import ROUNDS
from denoiser.ui.blind.tab import DEFAULT_POOL
from denoiser.ui.experiment.run import describe_methods
from tests.browser.lab import EACH_WIDTH, assert_fine, open_tab, read_rgb, watched_at
from tests.conftest import watched_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATIENCE = 90_000  # milliseconds; models are loaded when they are first used

# Keeps what the server sends, streams included, in window.received.
LISTEN = """() => {
  window.received = "";
  const fetched = window.fetch;
  const keep = async (response) => {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part; !(part = await reader.read()).done;) window.received += part.value;
  };
  window.fetch = async (...request) => {
    const response = await fetched(...request);
    keep(response.clone()).catch(() => {});  // a stream is broken off once it is no longer needed
    return response;
  };
}"""


class BlindTab:
    """What the tests press and read."""

    def __init__(self, page):
        self.page = page
        self.board = page.locator("#blind-board")
        self.panel = page.locator("#class-panel")

    def open(self, url):
        self.page.goto(f"{url}/?tab=blind")
        self.wait_for_round(1)  # it begins by itself

    def wait_for_round(self, number):
        title = self.board.get_by_role("heading", name=f"Round {number} of {ROUNDS}", exact=True)
        title.wait_for(timeout=PATIENCE)

    def wait_for_results(self):
        self.board.get_by_role("heading", name="How your eye ranks").wait_for(timeout=PATIENCE)

    def choice(self, number):
        return self.board.get_by_role("button", name=f"Picture {number}", exact=True)

    def gray(self, number):
        return read_rgb(self.choice(number).locator("canvas"))[..., 0]

    def finish(self, key="1"):
        for number in range(1, ROUNDS + 1):
            self.wait_for_round(number)
            self.page.keyboard.press(key)
        self.wait_for_results()

    def open_section(self, name):
        self.page.locator(f"#{name} > button").click()

    def wait_for_votes(self, text):
        self.panel.get_by_text(text, exact=True).wait_for(timeout=PATIENCE)

    def overflow(self):
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return self.page.evaluate(script)


@pytest.fixture(params=EACH_WIDTH)
def tab(browser, server, request):
    """The tab, opened; at the end, whatever the test did, nothing may have gone wrong in it."""
    with watched_at(browser, request.param) as watched:
        opened = BlindTab(watched.page)
        opened.open(server)
        yield opened
        assert opened.overflow() <= 0
        assert_fine(watched)


def names():
    """What would give a method away."""
    methods = describe_methods()
    return {*DEFAULT_POOL, *(methods[method].label for method in DEFAULT_POOL)}


def test_ten_rounds_unmasked_at_the_end(tab):
    tab.page.evaluate(LISTEN)
    shown = [tab.gray(number) for number in (1, 2, 3)]
    assert [picture.shape for picture in shown] == [(48, 48)] * 3
    assert len({picture.tobytes() for picture in shown}) == 3
    box = tab.choice(1).locator("canvas").bounding_box()
    assert box["width"] == pytest.approx(box["height"], abs=1)
    assert box["width"] >= 100
    assert tab.choice(1).locator("canvas").evaluate("c => getComputedStyle(c).imageRendering") == (
        "pixelated"
    )

    tab.page.keyboard.press("2")  # the round has the focus: its keys work at once
    tab.wait_for_round(2)
    tab.choice(3).click()
    tab.wait_for_round(3)
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.getAttribute('aria-label')") == "Picture 1"
    tab.page.keyboard.press("Enter")
    tab.wait_for_round(4)
    tab.board.get_by_role("button", name="Can't tell").click()
    tab.wait_for_round(5)

    # Neither the page nor what the server has sent for a round says whose a picture is. (The comparison
    # under the other tab, of another face, names its methods.)
    token = """() => (window.received.match(/"token": *"[^"]+"/g) || []).length >= 4"""
    tab.page.wait_for_function(token)
    messages = tab.page.evaluate("window.received").split("\n\n")
    rounds = [message for message in messages if '"token"' in message]
    assert len(rounds) >= 4
    sent = tab.board.inner_html() + "".join(rounds)
    assert [name for name in names() if name in sent] == []

    for number in range(5, ROUNDS + 1):
        tab.wait_for_round(number)
        tab.page.keyboard.press("1")
    tab.wait_for_results()
    text = tab.board.inner_text()
    assert "1 round in which you could not tell was left out" in text
    assert all(measure in text for measure in ("PSNR", "SSIM", "Sharpness"))

    tab.board.get_by_role("button", name="Round 1:").click()
    cards = tab.board.locator(".blind-card")
    cards.nth(4).wait_for()
    labels = cards.locator("strong").all_inner_texts()
    assert labels[3:] == ["Noisy", "Clean"]
    assert set(labels[:3]) <= names()
    expect(cards.nth(1)).to_contain_text("your pick", use_inner_text=True)  # key 2
    assert "your pick" not in cards.nth(0).inner_text()
    unmasked = read_rgb(cards.nth(0).locator("canvas"))[..., 0]
    np.testing.assert_array_equal(unmasked, shown[0])

    tab.board.get_by_role("button", name="Again, with other faces").click()
    tab.wait_for_round(1)


def test_keys_pick_wherever_the_focus_is_in_the_tab(browser, server):
    with watched_at(browser, "desktop") as watched:
        tab, page = BlindTab(watched.page), watched.page
        tab.open(server)
        tab.open_section("blind-options")
        places = [
            page.get_by_role("tab", name="Blind test"),
            page.locator("#blind-question input").first,
            page.locator("#blind-pool input").first,
            page.locator("#blind-start"),
            page.locator("#blind-class > button"),
            tab.board.get_by_role("button", name="Show the noisy picture"),
        ]
        for number, place in enumerate(places, 2):
            place.focus()
            page.keyboard.press("2")
            tab.wait_for_round(number)
        page.evaluate("document.activeElement.blur()")  # nowhere, as after a click beside everything
        page.keyboard.press("0")
        tab.wait_for_round(number + 1)

        # But not where they are written, with another key held, nor in another tab.
        tab.open_section("blind-class")
        code = page.locator("#class-code input, #class-code textarea").first
        code.press_sequentially("123")
        expect(code).to_have_value("123")
        tab.board.get_by_role("button", name="Can't tell").focus()
        page.keyboard.press("Control+1")
        open_tab(page, "Benchmark")
        expect(tab.board).to_be_hidden()
        page.keyboard.press("1")
        page.get_by_role("tab", name="Blind test").click()
        tab.wait_for_round(number + 1)
        expect(tab.board.locator('[aria-pressed="true"][data-picture]')).to_have_count(0)
        page.keyboard.press("3")
        tab.wait_for_round(number + 2)
        assert_fine(watched)


@pytest.mark.slow
def test_keys_elsewhere_are_no_vote_and_the_noisy_picture_is_optional(tab):
    noisy = tab.board.get_by_role("img", name="The noisy picture")
    expect(noisy).to_be_hidden()
    tab.board.get_by_role("button", name="Show the noisy picture").click()
    noisy.wait_for()
    tab.open_section("blind-class")
    tab.page.locator("#class-code input, #class-code textarea").first.fill("")
    tab.page.keyboard.type("123")
    tab.page.locator("#class-join").click()
    tab.page.get_by_text("There is no class with this code").wait_for()
    tab.wait_for_round(1)


@pytest.mark.slow
def test_which_is_the_photograph(tab):
    tab.page.locator("#blind-question").get_by_label("Which is the photograph?").check()
    tab.page.locator("#blind-start").click()
    tab.board.get_by_text("Which is the photograph?").wait_for(timeout=PATIENCE)
    for number in range(1, ROUNDS + 1):
        tab.wait_for_round(number)
        tab.choice(2).click()
    tab.board.get_by_role("heading", name="What your eye takes for real").wait_for(timeout=PATIENCE)
    expect(tab.board.locator(".blind-headline")).to_contain_text("You found the photograph in")
    expect(tab.board.get_by_text("Do the measures agree?")).to_have_count(0)
    rounds = tab.board.locator(".blind-round")
    rounds.first.click()
    expect(tab.board.locator(".blind-look").get_by_text("The photograph", exact=True)).to_be_visible()
    tab.page.locator("#blind-question").get_by_label("Which looks best?").check()
    tab.page.locator("#blind-start").click()
    tab.wait_for_round(1)


@pytest.mark.slow
@pytest.mark.slow
def test_methods_take_part_as_they_are_set_under_compare(browser, server):
    with watched_at(browser, "desktop") as watched:
        tab = BlindTab(watched.page)
        watched.page.goto(f"{server}/?methods=median,bilateral&median:radius=3")
        watched.page.wait_for_function(
            "document.querySelector('#method-median-radius input')?.value == 3"
        )
        open_tab(watched.page, "Blind test")
        tab.wait_for_round(1)
        tab.finish()
        tab.wait_for_results()
        expect(tab.board).to_contain_text("Median 3x3, radius 3 pixels")
        assert_fine(watched)


def test_too_few_methods_are_refused_in_a_sentence(tab):
    tab.open_section("blind-options")
    methods = describe_methods()
    for method in DEFAULT_POOL[2:]:
        tab.page.locator("#blind-pool").get_by_label(methods[method].label, exact=True).uncheck()
    tab.page.locator("#blind-start").click()
    tab.board.get_by_text("Choose at least 3 methods.").wait_for()


@pytest.fixture
def join(browser):
    """Opens a class's link as a student does, who has a telephone."""
    with contextlib.ExitStack() as stack:

        def open_link(link):
            options = {"has_touch": True, "is_mobile": True}
            watched = stack.enter_context(watched_page(browser, 390, 844, **options))
            student = BlindTab(watched.page)
            watched.page.goto(link)
            student.panel.get_by_text("You are in:").wait_for(timeout=PATIENCE)
            student.wait_for_round(1)
            joined.append(watched)
            return student

        joined = []
        yield open_link
        assert [watched.errors for watched in joined] == [[] for _ in joined]


def start_class(tab):
    """Return the link to a new class, which is the tab's."""
    tab.open_section("blind-class")
    tab.page.locator("#class-start").click()
    link = tab.panel.locator("a.blind-link")
    link.wait_for(timeout=PATIENCE)
    return link.get_attribute("href")


def test_a_class_adds_up_its_votes(tab, join):
    """The tab is the teacher's."""
    link = start_class(tab)
    tab.wait_for_votes("0 votes so far")
    tab.wait_for_votes("0 joined")

    student = join(link)
    tab.wait_for_votes("1 joined")
    tab.wait_for_votes("0 have picked")
    assert student.page.locator("#class-close").count() == 0
    expect(student.board).to_contain_text("class", use_inner_text=True)
    student.page.keyboard.press("1")
    student.wait_for_round(2)
    tab.wait_for_votes("1 vote so far")
    tab.wait_for_votes("1 has picked")
    assert "votes so far" not in student.panel.inner_text()  # it would sway them
    tab.page.locator("#class-close").click()
    tab.panel.get_by_role("heading", name="Class, closed").wait_for()
    student.page.keyboard.press("1")
    student.board.get_by_text("counts for you alone").wait_for()
    tab.wait_for_votes("1 vote so far")


def test_results_show_when_the_teacher_reveals_them(tab, join):
    link = start_class(tab)
    students = [join(link) for _ in range(2)]
    tab.wait_for_votes("2 joined")
    for student in students:
        student.page.keyboard.press("1")
        student.wait_for_round(2)
    tab.wait_for_votes("2 votes so far")
    results = tab.panel.locator(".blind-headline")
    expect(results).to_have_count(0)
    for view in (tab, *students):
        assert "most often" not in view.panel.inner_text()

    tab.panel.get_by_role("button", name="Reveal the results").click()
    expect(results).to_contain_text("The class picked")
    assert tab.page.evaluate("document.activeElement.className") == "blind-title"
    assert axe_violations(tab.page) == []
    more = tab.panel.get_by_text("Do the measures agree?")
    expect(more).to_be_hidden()  # words first
    tab.panel.get_by_text("The statistics behind it").click()
    expect(more).to_be_visible()
    with tab.page.expect_download() as saved:
        tab.panel.get_by_role("button", name="Download CSV").click()
    code = link[-6:]
    assert saved.value.suggested_filename == f"class-{code}.csv"
    lines = saved.value.path().read_text().splitlines()
    assert lines[0].startswith("id,label,rank,shown,picked")
    assert all(line.split(",")[0] in DEFAULT_POOL for line in lines[1:])

    outcome = students[0].panel.get_by_text("What the class picked")
    outcome.click(timeout=PATIENCE)
    expect(students[0].panel.locator(".blind-headline")).to_have_text(results.inner_text())
    assert students[0].panel.get_by_role("button", name="Download CSV").count() == 0
    students[0].page.keyboard.press("1")
    students[0].board.get_by_text("counts for you alone").wait_for()

    tab.panel.get_by_role("button", name="Hide the results").click()
    expect(results).to_have_count(0)
    outcome.wait_for(state="detached", timeout=PATIENCE)
    students[1].page.keyboard.press("1")
    students[1].wait_for_round(3)
    tab.wait_for_votes("3 votes so far")


def test_a_class_s_code_is_large_and_scanned_from_the_wall(browser, server):
    with watched_page(browser, 1280, 720) as watched:
        tab = BlindTab(watched.page)
        tab.open(server)
        link = start_class(tab)
        assert link.startswith(f"{server}/?class=")
        expect(tab.panel.get_by_text("works on this computer only")).to_be_visible()
        square = tab.panel.get_by_role("img", name="QR code of the link to class")
        letters = tab.panel.locator(".class-letters")
        assert_scanned(square, link)
        assert letters.bounding_box()["height"] > 100

        assert axe_violations(tab.page) == []
        tab.panel.get_by_role("button", name="Fill the screen").click()
        tab.page.wait_for_function("document.fullscreenElement?.matches('#class-panel .blind')")
        assert_scanned(square, link)
        box = letters.bounding_box()
        # A sixth of the picture's width each, less the QR code's: seen from eight metres as well as the
        # usual text on a sheet is at arm's length.
        assert box["height"] > 180
        assert letters.evaluate("node => node.scrollWidth <= node.clientWidth")
        assert box["x"] + box["width"] <= square.bounding_box()["x"]
        assert square.bounding_box()["width"] > 400
        expect(tab.panel.get_by_text("For you alone")).to_be_hidden()  # it is on the wall
        expect(tab.panel.get_by_text("0 joined")).to_be_in_viewport()

        tab.panel.get_by_role("button", name="Leave the full screen").click()
        tab.page.wait_for_function("!document.fullscreenElement")
        expect(tab.panel.get_by_text("For you alone")).to_be_visible()
        assert_fine(watched)


def test_a_teacher_who_loads_the_page_anew_keeps_the_class(browser, server, join):
    with watched_page(browser, 1280, 720) as watched:
        tab = BlindTab(watched.page)
        tab.open(server)
        link = start_class(tab)
        student = join(link)
        student.page.keyboard.press("1")
        tab.wait_for_votes("1 vote so far")
        watched.page.reload()
        tab.wait_for_votes("1 vote so far")
        assert tab.panel.locator("a.blind-link").get_attribute("href") == link
        expect(tab.panel.get_by_role("button", name="Reveal the results")).to_be_visible()
        watched.page.locator("#class-close").click()
        tab.panel.get_by_role("heading", name="Class, closed").wait_for()
        watched.page.reload()
        tab.wait_for_round(1)  # nobody's class
        expect(tab.panel).to_have_count(0)
        student.page.reload()
        student.page.get_by_text("There is no class with this code").wait_for(timeout=PATIENCE)
        assert_fine(watched)


def axe_violations(page):
    """What axe-core has to say about the page."""
    found = Axe().run(page).response["violations"]
    return [(rule["id"], node["html"][:200]) for rule in found for node in rule["nodes"]]


def assert_scanned(square, link):
    """A QR code on the page is what a telephone reads as the link."""
    seen = cv2.imdecode(np.frombuffer(square.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(seen)
    assert text == link
