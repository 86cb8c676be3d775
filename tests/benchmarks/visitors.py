"""Memory of the server over 2,000 visitors. Aim: flat once it keeps no more of them, under 1.5 GB.

Each loads the page, moves the slider, and gives a picture of their own, which the session then holds.
None comes back, as of a script, and none says goodbye: the server keeps what it keeps.
"""

import json
import sys
import urllib.request
from typing import Any

from denoiser.ui.server.sessions import CAPACITY
from tests.visitors import Page, Visitor

from ._server import LiveEvent, report, running_app

VISITORS = 2_000
STEPS = 10


def loading_event(page: Page) -> dict[str, Any]:
    """Return the event that reads the page's address, after which a session has its face."""
    return next(
        dependency
        for dependency in page.config["dependencies"]
        if page.ids["link-note"] in dependency["outputs"]
        and dependency["js"]
        and not dependency["queue"]
    )


def visit(page: Page, live: LiveEvent, sigma: int) -> None:
    """Do what a visitor does."""
    visitor = Visitor(page)
    urllib.request.urlopen(page.url, timeout=60).read()
    visitor.run(loading_event(page))
    visitor.upload_face()
    grid = live.send(sigma, visitor.session)
    if grid["caption"] != "Your picture":
        raise RuntimeError(f"the session shows {grid['caption']}, not the picture it was given")


def main(visitors: int = VISITORS) -> None:
    with running_app() as server:
        page, live = Page(server.url), LiveEvent(server.url)
        visit(page, live, 20)
        readings = [round(server.memory_mb(), 1)]
        for step in range(STEPS):
            for index in range(visitors // STEPS):
                visit(page, live, 1 + (7 * step + index) % 100)
            readings.append(round(server.memory_mb(), 1))
            print(json.dumps(readings), file=sys.stderr)
    report(
        "visitors",
        {
            "visitors": STEPS * (visitors // STEPS),
            "sessions_kept": CAPACITY,
            "megabytes": readings,
            "kilobytes_per_session": round(1000 * (readings[5] - readings[0]) / (visitors / 2), 1),
            "growth_in_second_half": round(readings[-1] - readings[STEPS // 2], 1),
            "largest": max(readings),
        },
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else VISITORS)
