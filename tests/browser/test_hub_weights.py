"""Weights come from a Hub while a page is open: what came, what is coming and what can't be had."""

import hashlib
import sys

import pytest
from playwright.sync_api import expect

from denoiser.weights.checkpoint import MODEL_NAME, WEIGHTS, hub_repo_id, read_config
from tests.browser.lab import Lab, assert_fine
from tests.conftest import app_environment, free_port, running, watched_page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

LATE = "attention-unet.gaussian-low"  # none of those that are fetched when the app starts


@pytest.fixture
def app(loopback_hub, tmp_path):
    """The address of an app whose Hub has two models, and stops in the middle of one of them."""
    for model_id in ("patchgan", LATE):
        loopback_hub.add_repo("model", hub_repo_id("tester", model_id), WEIGHTS / model_id, tag="v1")
    late = (WEIGHTS / LATE / MODEL_NAME).read_bytes()
    loopback_hub.fault(hashlib.sha256(late).hexdigest(), "stall", times=1)
    client = loopback_hub.environment(tmp_path / "home")
    port = free_port()
    environment = app_environment(port) | {
        name: value for name, value in client.items() if name.startswith(("HF_", "NO_"))
    }
    environment["DENOISER_HUB_NAMESPACE"] = "tester"
    with running([sys.executable, "app.py"], port, environment) as url:
        yield url


@pytest.mark.slow
def test_each_card_says_how_its_model_stands(app, browser):
    with watched_page(browser, 1440, 900) as watched:
        lab = Lab(watched.page)
        watched.page.goto(app)
        lab.card("median").locator("[data-metric=psnr]").get_by_text("dB").wait_for()
        lab.card("autoencoder").get_by_text("no such repository").wait_for()
        lab.card("patchgan").locator("[data-metric=psnr]").get_by_text("dB").wait_for()
        lab.toggle(read_config(LATE).label)
        late = lab.card(LATE)
        late.get_by_text("is being downloaded").wait_for()
        late.locator("canvas.card-picture").wait_for(state="hidden")
        expect(lab.card("median").locator("canvas.card-picture")).to_be_visible()
        # It comes by itself: nobody touches the page.
        late.locator("[data-metric=psnr]").get_by_text("dB").wait_for()
        late.locator("canvas.card-picture").wait_for()
        lab.wait_for()
        assert lab.rgb(LATE).std() > 0
        expect(lab.card("autoencoder").get_by_text("no such repository")).to_be_visible()
        assert_fine(watched)
