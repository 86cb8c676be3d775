"""What a script takes of class mode from one address. Aim: no more than a school that comes from one.

It opens a hundred classes, guesses codes for ten seconds, and votes in a class for five, from one
session, as quickly as it is answered; then thirty pupils at the same address join and vote once.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from tests.visitors import Page, Visitor

from ._server import report, running_app

CLASSES, GUESS_SECONDS, VOTE_SECONDS, PUPILS = 100, 10.0, 5.0, 30


def take_classes(page: Page) -> int:
    """Open classes, each in a session of its own; return how many are open then."""
    made = [Visitor(page).open_class() for _ in range(CLASSES)]
    # In one go with the teachers' keys: what is closed counts as a guess, so the last ones first.
    alive = 0
    for panel in reversed(made):
        if "key" not in panel or "code" not in Visitor(page).join_class(panel["key"]):
            break
        alive += 1
    return alive


def guess(page: Page) -> tuple[int, int]:
    """Guess codes; return how many were looked up, and how many were turned away."""
    visitor, end, looked_up, refused = Visitor(page), time.monotonic() + GUESS_SECONDS, 0, 0
    while time.monotonic() < end:
        if "wait" in visitor.join_class("NOSUCH")["said"]:
            refused += 1
        else:
            looked_up += 1
    return looked_up, refused


def stuff(page: Page) -> tuple[int, int]:
    """Vote as quickly as it goes; return how many votes were sent, and how many counted."""
    teacher, voter = Visitor(page), Visitor(page)
    own = teacher.open_class()
    sent, end = 0, time.monotonic() + VOTE_SECONDS
    board = voter.join_class(own["code"])["board"]
    while time.monotonic() < end:
        if board["phase"] != "round":
            board = voter.join_class(own["code"])["board"]
        board = voter.vote(board["token"])
        sent += 1
    return sent, int(teacher.join_class(own["key"])["votes"])


def teach(page: Page) -> tuple[int, float]:
    """Let thirty pupils join and vote at once; return how many votes counted, and the longest wait."""
    teacher = Visitor(page)
    own = teacher.open_class()

    def pupil(_: int) -> float:
        visitor, start = Visitor(page), time.monotonic()
        board = visitor.join_class(own["code"])["board"]
        joined = time.monotonic() - start
        visitor.vote(board["token"])
        return joined

    with ThreadPoolExecutor(PUPILS) as pool:
        waits = list(pool.map(pupil, range(PUPILS)))
    return int(teacher.join_class(own["key"])["votes"]), max(waits)


def main() -> None:
    figures: dict[str, object] = {}
    with running_app() as server:
        page = Page(server.url)
        figures["pupils_votes_counted"], wait = teach(page)
        figures["pupils_longest_wait_s"] = round(wait, 1)
        figures["votes_sent_by_script"], figures["votes_of_script_counted"] = stuff(page)
        figures["classes_held_by_script"] = take_classes(page)
        figures["guesses_looked_up"], figures["guesses_turned_away"] = guess(page)
    report("class_script", figures)


if __name__ == "__main__":
    main()
