"""The tab "Lessons" in Chromium, against the real app: one lesson from end to end, and all ten."""

from contextlib import contextmanager

import numpy as np
import pytest
from playwright.sync_api import expect

from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.samples import bundled_faces
from denoiser.images import to_uint8
from denoiser.lessons import LESSONS, smoothing
from denoiser.noise import GaussianNoise
from denoiser.ui.experiment.face_source import first_face
from tests.browser.lab import EACH_WIDTH, Lab, assert_fine, open_tab, read_rgb, watched_at

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PATIENCE = 60_000  # ms, on a machine that has other things to do


class LessonsTab:
    """What the tests press and read."""

    def __init__(self, page):
        self.page = page
        self.lab = Lab(page)
        self.demonstration = page.locator("#lesson-pictures .lesson-demo")
        self.commit = page.get_by_role("button", name="Commit to this prediction", exact=True)
        self.explanation = page.locator("#lesson-explanation")
        self.said = page.locator(".lesson-said")

    def turn_to(self, name):
        open_tab(self.page, name)

    def open(self, url):
        self.page.goto(url)
        self.turn_to("Lessons")

    def item(self, lesson):
        return self.page.locator(f'.lesson-list button[data-lesson="{lesson.id}"]')

    def heading(self, lesson):
        return self.page.locator("#lesson-head").get_by_role("heading", name=lesson.title, exact=True)

    def choose(self, option):
        self.page.locator("#lesson-prediction").get_by_label(option, exact=True).check()

    def wait_for(self, lesson):
        """Wait for the lesson's pictures."""
        done = self.page.locator(f'.lesson-demo[data-lesson="{lesson.id}"]')
        done.wait_for(state="attached", timeout=PATIENCE)

    def wait_for_chart(self, lines):
        script = """lines => {
          const plot = document.querySelector("#lesson-chart .js-plotly-plot");
          return plot && plot.data && plot.data.length === lines;
        }"""
        self.page.wait_for_function(script, arg=lines, timeout=PATIENCE)

    def picture(self, label):
        caption = self.page.get_by_text(label, exact=True)
        return self.demonstration.locator("figure").filter(has=caption)

    def gray(self, label):
        return read_rgb(self.picture(label).locator("canvas"))[..., 0]


@contextmanager
def lessons_at(browser, width):
    """A page of its own; at the end, whatever the test did, nothing may have gone wrong in it."""
    with watched_at(browser, width) as watched:
        tab = LessonsTab(watched.page)
        yield tab
        assert tab.lab.overflow() <= 0
        assert_fine(watched)


@pytest.fixture(params=EACH_WIDTH)
def blank(browser, request):
    """The page before it has loaded anything."""
    with lessons_at(browser, request.param) as tab:
        yield tab


@pytest.fixture(params=EACH_WIDTH)
def tab(browser, server, request):
    """The tab, opened."""
    with lessons_at(browser, request.param) as opened:
        opened.open(server)
        yield opened


def test_one_lesson_from_the_question_to_the_reason(tab):
    lesson = smoothing.SMOOTHING
    clean = first_face(bundled_faces()).image
    noisy = GaussianNoise(25 / 255)(clean, 0)
    tab.item(lesson).click()
    tab.heading(lesson).wait_for()
    expect(tab.demonstration).to_be_hidden()
    expect(tab.explanation).to_be_hidden()

    tab.commit.click()
    tab.page.get_by_text("Choose one of the answers first.").wait_for()
    tab.choose(lesson.options[0])
    tab.commit.click()
    tab.page.get_by_text("Not this time.").wait_for()
    tab.wait_for(lesson)
    tab.wait_for_chart(3)
    np.testing.assert_array_equal(tab.gray("Noisy, width 0"), to_uint8(noisy))
    expect(tab.explanation).to_contain_text("bias", use_inner_text=True)
    expect(tab.said).to_contain_text("1 of 10 done, 0 predicted right", use_inner_text=True)
    assert "done" in tab.item(lesson).get_attribute("aria-label")
    expect(tab.commit).to_be_hidden()  # the first answer counts
    answers = tab.page.locator("#lesson-prediction input").all()
    assert answers
    assert all(answer.is_disabled() for answer in answers)

    slider = tab.page.locator("#lesson-slider input[type=range]")
    slider.focus()
    slider.press("ArrowLeft")
    tab.picture("Yours, width 1.9").wait_for(timeout=PATIENCE)
    np.testing.assert_array_equal(
        tab.gray("Yours, width 1.9"), to_uint8(np.clip(smoothing.smooth(noisy, 1.9), 0, 1))
    )

    tab.page.get_by_role("button", name="Open under Compare", exact=True).click()
    shown = [tab.lab.card(method) for method in lesson.experiment.methods]
    for card in shown:
        card.wait_for(timeout=PATIENCE)
    tab.lab.wait_for()
    assert set(tab.lab.methods()) == {"clean", "noisy", *lesson.experiment.methods}
    np.testing.assert_array_equal(tab.lab.gray("noisy"), to_uint8(noisy))
    expected = create_denoiser("median-5")(noisy)
    np.testing.assert_array_equal(tab.lab.gray("median-5"), to_uint8(expected))

    tab.turn_to("Lessons")
    tab.heading(lesson).wait_for()  # nothing is lost on the way
    expect(tab.explanation).to_be_visible()
    tab.page.get_by_role("button", name="Next →", exact=True).click()
    tab.heading(LESSONS[2]).wait_for()
    expect(tab.explanation).to_be_hidden()


def is_open(tab, lesson):
    """Wait until a lesson is open, and the address says so."""
    tab.heading(lesson).wait_for()
    tab.page.wait_for_url(lambda url: "tab=lessons" in url and url.endswith(f"&lesson={lesson.id}"))


def shows_task(tab, lesson):
    """Wait until a lesson's task stands above the comparison, and the address says so."""
    number = LESSONS.index(lesson) + 1
    tab.page.locator(".task").get_by_text(f"Lesson {number}: {lesson.title}.").wait_for()
    tab.page.wait_for_url(lambda url: url.endswith(f"&tab=compare&lesson={lesson.id}"))


BUTTON_TOP = "document.querySelector('#lesson-compare').getBoundingClientRect().top"


def test_a_lesson_is_in_the_address_and_back_is_the_one_before(blank, server):
    tab, gan, first, second = blank, LESSONS[8], LESSONS[0], LESSONS[1]
    tab.page.goto(f"{server}?lesson={gan.id}")
    is_open(tab, gan)
    entries = tab.page.evaluate("history.length")
    tab.item(first).click()
    is_open(tab, first)
    tab.page.get_by_role("button", name="Next →", exact=True).click()
    is_open(tab, second)
    tab.choose(second.options[0])  # an answer is no other lesson
    tab.commit.click()
    tab.wait_for(second)
    assert tab.page.evaluate("history.length") == entries + 2
    tab.page.reload()
    is_open(tab, second)
    expect(tab.explanation).to_be_visible()  # and what was answered stays
    for lesson in (first, gan):
        tab.page.go_back(wait_until="commit")
        is_open(tab, lesson)
    tab.page.go_forward(wait_until="commit")
    is_open(tab, first)
    assert tab.page.evaluate("history.length") == entries + 2


def test_compare_shows_the_task_and_the_way_back(tab):
    lesson = LESSONS[1]
    tab.item(lesson).click()
    is_open(tab, lesson)
    tab.choose(lesson.options[lesson.answer])
    tab.commit.click()
    tab.wait_for(lesson)
    tab.page.locator("#lesson-compare").evaluate(
        "node => scrollBy(0, node.getBoundingClientRect().top - 150)"
    )
    spot = tab.page.evaluate(BUTTON_TOP)
    to_compare = tab.page.get_by_role("button", name="Open under Compare", exact=True)
    to_compare.click()
    shows_task(tab, lesson)
    task = tab.page.locator(".task")
    expect(task).to_contain_text(lesson.look)
    expect(task).to_be_focused()
    task.get_by_role("button", name="Back to lesson 2", exact=True).click()
    is_open(tab, lesson)
    expect(to_compare).to_be_focused()
    assert abs(tab.page.evaluate(BUTTON_TOP) - spot) < 3

    tab.page.go_back(wait_until="commit")
    shows_task(tab, lesson)
    tab.page.go_back(wait_until="commit")
    is_open(tab, lesson)
    expect(to_compare).to_be_focused()
    assert abs(tab.page.evaluate(BUTTON_TOP) - spot) < 3
    tab.page.go_forward(wait_until="commit")
    shows_task(tab, lesson)
    later = LessonsTab(tab.page.context.new_page())
    later.page.goto(tab.page.url)
    shows_task(later, lesson)
    task = later.page.locator(".task")
    expect(task).to_contain_text(lesson.look)
    task.get_by_role("button", name="Close", exact=True).click()
    expect(task).to_be_hidden()
    later.page.wait_for_url(lambda url: "lesson=" not in url and "tab=" not in url)


def test_a_task_does_not_give_the_answer_away(blank, server):
    tab, lesson = blank, LESSONS[5]
    tab.page.goto(f"{server}?tab=compare&lesson={lesson.id}")
    shows_task(tab, lesson)
    task = tab.page.locator(".task")
    expect(task).to_contain_text(lesson.question)
    expect(task).not_to_contain_text(lesson.look)
    task.get_by_role("button", name="Back to lesson 6", exact=True).click()
    is_open(tab, lesson)


@pytest.mark.slow
def test_each_of_the_ten_computes_its_pictures(tab):
    for number, lesson in enumerate(LESSONS, 1):
        tab.item(lesson).click()
        tab.heading(lesson).wait_for()
        tab.choose(lesson.options[lesson.answer])
        tab.commit.click()
        tab.page.get_by_text("As you predicted.").wait_for()
        tab.wait_for(lesson)
        assert tab.demonstration.locator("canvas").count() >= 3
        assert tab.lab.overflow() <= 0
        expect(tab.explanation.get_by_role("link")).to_have_count(len(lesson.sources))
        tab.said.get_by_text(f"{number} of 10 done, {number} predicted right").wait_for()
        assert "no score yet" not in tab.page.locator("#lesson").inner_text()
    assert tab.page.locator(".toast-body").count() == 0


@pytest.mark.slow
def test_the_browser_keeps_how_far_one_has_come(tab):
    lesson = LESSONS[1]
    tab.item(lesson).click()
    tab.heading(lesson).wait_for()
    tab.choose(lesson.options[lesson.answer])
    tab.commit.click()
    tab.wait_for(lesson)
    later = LessonsTab(tab.page.context.new_page())
    later.open(tab.page.url)
    later.heading(lesson).wait_for()
    later.page.get_by_text("1 of 10 done, 1 predicted right").wait_for()
    later.wait_for(lesson)
    expect(later.explanation).to_be_visible()
