"""How the page looks at four sizes and in both themes: small gray pictures that a test compares loosely.

``python -m tests.browser.appearance`` makes them anew: look at the page, then at what ``git diff`` says.
Pictures are plain gray in them, so that they hold nobody's face; what differs from run to run is hidden.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from playwright.sync_api import sync_playwright

from tests.benchmarks._server import running_app
from tests.browser.lab import Lab
from tests.conftest import CHROMIUM_ARGS, find_chromium, watched_page

REFERENCES = Path(__file__).parent / "references"
SIZES: dict[str, tuple[int, int, dict[str, Any]]] = {
    "projector": (1920, 1080, {}),
    "desktop": (1440, 900, {}),
    "room": (1280, 720, {}),  # where the stage is presented
    "phone": (390, 844, {"has_touch": True, "is_mobile": True}),
}
THEMES = ("light", "dark")
_SHRINK = 8
_PLAIN = "canvas, img { filter: contrast(0) } [data-metric=ms], footer { visibility: hidden !important }"


def draw(browser: Any, url: str, size: str, theme: str, css: str = "") -> np.ndarray:
    """Return the page in gray, (H / 8, W / 8) uint8, once it has come to rest.

    Args:
        browser: A Playwright browser.
        url: Of the app.
        size: Key of :data:`SIZES`.
        theme: One of :data:`THEMES`.
        css: What to add to its style sheet.
    """
    width, height, options = SIZES[size]
    with watched_page(browser, width, height, **options) as watched:
        page = watched.page
        Lab(page).open(f"{url}?__theme={theme}")
        if size == "room":
            page.get_by_role("button", name="Present").click()
        page.add_style_tag(content=_PLAIN + css)
        page.wait_for_timeout(500)  # colours fade in
        screenshot = PIL.Image.open(io.BytesIO(page.screenshot()))
    return np.asarray(screenshot.convert("L").reduce(_SHRINK))  # each pixel is the mean of 8 x 8


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of two such pictures that differs by more than other fonts do."""
    return float((np.abs(one.astype(int) - other.astype(int)) > 12).mean())


def read_reference(size: str, theme: str) -> np.ndarray:
    """Return what the page looked like when somebody last looked at it."""
    return np.asarray(PIL.Image.open(_path(size, theme)))


def _path(size: str, theme: str) -> Path:
    return REFERENCES / f"{size}-{theme}.png"


def main() -> None:
    """Write the references."""
    REFERENCES.mkdir(exist_ok=True)
    with running_app() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGS)
        for size in SIZES:
            for theme in THEMES:
                picture = PIL.Image.fromarray(draw(browser, server.url, size, theme))
                picture.save(_path(size, theme), optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
