"""The page's security headers in Chromium: what they forbid, and that nothing of the page misses it."""

import re

import pytest

from tests.browser.lab import Lab, open_tab
from tests.conftest import watched_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

TABS = ("Lessons", "Sweep", "Inside", "Blind test", "Emotion check", "Benchmark", "Compare")
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


def test_a_space_may(browser, server):
    with watched_page(browser, 1440, 900) as watched:
        policy = watched.page.goto(server).headers["content-security-policy"]
        (ancestors,) = re.findall(r"frame-ancestors ([^;]*)", policy)
        assert {"'self'", "https://huggingface.co", "https://*.hf.space"} <= set(ancestors.split())
        assert "x-frame-options" not in watched.page.goto(server).headers
