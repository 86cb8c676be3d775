"""What the server keeps in memory for sessions: how much of it, for how long, and for whom."""

import time
from dataclasses import dataclass

import pytest

from denoiser.ui.server.kept import CLOSED_SECONDS, IDLE_SECONDS, Kept

HERE = "an address"


@dataclass
class Thing:
    nbytes: int = 10


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def kept(clock):
    return Kept(25, clock)


def test_each_session_has_one_thing_of_its_own(kept):
    first, second, other = Thing(), Thing(), Thing()
    kept.keep("a", first, HERE)
    kept.keep("b", other, HERE)
    kept.keep("a", second, HERE)
    assert kept.find("a") is second
    assert kept.find("b") is other
    assert kept.find("c") is None
    assert kept.find("") is None


def test_of_too_many_those_unused_for_longest_go(kept):
    kept.keep("a", Thing(), HERE)
    kept.keep("b", Thing(), HERE)
    kept.find("a")
    kept.keep("c", Thing(), HERE)
    assert [kept.find(session) is None for session in "abc"] == [False, True, False]


def test_who_has_most_makes_room_and_nobody_else(kept):
    kept.keep("quiet", Thing(), "there")
    for number in range(5):
        kept.keep(f"many {number}", Thing(), HERE)
        assert kept.find("quiet") is not None
    assert len(kept) == 2
    assert kept.find("many 4") is not None


def test_one_that_is_larger_than_all_there_may_be_is_not_kept(kept):
    kept.keep("a", Thing(), HERE)
    kept.keep("b", Thing(26), HERE)
    assert len(kept) == 0


def test_what_nobody_asks_for_goes(kept, clock):
    kept.keep("a", Thing(), HERE)
    clock.now = IDLE_SECONDS - 1
    assert kept.find("a") is not None
    clock.now += IDLE_SECONDS - 1
    assert kept.find("a") is not None  # asking has kept it
    clock.now += IDLE_SECONDS
    assert kept.find("a") is None
    assert len(kept) == 0


def test_a_closed_page_s_goes_soon_unless_the_page_comes_back(kept, clock):
    for session in "ab":
        kept.keep(session, Thing(), HERE)
        kept.close(session)
    clock.now = CLOSED_SECONDS - 1
    assert kept.find("a") is not None  # a telephone has woken up
    clock.now += 2
    assert kept.find("a") is not None
    assert kept.find("b") is None
    kept.close("nobody")


def test_it_goes_even_if_nobody_comes_any_more(monkeypatch):
    monkeypatch.setattr("denoiser.ui.server.kept.CLOSED_SECONDS", 0.05)
    kept = Kept(25)
    kept.keep("a", Thing(), HERE)
    kept.close("a")
    deadline = time.monotonic() + 60
    while kept._things:  # not asked for its length, which would look
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_session_can_let_go_of_its_own(kept):
    kept.keep("a", Thing(), HERE)
    kept.forget("a")
    kept.forget("a")
    assert kept.find("a") is None
