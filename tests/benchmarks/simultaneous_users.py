"""Twenty people at once. Aim: 95 % of comparisons within 1.5 s, none lost, none wrong.

Each person is a session that picks a face, moves the noise slider, waits for the picture, looks at it
for a moment and moves on. "Greedy" people do not look: the worst case. Afterwards every answer is
compared with what its own face, strength and seed should have given, pixel by pixel.
"""

import sys
import threading
import time
import urllib.error
from dataclasses import dataclass
from typing import Any

from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.samples import bundled_faces, get_sample
from denoiser.noise import create_noise
from denoiser.pipeline import corrupt
from denoiser.ui.common.payload import encode_picture
from tests.visitors import Page, Visitor

from ._server import LiveEvent, percentile, report, running_app

USERS = 20
MOVES = 10
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Answer:
    """A grid, and what it was asked for."""

    face: str
    sigma: int
    seed: int
    grid: dict[str, Any]

    def is_right(self) -> bool:
        """Tell whether its pictures are those of its face, strength and seed."""
        clean = get_sample(bundled_faces(), self.face).image
        made = corrupt(clean, create_noise("gaussian", sigma=self.sigma / 255), self.seed)
        median = create_denoiser("median")(made.noisy)
        shown = {card["id"]: card["pixels"] for card in self.grid["cards"]}
        wanted = {"clean": clean, "noisy": made.noisy, "median": median}
        return all(shown[name] == encode_picture(picture) for name, picture in wanted.items())


def pick_faces(page: Page, users: int) -> list[tuple[str, str]]:
    """Let each pick a face, one after the other; return session and face of each."""
    faces = page.values[page.ids["faces"]]["faces"]
    chosen = []
    for number in range(users):
        visitor, face = Visitor(page), faces[number % len(faces)]["id"]
        visitor.ask(page.event("faces", "select"), {"id": face})
        chosen.append((visitor.session, face))
    return chosen


def crowd(page: Page, live: LiveEvent, users: int, look_seconds: float) -> dict[str, float]:
    """Let people move their sliders at once, and say how long they waited."""
    waits: list[float] = []
    answers: list[Answer] = []
    lost: list[str] = []
    chosen = pick_faces(page, users)
    begin = threading.Barrier(users)

    def person(number: int) -> None:
        session, face = chosen[number]
        begin.wait()
        for move in range(MOVES):
            start = time.monotonic()
            sigma, seed = 1 + (number * 11 + move * 3) % 100, 100 * number + move
            try:
                grid = live.send(sigma, session, seed)
                waits.append(1000 * (time.monotonic() - start))
                answers.append(Answer(face, sigma, seed, grid))
            except (urllib.error.URLError, TimeoutError, RuntimeError, ConnectionError) as error:
                lost.append(repr(error))
            time.sleep(look_seconds)

    people = [threading.Thread(target=person, args=(number,)) for number in range(users)]
    start = time.monotonic()
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    seconds = time.monotonic() - start
    return {
        "comparisons": len(waits),
        "lost": len(lost),
        "wrong": sum(not answer.is_right() for answer in answers),
        "p50_ms": round(percentile(waits, 0.5)),
        "p95_ms": round(percentile(waits, 0.95)),
        "slowest_ms": round(max(waits)),
        "comparisons_per_second": round(len(waits) / seconds, 1),
    }


def main(users: int = USERS) -> None:
    with running_app() as server:
        page, live = Page(server.url), LiveEvent(server.url)
        for value in (10, 20, 30):
            live.send(value, "warm-up")
        figures = {
            "users": users,
            "looking": crowd(page, live, users, LOOK_SECONDS),
            "greedy": crowd(page, live, users, 0),
        }
    report("simultaneous_users", figures)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else USERS)
