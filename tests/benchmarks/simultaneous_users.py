"""Twenty people at once. Aim: 95 % of comparisons within 1.5 s, none lost.

Each person is a session that moves the noise slider, waits for the picture, looks at it for a
moment and moves on. "Greedy" people do not look: the worst case.
"""

import sys
import threading
import time
import urllib.error

from ._server import LiveEvent, percentile, report, running_app

USERS = 20
MOVES = 10
LOOK_SECONDS = 1.0


def crowd(live: LiveEvent, users: int, look_seconds: float) -> dict[str, float]:
    """Let people move their sliders at once, and say how long they waited."""
    waits: list[float] = []
    lost: list[str] = []
    begin = threading.Barrier(users)

    def person(number: int) -> None:
        begin.wait()
        for move in range(MOVES):
            start = time.monotonic()
            try:
                live.send(1 + (number * 11 + move * 3) % 100, f"user-{look_seconds}-{number}")
                waits.append(1000 * (time.monotonic() - start))
            except (urllib.error.URLError, TimeoutError, RuntimeError, ConnectionError) as error:
                lost.append(repr(error))
            time.sleep(look_seconds)

    people = [threading.Thread(target=person, args=(number,)) for number in range(users)]
    start = time.monotonic()
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    return {
        "comparisons": len(waits),
        "lost": len(lost),
        "p50_ms": round(percentile(waits, 0.5)),
        "p95_ms": round(percentile(waits, 0.95)),
        "slowest_ms": round(max(waits)),
        "comparisons_per_second": round(len(waits) / (time.monotonic() - start), 1),
    }


def main(users: int = USERS) -> None:
    with running_app() as server:
        live = LiveEvent(server.url)
        for value in (10, 20, 30):
            live.send(value, "warm-up")
        figures = {
            "users": users,
            "looking": crowd(live, users, LOOK_SECONDS),
            "greedy": crowd(live, users, 0),
        }
    report("simultaneous_users", figures)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else USERS)
