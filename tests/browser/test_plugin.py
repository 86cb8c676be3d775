"""A function of one's own on the page, by ``python app.py --plugin``."""

import sys

import pytest
from playwright.sync_api import expect

from tests.browser.lab import Lab, assert_fine
from tests.conftest import app_environment, free_port, running, watched_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

MINE = """
def steady(noisy):
    return 0.5 + (noisy - 0.5) * 0.9

def picky(noisy, sigma):
    if sigma > 0.2:
        raise ValueError("that is too much")
    return noisy
"""


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    port = free_port()
    plugins = ("--plugin", f"{path}:steady", "--plugin", f"{path}:picky")
    with running([sys.executable, "app.py", *plugins], port, app_environment(port)) as url:
        yield url


def test_has_its_card_and_says_there_where_it_fails(app, browser):
    with watched_page(browser, 1440, 900) as watched:
        lab = Lab(watched.page)
        lab.open(app)
        assert lab.methods()[-2:] == ["steady", "picky"]
        expect(lab.card("steady").get_by_text("Brought along")).to_be_visible()
        expect(watched.page.get_by_text("what you brought along")).to_be_visible()
        assert lab.metric("picky", "psnr") == lab.metric("noisy", "psnr")
        lab.set_number(100)
        lab.card("picky").get_by_text(
            "picky failed in line 7 with ValueError: that is too much"
        ).wait_for()
        expect(lab.card("steady").locator("canvas.card-picture")).to_be_visible()
        assert lab.metric("steady", "psnr") > lab.metric("noisy", "psnr")
        assert_fine(watched)
