"""From moving the slider to new pixels, in Chromium.

Aims for one user: median 80 ms or less with the four default methods, 150 ms with all; at least 10
updates a second while dragging; the last position always wins. Where methods follow
(``denoiser/ui/experiment/costs.py``), ``all_cards_median_ms`` tells when the last of them is there: with
all methods, and with the four default ones on larger faces and in colour.
"""

import sys
from typing import Any

from playwright.sync_api import sync_playwright

from denoiser.denoisers.registry import create_denoiser, list_denoisers
from tests.browser.lab import Lab
from tests.conftest import CHROMIUM_ARGS, find_chromium

from ._server import percentile, report, running_app

MOVES = 40
DRAG_SECONDS = 1.0
DRAGS = 3
FORMS = ((48, True), (96, False), (96, True), (128, False), (128, True))
"""Sizes of the face, and whether it is in colour."""

# Looks at every frame of the browser for pixels of another version; a move is timed from the
# slider's own event to the frame after which they are on the screen. The version tells which
# comparison is shown, the pixels of the noisy picture that it is painted.
_PREPARE = """() => {
  const lab = document.querySelector("#comparison .lab");
  const slider = document.querySelector("#noise-gaussian-sigma input[type=range]");
  const canvas = lab.querySelector('[data-method="noisy"] canvas.card-picture');
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const look = () => context.getImageData(0, 0, canvas.width, canvas.height).data.join();
  const set = (value) => {
    slider.value = value;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
  };
  window.bench = {
    move: (value) => new Promise((resolve, reject) => {
      const before = look(), start = performance.now();
      let first = 0;
      const frame = () => {
        if (!first && lab.dataset.sigma === String(value) && look() !== before) {
          requestAnimationFrame(() => { first = performance.now() - start; });
        }
        if (first && lab.dataset.state !== "updating") resolve([first, performance.now() - start]);
        else if (performance.now() - start > 20000) reject(new Error("no new pixels in 20 s"));
        else requestAnimationFrame(frame);
      };
      set(value);
      requestAnimationFrame(frame);
    }),
    drag: (from, to, seconds) => new Promise((resolve) => {
      let shown = look(), updates = 0, last = from, done = 0;
      const start = performance.now();
      const frame = () => {
        const now = performance.now() - start, part = Math.min(now / (1000 * seconds), 1);
        const value = Math.round(from + part * (to - from));
        if (value !== last) set(last = value);
        const pixels = look();
        if (pixels !== shown) { shown = pixels; if (part < 1) updates++; }
        if (part === 1 && !done) done = now;
        if (part === 1 && lab.dataset.sigma === String(to) && lab.dataset.version) {
          const settled = now - done;
          setTimeout(() => resolve({updates: updates / seconds, settled,
            final: lab.dataset.sigma === String(to)}), 700);
        } else if (now > 1000 * seconds + 20000) resolve({updates: updates / seconds,
            settled: now - done, final: false});
        else requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    }),
  };
}"""


def measure(lab: Lab, moves: int) -> dict[str, Any]:
    """Move and drag the slider of a page that is at rest."""
    lab.page.evaluate(_PREPARE)
    values = [10 + (index * 37) % 80 for index in range(moves + 5)]
    times = [lab.page.evaluate("value => bench.move(value)", value) for value in values]
    firsts, lasts = zip(*times[5:], strict=True)  # the first few warm up
    drags = [
        lab.page.evaluate("([f, t, s]) => bench.drag(f, t, s)", [*ends, DRAG_SECONDS])
        for ends in [(5, 95), (95, 5)] * DRAGS
    ][:DRAGS]
    return {
        "methods": len(lab.methods()) - 2,
        "median_ms": round(percentile(firsts, 0.5), 1),
        "p90_ms": round(percentile(firsts, 0.9), 1),
        "all_cards_median_ms": round(percentile(lasts, 0.5), 1),
        "drag_updates_per_second": [round(drag["updates"], 1) for drag in drags],
        "drag_settled_ms": [round(drag["settled"]) for drag in drags],
        "last_position_won": all(drag["final"] for drag in drags),
    }


def main(moves: int = MOVES) -> None:
    path = find_chromium()
    if path is None:
        raise SystemExit("no Chromium: install Debian's `chromium` or set CHROMIUM_PATH")
    with running_app() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        lab = Lab(browser.new_page(viewport={"width": 1440, "height": 900}))
        lab.page.set_default_timeout(60_000)
        lab.open(server.url)
        figures = {"default": measure(lab, moves)}
        for size, colour in FORMS:
            lab.open(f"{server.url}?face=astronaut&face-size={size}&colour={'yes' if colour else 'no'}")
            figures[f"default, {size} in {'colour' if colour else 'gray'}"] = measure(lab, moves)
        lab.open(server.url)
        for method in list_denoisers():
            if method not in lab.methods():
                before = lab.version()
                lab.toggle(create_denoiser(method).info.label)
                lab.wait_for(before)
        figures["all"] = measure(lab, moves)
        browser.close()
    report("slider_to_pixels", figures)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else MOVES)
