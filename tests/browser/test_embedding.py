"""The page in frames of other sites, in Chromium; its security headers: what they forbid and allow."""

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import expect

from denoiser.lessons import LESSONS
from tests.browser.lab import Lab, open_tab
from tests.conftest import watched_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

TABS = ("Photo", "Lessons", "Sweep", "Inside", "Blind test", "Emotion check", "Benchmark", "Compare")
REFUSED = re.compile("Content Security Policy|refused|violates", re.IGNORECASE)

ADD_SCRIPT = """() => {
  const script = document.createElement("script");
  script.textContent = "window.wasRun = true";
  document.body.append(script);
  const picture = document.createElement("div");
  picture.innerHTML = '<img src="data:," onerror="window.wasRun = true">';
  document.body.append(picture);
  return new Promise(resolve => setTimeout(() => resolve(window.wasRun === true), 500));
}"""


@pytest.mark.slow
def test_every_tab_works_under_the_policy(browser, server):
    with watched_page(browser, 1440, 900) as watched:
        refused = []
        watched.page.on("response", lambda answer: refused.append(answer.url) if not answer.ok else None)
        Lab(watched.page).open(server)
        for name in TABS:
            open_tab(watched.page, name)
            watched.page.wait_for_timeout(1500)
        watched.page.goto(f"{server}/?view=api")
        watched.page.wait_for_timeout(3000)
        assert watched.errors == []
        assert refused == []
        assert watched.hosts == {"127.0.0.1"}


def test_a_script_that_somebody_put_in_is_not_run(browser, server):
    with watched_page(browser, 1440, 900) as watched:
        Lab(watched.page).open(server)
        assert watched.page.evaluate(ADD_SCRIPT) is False
        assert len([error for error in watched.errors if REFUSED.search(error)]) >= 2


def test_another_site_may_not_show_the_page_in_a_frame(browser, server):
    """To Chromium, localhost is another site than 127.0.0.1."""
    site = server.replace("127.0.0.1", "localhost") + "/frame"
    with watched_page(browser, 1440, 900) as watched:
        frame = f'<!doctype html><iframe src="{server}/"></iframe>'
        watched.page.route(site, lambda route: route.fulfill(content_type="text/html", body=frame))
        watched.page.goto(site)
        watched.page.wait_for_timeout(2000)
        assert watched.page.frame_locator("iframe").locator("gradio-app").count() == 0
        assert watched.page.frames[-1].url.startswith("chrome-error:")


class CoursePage(BaseHTTPRequestHandler):
    """A page of another site, with a frame in it."""

    def __init__(self, frame: str, *arguments):
        self.frame = frame
        super().__init__(*arguments)

    def do_GET(self) -> None:
        page = f"<!doctype html><title>Course</title><body style='margin: 0'>{self.frame}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def course() -> Iterator[Callable[[str], str]]:
    """Serves a page with this HTML on another port, under another name: it returns the address."""
    servers = []

    def serve(frame: str) -> str:
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), partial(CoursePage, frame)))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://localhost:{servers[-1].server_port}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def frame_code(source, width=800, height=600):
    return f'<iframe src="{source}" width="{width}" height="{height}" style="border: 0; display: block">'


def framed(page, address):
    """Open a course's page: what its frame shows."""
    page.goto(address)
    page.locator("iframe").wait_for()
    lab = Lab(page.frames[-1])
    lab.wait_for()
    return lab


def whole_lab(page, frame):
    """Follow the way to the whole page: its tab of the browser."""
    with page.expect_popup() as opened:
        frame.get_by_role("link", name="Open the whole lab").click()
    return opened.value


SANDBOX = "allow-scripts allow-same-origin allow-popups allow-popups-to-escape-sandbox"
NOT_EMBEDDED = ("#introduction", "#tabs > .tab-wrapper", "#face-panel", "#own-picture", "footer")


@pytest.mark.parametrize(("width", "height"), [(800, 600), (390, 700)])
def test_another_site_shows_the_stage_and_its_slider(browser, server, course, width, height):
    source = f"{server}?embed=true&face=astronaut&sigma=40&methods=median,wavelet"
    with watched_page(browser, width, height) as watched:
        lab = framed(watched.page, course(frame_code(source, width, height)))
        frame = lab.page
        expect(lab.root).to_have_attribute("data-sigma", "40")
        for hidden in (*NOT_EMBEDDED, ".lab-cards", "#methods-panel", "#charts", "#share"):
            expect(frame.locator(hidden).first).to_be_hidden()
        expect(frame.locator(".stage-figure canvas").first).to_be_visible()
        slider = lab.slider().bounding_box()
        assert slider["y"] + slider["height"] <= height
        assert lab.overflow() <= 0
        lab.slider().focus()
        lab.slider().press("ArrowRight")
        lab.wait_for(sigma=41)
        frame.wait_for_url(lambda url: "sigma=41" in url and "embed=true" in url)

        rest = whole_lab(watched.page, frame)
        asked = parse_qs(urlparse(rest.url).query)
        assert "embed" not in asked
        assert (asked["sigma"], asked["face"]) == (["41"], ["astronaut"])
        Lab(rest).wait_for(sigma=41)
        expect(rest.locator("#introduction")).to_be_visible()
        expect(rest.locator("#whole-lab a")).to_be_hidden()
        assert watched.errors == []


def test_another_site_shows_a_lesson_which_keeps_the_answer(browser, server, course):
    lesson = LESSONS[4]
    # A learning platform may shut frames off; these are what ours needs.
    code = frame_code(f"{server}?embed=true&lesson={lesson.id}")
    address = course(code.replace("<iframe", f'<iframe sandbox="{SANDBOX}"'))
    with watched_page(browser, 800, 600) as watched:
        frame = framed(watched.page, address).page
        title = frame.locator("#lesson-head").get_by_role("heading", name=lesson.title, exact=True)
        title.wait_for()
        for hidden in (*NOT_EMBEDDED, "#lesson-nav", "#lesson-compare", "#lesson-next", "#comparison"):
            expect(frame.locator(hidden).first).to_be_hidden()
        frame.locator("#lesson-prediction").get_by_label(
            lesson.options[lesson.answer], exact=True
        ).check()
        frame.get_by_role("button", name="Commit to this prediction", exact=True).click()
        frame.get_by_text("As you predicted.").wait_for()
        frame.locator(f'.lesson-demo[data-lesson="{lesson.id}"] canvas').first.wait_for()

        frame = framed(watched.page, address).page
        frame.get_by_text("As you predicted.").wait_for()
        frame.locator(f'.lesson-demo[data-lesson="{lesson.id}"] canvas').first.wait_for()
        rest = whole_lab(watched.page, frame)
        rest.locator(f'.lesson-list [aria-current][data-lesson="{lesson.id}"]').wait_for()
        assert watched.errors == []


@pytest.mark.parametrize("query", ["embed=true&tab=blind", "embed=true&class=abcdef"])
def test_another_site_shows_no_votes(browser, server, query):
    with watched_page(browser, 800, 600) as watched:
        lab = Lab(watched.page)
        lab.open(f"{server}?{query}")
        expect(lab.root).to_be_visible()
        expect(watched.page.locator(".blind")).to_have_count(0)
        said = "only the stage and the lessons can be embedded"
        expect(watched.page.locator("#link-note").get_by_text(said)).to_have_count(int("tab" in query))


def test_the_embed_code_shows_what_is_open(browser, server, course):
    with watched_page(browser, 1440, 900) as watched:
        page, lab = watched.page, Lab(watched.page)
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        lab.open(f"{server}?face=astronaut&sigma=12&methods=median")
        page.locator("#copy-frame").click()
        page.locator("#share").get_by_text("Copied.").wait_for()
        stage = page.evaluate("navigator.clipboard.readText()")
        open_tab(page, "Lessons")
        page.locator("#lesson-copy-frame").click()
        page.locator("#lesson-nav").get_by_text("Copied.").wait_for()
        lesson = page.evaluate("navigator.clipboard.readText()")
        shown = framed(page, course(stage))
        expect(shown.root).to_have_attribute("data-sigma", "12")
        expect(shown.root).to_be_visible()
        shown = framed(page, course(lesson))
        shown.page.locator("#lesson-head").get_by_text(LESSONS[0].title).wait_for()
        assert watched.errors == []


def test_a_space_may(browser, server):
    with watched_page(browser, 1440, 900) as watched:
        policy = watched.page.goto(server).headers["content-security-policy"]
        (ancestors,) = re.findall(r"frame-ancestors ([^;]*)", policy)
        assert {"'self'", "https://huggingface.co", "https://*.hf.space"} <= set(ancestors.split())
        assert "x-frame-options" not in watched.page.goto(server).headers
