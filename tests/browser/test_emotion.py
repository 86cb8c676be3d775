"""The tab "Emotion check" in Chromium, with a classifier that was not trained."""

import json
import sys

import numpy as np
import pytest
from playwright.sync_api import expect

from denoiser import create_denoiser, create_noise
from denoiser.analysis.emotion.classifier import (
    CLASSES,
    CLASSIFIER,
    EmotionClassifier,
    create_classifier,
)
from denoiser.faces.samples import bundled_faces, get_sample
from denoiser.images import to_uint8
from denoiser.weights.checkpoint import WEIGHTS
from tests.analysis.test_emotion import METRICS, network
from tests.browser.lab import EACH_WIDTH, Lab, open_tab, watched_at
from tests.conftest import app_environment, free_port, running
from tests.weights import save_emotion_net

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

_READ = """canvas => {
  const {width, height} = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  return Array.from(data).filter((_, i) => i % 4 === 0);
}"""


@pytest.fixture(scope="module")
def classifier():
    return EmotionClassifier(network(seed=1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, classifier):
    folder = tmp_path_factory.mktemp("emotion")
    save_emotion_net(classifier.network, folder)
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    return folder


def running_emotion_app(folder):
    port = free_port()
    command = [sys.executable, "-m", "tests.browser.emotion_app", str(folder)]
    return running(command, port, app_environment(port), seconds=240)


@pytest.fixture(scope="module")
def url(folder):
    with running_emotion_app(folder) as address:
        yield address


@pytest.fixture(params=EACH_WIDTH)
def watched(browser, request):
    with watched_at(browser, request.param) as watched:
        yield watched


def cards(page):
    page.locator("#emotion-pictures .emotion-card").first.wait_for()
    return page.locator("#emotion-pictures .emotion-card")


@pytest.mark.slow
def test_pictures_and_predictions_are_those_of_the_experiment(watched, url, classifier):
    page, lab = watched.page, Lab(watched.page)
    lab.open(url)
    before = lab.version()
    lab.set_number(40)
    lab.wait_for(after=before, sigma=40)
    open_tab(page, "Emotion check")
    shown = cards(page)
    ids = [card.get_attribute("data-method") for card in shown.all()]
    assert ids == ["clean", "noisy", "attention-unet", "patchgan", "autoencoder", "median"]

    chosen = page.locator('#faces button[aria-pressed="true"]').get_attribute("data-id")
    clean = get_sample(bundled_faces(), chosen).image
    noisy = create_noise("gaussian", sigma=40 / 255)(clean, seed=0)
    expected = {"clean": clean, "noisy": noisy, "median": create_denoiser("median")(noisy)}
    for name, picture in expected.items():
        card = page.locator(f'#emotion-pictures [data-method="{name}"]')
        np.testing.assert_array_equal(card.locator("canvas").evaluate(_READ), to_uint8(picture).ravel())
        read = classifier.predict([picture])[0]
        expect(card).to_have_attribute("data-read", read.emotion)
        bars = card.locator(".emotion-bar")
        expect(bars).to_have_count(len(CLASSES))
        top = bars.nth(CLASSES.index(read.emotion))
        assert "is-top" in top.get_attribute("class")
        width = top.locator(".emotion-gauge").evaluate("gauge => gauge.clientWidth")
        filled = top.locator(".emotion-fill").evaluate("fill => fill.getBoundingClientRect().width")
        assert filled == pytest.approx(read.confidence * width, abs=1.5)
    expect(page.locator(".emotion-summary")).to_contain_text("Clean, it reads", use_inner_text=True)

    table = page.locator("#emotion-table table")
    table.locator("tbody tr").first.wait_for()
    expect(table).to_contain_text("★ 71.0", use_inner_text=True)
    assert "Wavelet" not in table.inner_text()  # not chosen under Compare
    expect(page.locator("#emotion-limits")).to_contain_text(
        "It is not for decisions about people", use_inner_text=True
    )
    assert lab.overflow() == 0
    assert watched.errors == []

    open_tab(page, "Benchmark")
    page.locator("#benchmark-emotion-table tbody tr").nth(2).wait_for()
    page.get_by_label("Read as in the clean picture").click()
    page.get_by_text("★ 80.0").wait_for()


def test_a_search_brings_a_face_that_is_read_otherwise(desktop, server):
    page, lab = desktop.page, Lab(desktop.page)
    lab.open(f"{server}/?sigma=60")
    open_tab(page, "Emotion check")
    cards(page)
    before = page.locator("#emotion-pictures .emotion").get_attribute("data-version")
    page.locator("#emotion-search").click()
    page.locator(f'#emotion-pictures .emotion:not([data-version="{before}"])').wait_for()
    method = page.locator('#emotion-pictures [data-method="median"]')
    read = create_classifier(WEIGHTS / CLASSIFIER)
    # The face is the page's now, here and under "Compare".
    chosen = page.locator('#faces button[aria-pressed="true"]').get_attribute("data-id")
    clean = get_sample(bundled_faces(), chosen).image
    denoised = create_denoiser("median")(create_noise("gaussian", sigma=60 / 255)(clean, seed=0))
    clean_card = page.locator('#emotion-pictures [data-method="clean"]')
    for card, picture in ((clean_card, clean), (method, denoised)):
        np.testing.assert_array_equal(card.locator("canvas").evaluate(_READ), to_uint8(picture).ravel())
        expect(card).to_have_attribute("data-read", read.predict([picture])[0].emotion)
    assert page.locator("#emotion-pictures .is-changed").count() >= 2  # the noisy one, and a method
    expect(page.locator("#emotion-found")).to_be_hidden()
    open_tab(page, "Compare")
    np.testing.assert_array_equal(lab.gray("clean"), to_uint8(clean))
    assert desktop.errors == []


@pytest.mark.slow
def test_a_search_in_vain_says_so(desktop, url):
    page, lab = desktop.page, Lab(desktop.page)
    lab.open(url)
    open_tab(page, "Emotion check")
    cards(page)
    page.locator("#emotion-search").click()  # this classifier reads the same in everything
    expect(page.locator("#emotion-found")).to_contain_text("In none of the faces tried")
    assert desktop.errors == []


@pytest.mark.slow
def test_missing_weights_are_told(desktop, tmp_path):
    with running_emotion_app(tmp_path) as url:
        Lab(desktop.page).open(url)
        open_tab(desktop.page, "Emotion check")
        error = desktop.page.locator(".emotion-error")
        error.wait_for()
        expect(error).to_contain_text("python -m train emotion", use_inner_text=True)
        told = desktop.page.locator("#emotion-scores-text")
        told.get_by_text("was not scored yet").wait_for()
        assert desktop.page.locator("#emotion-table").is_hidden()
        assert desktop.errors == []
