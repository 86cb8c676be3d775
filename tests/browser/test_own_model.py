"""A model of one's own in Chromium: it is added, takes part, is scored, and is nobody else's."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.weights.checkpoint import CONFIG_NAME, MODEL_NAME, WEIGHTS
from tests.browser.hub_app import running_hub_app
from tests.browser.lab import EACH_WIDTH, Lab, assert_fine, open_lab, open_tab, watched_at
from tests.hub import LoopbackHub
from tests.onnx_models import mean_filter

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


class OwnLab(Lab):
    """Adds models, too."""

    def __init__(self, page):
        super().__init__(page)
        self.said = page.locator("#own-note [role=status]")
        label = page.locator("#methods label").filter(has_text="Your own model")
        self.box = label.locator("input")
        self.board = page.locator("#own-board")

    def unfold_own(self):
        self.unfold("methods-panel")
        if not self.page.locator("#own-add").is_visible():
            self.page.locator("#own-model > button").click()

    def add(self, content, name="mean.onnx"):
        """Give an ONNX file."""
        self.unfold_own()
        file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        self.page.locator("#own-model input[type=file]").set_input_files(file)

    def add_mean(self):
        """Give one that works, and wait for its picture."""
        before = self.version()
        self.add(mean_filter())
        expect(self.said).to_have_text("mean.onnx is among the methods.")
        self.wait_for(before)
        self.card(OWN_MODEL).locator('[data-metric="psnr"]').wait_for()


@pytest.fixture
def lab(browser, server):
    yield from open_lab(browser, server, "desktop", OwnLab)


@pytest.fixture(params=EACH_WIDTH)
def any_lab(browser, server, request):
    for lab in open_lab(browser, server, request.param, OwnLab):
        yield lab
        assert lab.overflow() <= 0


def mean_of(picture):
    padded = np.pad(picture.astype(float), 1)
    return sum(padded[i : i + 48, j : j + 48] for i in range(3) for j in range(3)) / 9


def test_a_file_joins_the_stage_the_sweep_and_the_blind_test(any_lab):
    lab = any_lab
    expect(lab.box).to_be_hidden()
    expect(lab.board).to_be_hidden()
    lab.add_mean()
    expect(lab.box).to_be_checked()
    assert lab.methods()[-1] == OWN_MODEL
    charts, board = (lab.page.locator(name).bounding_box() for name in ("#charts", "#own-board"))
    assert board["y"] >= charts["y"] + charts["height"]
    assert np.abs(lab.gray(OWN_MODEL) - mean_of(lab.gray("noisy"))).max() <= 1
    lab.card(OWN_MODEL).locator("canvas.card-picture").click()
    expect(lab.root.locator(".stage")).to_contain_text("Your own model")
    before = lab.version()
    lab.set_number(60)
    lab.wait_for(before, sigma=60)
    assert np.abs(lab.gray(OWN_MODEL) - mean_of(lab.gray("noisy"))).max() <= 1
    open_tab(lab.page, "Sweep")
    sweep = lab.page.locator(".sweep-progress")
    expect(sweep).to_have_attribute("data-state", "done", timeout=600_000)
    expect(lab.page.locator("#sweep-methods")).to_contain_text("Your own model")
    expect(lab.page.locator("#sweep-pictures")).to_contain_text("Your own model")
    open_tab(lab.page, "Blind test")
    lab.page.locator("#blind-options > button").click()
    pool = lab.page.locator("#blind-pool")
    expect(pool.get_by_role("checkbox", name="Your own model")).to_be_checked()
    lab.page.locator("#blind-board canvas").first.wait_for()


def test_it_is_scored_beside_ours_and_removed(lab):
    lab.add_mean()
    lab.page.locator("#own-score").click()
    progress = lab.page.locator("#own-progress .lab-progress")
    expect(progress).to_have_attribute("data-state", "done", timeout=600_000)
    expect(progress).to_contain_text("mean.onnx is ")
    expect(progress).to_contain_text("dB behind")
    rows = lab.page.locator("#own-table tbody tr")
    expect(rows.filter(has_text="Your own: mean.onnx")).to_have_count(1)
    expect(rows).to_have_count(8)
    lab.page.get_by_role("button", name="Remove it").click()
    expect(lab.said).to_have_text("Removed.")
    expect(lab.box).to_be_hidden()
    expect(lab.board).to_be_hidden()
    lab.page.wait_for_function(f"!document.querySelector('[data-method={OWN_MODEL}]')")


def test_what_is_no_model_is_refused_in_a_sentence(lab):
    lab.add(b"no model", name="<b>x</b>.onnx")
    expect(lab.said).to_have_text("The file is no ONNX model.")
    expect(lab.box).to_be_hidden()
    lab.page.locator("#own-address").get_by_role("textbox").fill("tester/net@main")
    lab.page.locator("#own-add").click()
    expect(lab.said).to_contain_text("all 40 digits of the commit")
    lab.add_mean()  # and then one that is
    expect(lab.page.locator("#own-note .own-model")).to_have_attribute("data-state", "")


def test_another_page_has_nothing_of_it(lab, browser, server):
    lab.add_mean()
    address = lab.page.evaluate("location.href")
    assert OWN_MODEL not in address
    with watched_at(browser, "desktop") as watched:
        other = OwnLab(watched.page)
        # Neither by the link, nor by one that was made up.
        other.open(address)
        assert OWN_MODEL not in other.methods()
        other.open(f"{server}/?methods=median,{OWN_MODEL}")
        assert other.methods() == ["clean", "noisy", "median"]
        expect(other.page.locator("#link-note")).to_contain_text("one of its methods is unknown")
        expect(other.box).to_be_hidden()
        # Nor by the box that is not offered: a click that only a script can make.
        other.box.evaluate("box => box.click()")
        card = other.card(OWN_MODEL)
        expect(card).to_contain_text("Your model is no longer on the server")
        expect(card.locator('[data-metric="psnr"]')).to_be_hidden()
        expect(other.box).to_be_visible()  # to be unticked
        assert_fine(watched)
    lab.card(OWN_MODEL).locator('[data-metric="psnr"]').wait_for()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", EACH_WIDTH)
def test_axe_has_nothing_to_say(browser, server, width, theme):
    with watched_at(browser, width) as watched:
        lab = OwnLab(watched.page)
        lab.open(f"{server}/?__theme={theme}")
        lab.add(b"no model")
        expect(lab.said).to_have_text("The file is no ONNX model.")
        assert Axe().run(watched.page, context="#methods-panel").response["violations"] == []
        lab.add_mean()
        lab.page.locator("#own-score").click()
        progress = lab.page.locator("#own-progress .lab-progress")
        expect(progress).to_have_attribute("data-state", "done", timeout=600_000)
        for context in ("#methods-panel", "#own-board"):
            assert Axe().run(watched.page, context=context).response["violations"] == []
        assert_fine(watched)


@pytest.mark.slow  # the network's process starts with PyTorch, in a page that has a Hub of its own
def test_a_network_on_the_hub_is_added(browser, tmp_path):
    with LoopbackHub() as hub:
        folder = WEIGHTS / "single-autoencoder-separable"
        files = {name: (folder / name).read_bytes() for name in (CONFIG_NAME, MODEL_NAME)}
        sha = hub.add_repo("model", "tester/net", files)
        with (
            running_hub_app(hub, "", tmp_path) as url,
            watched_at(browser, "desktop") as watched,
        ):
            lab = OwnLab(watched.page)
            lab.open(url)
            lab.unfold_own()
            address = lab.page.locator("#own-address").get_by_role("textbox")
            address.fill(f"tester/net@{sha}")
            address.press("Enter")
            expect(lab.said).to_have_text("tester/net is among the methods.", timeout=600_000)
            lab.card(OWN_MODEL).locator('[data-metric="psnr"]').wait_for()
            assert_fine(watched)
