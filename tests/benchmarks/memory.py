"""Memory of the server over 1,000 comparisons. Aim: flat, under 1.5 GB."""

import sys

from ._server import LiveEvent, report, running_app

COMPARISONS = 1_000
STEPS = 10


def main(comparisons: int = COMPARISONS) -> None:
    with running_app() as server:
        live = LiveEvent(server.url)
        live.send(20, "memory")
        readings = [round(server.memory_mb(), 1)]
        for step in range(STEPS):
            for index in range(comparisons // STEPS):
                # New sessions too: what a server keeps for each must not pile up.
                live.send(1 + (step * 7 + index) % 100, f"memory-{step}")
            readings.append(round(server.memory_mb(), 1))
    report(
        "memory",
        {
            "comparisons": STEPS * (comparisons // STEPS),
            "megabytes": readings,
            "growth_after_first_tenth": round(readings[-1] - readings[1], 1),
            "largest": max(readings),
        },
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else COMPARISONS)
