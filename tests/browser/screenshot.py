"""Make the README's screenshot from the real app: ``python -m tests.browser.screenshot``.

The face is scikit-image's astronaut, in the public domain; the other sample faces are covered.
"""

import tempfile
from pathlib import Path

import PIL.Image
from playwright.sync_api import sync_playwright
from skimage.data import astronaut

from tests.benchmarks._server import running_app
from tests.browser.lab import Lab
from tests.conftest import CHROMIUM_ARGS, ROOT, find_chromium

TARGET = ROOT / "docs" / "screenshot.png"


def main() -> None:
    with (
        running_app() as server,
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory() as folder,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        lab = Lab(page)
        lab.open(server.url)
        face = Path(folder) / "astronaut.png"
        PIL.Image.fromarray(astronaut()).save(face)
        before = lab.version()
        page.locator("#own-picture button").first.click()
        page.locator("#picture input[type=file]").set_input_files(face)
        lab.wait_for(after=before)
        page.locator("#own-picture button").first.click()
        page.locator("#charts").scroll_into_view_if_needed()
        page.locator("#charts .js-plotly-plot").nth(1).wait_for()
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(2000)  # plotly has no event for "painted"
        page.screenshot(path=TARGET, full_page=True, mask=[page.locator("#faces")], mask_color="#e5e7eb")
        browser.close()


if __name__ == "__main__":
    main()
