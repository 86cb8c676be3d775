"""The compare tab as its user sees it: what the browser tests and benchmarks press and read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import TimeoutError, expect

from tests.conftest import Watched, watched_page

WIDTHS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "desktop": (1440, 900, {}),
    "phone": (390, 844, {"has_touch": True, "is_mobile": True}),
}

EACH_WIDTH = ("desktop", pytest.param("phone", marks=pytest.mark.slow))
"""Their names, for tests that run at each; the first tier has the first."""

_READ_PIXELS = """canvas => {
  const {width, height} = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  return {width, height, data: Array.from(data)};
}"""

_IS_NEW = """([version, wanted]) => {
  const lab = document.querySelector("#comparison .lab");
  return lab && lab.dataset.state === "settled" && Number(lab.dataset.version) > version
    && Object.entries(wanted).every(([name, value]) => lab.dataset[name] === value);
}"""


# Nothing is left to do in the page, twice in a row.
_REST = """async () => {
  for (let time = 0; time < 2; time++) {
    await new Promise(done => requestIdleCallback(done));
    await new Promise(done => requestAnimationFrame(done));
  }
}"""


@contextmanager
def watched_at(browser: Any, name: str) -> Iterator[Watched]:
    """A page of one of the :data:`WIDTHS`."""
    width, height, options = WIDTHS[name]
    with watched_page(browser, width, height, **options) as watched:
        yield watched


def assert_fine(watched: Watched) -> None:
    """Nothing went wrong in a page, and it asked nobody but its own server."""
    assert watched.errors == []
    assert watched.hosts == {"127.0.0.1"}


def read_rgb(canvas: Any) -> np.ndarray:
    """What a canvas shows, (H, W, 3) uint8."""
    read = canvas.evaluate(_READ_PIXELS)
    return np.array(read["data"], np.uint8).reshape(read["height"], read["width"], 4)[..., :3]


def as_gray(rgb: np.ndarray) -> np.ndarray:
    """One channel of a picture, all three of which have to be the same."""
    np.testing.assert_array_equal(np.ptp(rgb, axis=-1), 0)
    return rgb[..., 0]


def open_tab(page: Any, name: str) -> None:
    """Open a tab."""
    # The grid is painted when the page is: until then the tabs still move.
    page.locator("#comparison .card").first.wait_for(state="attached", timeout=60_000)
    page.get_by_role("tab", name=name, exact=True).click()


class Lab:
    """Drives one page.

    Args:
        page: A Playwright page.
    """

    def __init__(self, page: Any):
        self.page = page
        self.root = page.locator("#comparison .lab")
        self.cards = self.root.locator("[data-method]")
        self.status = self.root.locator(".lab-status")

    def open(self, url: str) -> None:
        """Load the page and wait for its first comparison."""
        self.page.goto(url)
        self.wait_for()
        # Gradio announces the loaded values as changes; their results are still to come.
        version = -1
        while version != self.version():
            version = self.version()
            self.page.wait_for_timeout(700)
        self.wait_for()

    def version(self) -> int:
        """Number of what is on show."""
        return int(self.root.get_attribute("data-version") or 0)

    def wait_for(self, after: int = 0, **wanted: object) -> None:
        """Wait for a settled comparison newer than ``after``, whose data attributes are these."""
        texts = {name: str(value) for name, value in wanted.items()}
        try:
            self.page.wait_for_function(_IS_NEW, arg=[after, texts])
        except TimeoutError as error:
            shown = self.root.evaluate("lab => JSON.stringify(lab.dataset)")
            raise AssertionError(f"newer than {after}, {wanted}: {self.page.url}, {shown}") from error

    def card(self, method: str) -> Any:
        """The card of a method, ``"clean"`` or ``"noisy"``."""
        return self.root.locator(f'[data-method="{method}"]')

    def methods(self) -> list[str]:
        """Ids on show, in order."""
        return [str(c.get_attribute("data-method")) for c in self.cards.all()]

    def metric(self, method: str, name: str) -> float:
        """A number on a card."""
        text = self.card(method).locator(f'[data-metric="{name}"]').inner_text()
        return float(text.split()[0].replace("\N{MINUS SIGN}", "-").replace("∞", "inf"))

    def rgb(self, method: str) -> np.ndarray:
        """What a card's canvas shows, (H, W, 3) uint8."""
        return read_rgb(self.card(method).locator("canvas.card-picture"))

    def gray(self, method: str) -> np.ndarray:
        """What a card's canvas shows where it is gray, (H, W) uint8."""
        return as_gray(self.rgb(method))

    def slider(self, name: str = "noise-gaussian-sigma") -> Any:
        """The range input of a noise parameter."""
        return self.page.locator(f"#{name} input[type=range]")

    def number(self, name: str = "noise-gaussian-sigma") -> Any:
        """The number box of a noise parameter."""
        return self.page.locator(f"#{name} input[type=number]")

    def open_method_settings(self) -> None:
        """Open the settings of the methods, and wait until their boxes keep what is typed.

        A new box gets its value in several steps; one after somebody has typed would undo that.
        """
        self.page.locator("#method-settings > button").click()
        boxes = self.page.locator("#method-settings input[type=number]:visible")
        expect(boxes.first).not_to_have_value("")
        self.page.evaluate(_REST)

    def set_number(self, value: object, name: str = "noise-gaussian-sigma") -> None:
        """Type a number, as somebody does who then goes on with Tab."""
        box = self.number(name)
        box.fill(str(value))
        box.press("Tab")

    def toggle(self, label: str) -> None:
        """Tick or untick a method."""
        self.unfold("methods-panel")
        boxes = self.page.locator("#methods")
        boxes.get_by_role("checkbox", name=label, exact=True).click()

    def show(self, view: str) -> None:
        """Switch all cards to ``"picture"``, ``"error"`` or ``"residual"``."""
        self.root.locator(f'label:has(input[value="{view}"])').click()

    def pick(self, sample: str) -> None:
        """Click a face of the strip."""
        self.unfold("face-panel")
        self.page.locator(f'#faces button[data-id="{sample}"]').click()

    def sample_ids(self) -> list[str]:
        """Ids of the faces in the strip."""
        buttons = self.page.locator("#faces button").all()
        return [str(button.get_attribute("data-id")) for button in buttons]

    def upload(self, file: Any) -> None:
        """Give a picture of one's own."""
        chooser = self.page.locator("#picture input[type=file]")
        if chooser.count() == 0:
            self.open_own_picture()
        chooser.first.set_input_files(file)

    def open_own_picture(self) -> None:
        """Open what takes a picture of one's own; closed at first, as its panel on a phone."""
        self.unfold("face-panel")
        self.page.locator("#own-picture > button").click()

    def unfold(self, panel: str) -> None:
        """Open a panel that a phone has folded."""
        folded = self.page.locator(f"#{panel} .fold-button[aria-expanded=false]")
        if folded.count():
            folded.click()

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))


def open_lab(browser: Any, url: str, width: str, kind: type[Any] = Lab) -> Iterator[Any]:
    """Open the page; at the end, whatever the test did, nothing may have gone wrong in it."""
    with watched_at(browser, width) as watched:
        lab = kind(watched.page)
        lab.open(url)
        yield lab
        assert_fine(watched)
