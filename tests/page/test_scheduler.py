"""Long computations that take turns: whose turn it is, who replaces whom, and when they end."""

import asyncio
import threading

import pytest

from denoiser.ui.server.scheduler import FairScheduler, SchedulerFullError
from tests.doubles import run


async def finish(job):
    """Everything that a job computes."""
    results = []
    while job.end is None:
        await job.wait(5)
        results += job.take()
    return results + job.take()


class Gate:
    """Steps that each wait until they are let through, and note whose they are."""

    def __init__(self):
        self.taken = []
        self._permits = threading.Semaphore(0)

    def let(self, count):
        for _ in range(count):
            self._permits.release()

    def steps(self, name, count=1_000):
        def make():
            for index in range(count):
                assert self._permits.acquire(timeout=30)
                self.taken.append(name)
                yield index

        return make

    async def until(self, count):
        for _ in range(3_000):
            if len(self.taken) >= count:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"only {self.taken}")


def test_results_come_in_order_and_pauses_are_left_out():
    async def test():
        job = FairScheduler(1, 1).start("s", "a", "k", lambda: iter([1, None, 2, None, 3]))
        assert await finish(job) == [1, 2, 3]
        assert job.end == "done"

    run(test())


def test_an_error_ends_one_job_and_not_the_scheduler():
    async def test():
        scheduler = FairScheduler(4, 4)
        job = scheduler.start("s", "a", "k", lambda: (1 // 0 for _ in [0]))
        await finish(job)
        assert (job.end, type(job.error)) == ("failed", ZeroDivisionError)
        assert await finish(scheduler.start("s", "a", "k", lambda: iter([1]))) == [1]

    run(test())


def test_who_saw_the_end_may_begin_the_same_again():
    async def test():
        scheduler = FairScheduler(1, 1)
        for _ in range(1_000):
            job = scheduler.start("s", "a", "k", lambda: iter(()))
            while job.end is None:
                await asyncio.sleep(0)

    run(test())


def test_addresses_take_turns_and_not_sessions():
    async def test():
        scheduler, gate = FairScheduler(9, 9), Gate()
        for session in ("a1", "a2", "a3"):
            scheduler.start(session, "a", session, gate.steps(session))
        scheduler.start("b1", "b", "b1", gate.steps("b1"))
        gate.let(12)
        await gate.until(12)
        late = gate.taken[2:]
        assert late.count("b1") == 5
        assert {late.count(session) for session in ("a1", "a2", "a3")} <= {1, 2}
        for session in ("a1", "a2", "a3", "b1"):
            scheduler.stop_session(session)
        gate.let(9)

    run(test())


def test_a_newer_job_of_the_session_replaces_the_older():
    async def test():
        scheduler, gate = FairScheduler(1, 1), Gate()
        older = scheduler.start("s", "a", "older", gate.steps("older"))
        gate.let(2)
        await gate.until(2)
        newer = scheduler.start("s", "a", "newer", gate.steps("newer", 3))
        assert older.end == "replaced"
        gate.let(9)  # the first may be of the older one's step that is under way
        await finish(newer)
        assert gate.taken.count("older") <= 3
        assert newer.end == "done"

    run(test())


def test_the_same_job_goes_on():
    async def test():
        scheduler, gate = FairScheduler(1, 1), Gate()
        job = scheduler.start("s", "a", "k", gate.steps("s", 2))
        assert scheduler.start("s", "a", "k", gate.steps("again")) is None
        gate.let(2)
        assert await finish(job) == [0, 1]
        assert gate.taken == ["s", "s"]

    run(test())


def test_a_stopped_job_computes_no_more():
    async def test():
        scheduler, gate = FairScheduler(2, 2), Gate()
        job = scheduler.start("s", "a", "k", gate.steps("s"))
        gate.let(1)
        await gate.until(1)
        scheduler.stop(job)
        assert job.end == "stopped"
        other = scheduler.start("t", "a", "k", gate.steps("t", 3))
        gate.let(9)
        await finish(other)
        assert gate.taken.count("s") <= 2

    run(test())


@pytest.mark.parametrize(("places", "places_each"), [(2, 9), (9, 2)])
def test_a_full_scheduler_says_so_and_has_room_again(places, places_each):
    async def test():
        scheduler, gate = FairScheduler(places, places_each), Gate()
        first = scheduler.start("s0", "a", "k", gate.steps("s0"))
        scheduler.start("s1", "a", "k", gate.steps("s1"))
        with pytest.raises(SchedulerFullError, match=r"^Too much .* again in a minute\.$"):
            scheduler.start("s2", "a", "k", gate.steps("s2"))
        assert first.end is None
        scheduler.stop(first)
        assert scheduler.start("s2", "a", "k", gate.steps("s2")) is not None
        for session in ("s1", "s2"):
            scheduler.stop_session(session)
        gate.let(9)

    run(test())


def test_one_address_leaves_room_for_others():
    async def test():
        scheduler, gate = FairScheduler(9, 2), Gate()
        for session in ("s0", "s1"):
            scheduler.start(session, "a", "k", gate.steps(session))
        with pytest.raises(SchedulerFullError):
            scheduler.start("s2", "a", "k", gate.steps("s2"))
        assert scheduler.start("t0", "b", "k", gate.steps("t0")) is not None
        for session in ("s0", "s1", "t0"):
            scheduler.stop_session(session)
        gate.let(9)

    run(test())
