"""Sixty-four full sweeps asked for by one client. Aim: ten other visitors wait no more than 3 s.

Each of the ten picks a face, uploads a picture and looks inside, one after the other. Once nobody
listens to the sweeps, as of a script that asks and goes away, and once the client reads all of them.
"""

import contextlib
import http.client
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from tests.visitors import PATIENCE, Page, Visitor

from ._server import percentile, report, running_app

SWEEPS = 64
VISITORS = 10
ACTIONS = ("pick_face", "upload_face", "look_inside")


def visit(page: Page) -> dict[str, float | None]:
    """Do what a visitor does; return the seconds that each action took, None where it was refused."""
    visitor, seconds = Visitor(page), {}
    for action in ACTIONS:
        start = time.monotonic()
        try:
            getattr(visitor, action)()
            seconds[action] = time.monotonic() - start
        except (urllib.error.URLError, RuntimeError, TimeoutError, ConnectionError):
            seconds[action] = None
    return seconds


def ask_for_sweeps(page: Page, count: int, listening: bool) -> int:
    """Ask for sweeps, each in a session of its own; return how many were refused at the door."""
    refused = 0
    for _ in range(count):
        visitor = Visitor(page)
        try:
            visitor.join(visitor.sweep_event(), **visitor.full_sweep())
        except urllib.error.HTTPError:
            refused += 1
            continue
        if listening:
            threading.Thread(target=_drain, args=(visitor,), daemon=True).start()
    return refused


def crowd(sweeps: int, listening: bool) -> dict[str, object]:
    """Ask for sweeps of a fresh app, and let the visitors in."""
    with running_app() as server:
        page = Page(server.url)
        visit(page)  # what is slow the first time
        refused = ask_for_sweeps(page, sweeps, listening)
        time.sleep(1)
        with ThreadPoolExecutor(VISITORS) as pool:
            visits = list(pool.map(lambda _: visit(page), range(VISITORS)))
    figures: dict[str, object] = {"sweeps_refused_at_the_door": refused}
    for action in ACTIONS:
        waits = [seconds for seen in visits if (seconds := seen[action]) is not None]
        figures[action] = {
            "done": len(waits),
            "median_s": round(percentile(waits, 0.5), 2) if waits else None,
            "slowest_s": round(max(waits), 2) if waits else None,
        }
    return figures


def _drain(visitor: Visitor) -> None:
    """Read what a session is sent, and make nothing of it: this process has others to serve."""
    url = f"{visitor.page.url}/gradio_api/queue/data?session_hash={visitor.session}"
    with (
        contextlib.suppress(OSError, http.client.HTTPException),  # the app was stopped
        urllib.request.urlopen(url, timeout=PATIENCE) as stream,
    ):
        while stream.read(1 << 16):
            pass


def main(sweeps: int = SWEEPS) -> None:
    report(
        "crowded_queue",
        {
            "sweeps": sweeps,
            "visitors": VISITORS,
            "no_sweeps": crowd(0, False),
            "nobody_listens": crowd(sweeps, False),
            "all_are_read": crowd(sweeps, True),
        },
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SWEEPS)
