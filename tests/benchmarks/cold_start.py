"""From ``python app.py`` to a served page, and to the first comparison. Aim: a page within 10 s."""

import time

from ._server import LiveEvent, report, running_app

ROUNDS = 3


def main() -> None:
    pages, grids = [], []
    for _ in range(ROUNDS):
        start = time.monotonic()
        with running_app() as server:
            pages.append(server.seconds_to_page)
            LiveEvent(server.url).send(20, "cold")
            grids.append(time.monotonic() - start)
    report(
        "cold_start",
        {
            "seconds_to_page": [round(s, 2) for s in pages],
            "seconds_to_first_comparison": [round(s, 2) for s in grids],
        },
    )


if __name__ == "__main__":
    main()
