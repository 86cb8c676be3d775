"""A fair scheduler for long computations, which ``queue`` hands it: only they wait for each other.

One thread computes them all, a step of each in turn: first in turn between addresses, then between the
sessions of each. So a client that asks for much does not make others wait long, and a
computation that no client wants any more ends after the step that is under way. No Gradio in here.
"""

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Literal

End = Literal["done", "failed", "replaced", "stopped"]
"""How a computation ended: by itself, by an error, by a newer one of its session, or by request."""


class SchedulerFullError(ValueError):
    """There is no place for one more computation; the message is one sentence for a person."""


class Job:
    """One computation of a session, from :meth:`FairScheduler.start`; read in the event loop that asked.

    Attributes:
        end: How it ended; None as long as it goes on.
        error: Why it failed, if it did.

    Args:
        session: Whose it is.
        address: Where that session is.
        key: Equal for equal computations.
        steps: Makes the computation; it is called, and its steps taken, in the scheduler's thread.
    """

    def __init__(
        self, session: str, address: str, key: Hashable, steps: Callable[[], Iterator[Any]]
    ) -> None:
        self.session = session
        self.address = address
        self.key = key
        self.end: End | None = None
        self.error: Exception | None = None
        self._make = steps
        self._steps: Iterator[Any] | None = None
        self._results: deque[Any] = deque()
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Wait until there is something to :meth:`take`, it has ended, or time is up."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return
        self._news.clear()

    def take(self) -> list[Any]:
        """Return what was computed since the last time, in its order; None's are left out."""
        return [self._results.popleft() for _ in range(len(self._results))]

    def _step(self) -> End | None:
        """Compute one step, in the scheduler's thread; return how the computation ended, if it did."""
        try:
            if self._steps is None:
                self._steps = self._make()
            result = next(self._steps)
        except StopIteration:
            return "done"
        except Exception as error:
            self.error = error
            return "failed"
        if result is not None and self.end is None:
            self._results.append(result)
            self._wake()
        return self.end

    def _finish(self, end: End) -> None:
        self.end = self.end or end
        self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:  # the loop is closed: the app ends
            self.end = self.end or "stopped"


class FairScheduler:
    """Computations that take turns in one thread. Safe to use from several threads.

    Args:
        places: How many there may be at once.
        places_each: How many of them from one address.
    """

    def __init__(self, places: int, places_each: int) -> None:
        self._places = places
        self._places_each = places_each
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()  # by address; next ones first
        self._is_working = False

    def start(
        self, session: str, address: str, key: Hashable, steps: Callable[[], Iterator[Any]]
    ) -> Job | None:
        """Begin a computation, and end the session's older one; to be called in an event loop.

        Args:
            session: Whose it is; each has one at most.
            address: Where it is.
            key: Equal for equal computations.
            steps: Makes it. Each of its steps should take well below a second; None's are mere pauses.

        Returns:
            The computation; None where the session's present one is the same, which goes on.

        Raises:
            SchedulerFullError: All places are taken, or all that one address may have.
        """
        with self._lock:
            older = self._find(session)
            if older is not None and older.key == key:
                return None
            if older is not None:
                self._end(older, "replaced")
            here = len(self._waiting.get(address, ()))
            if here >= self._places_each or sum(map(len, self._waiting.values())) >= self._places:
                raise SchedulerFullError(
                    "Too much is being computed at the moment; try again in a minute."
                )
            job = Job(session, address, key, steps)
            self._waiting.setdefault(address, deque()).append(job)
            if not self._is_working:
                self._is_working = True
                threading.Thread(target=self._work, name="scheduler", daemon=True).start()
            return job

    def stop(self, job: Job) -> None:
        """End a computation, after the step that is under way; does nothing if it has ended."""
        with self._lock:
            self._end(job, "stopped")

    def stop_session(self, session: str, end: End = "stopped") -> None:
        """End a session's computation, if it has one; by ``"replaced"`` it says nothing."""
        with self._lock:
            job = self._find(session)
            if job is not None:
                self._end(job, end)

    def _find(self, session: str) -> Job | None:
        return next((j for jobs in self._waiting.values() for j in jobs if j.session == session), None)

    def _end(self, job: Job, end: End) -> None:
        job._finish(end)
        jobs = self._waiting.get(job.address)
        if jobs and job in jobs:
            jobs.remove(job)
            if not jobs:
                del self._waiting[job.address]

    def _work(self) -> None:
        while (job := self._next()) is not None:
            end = job._step()
            if end is not None:
                with self._lock:  # whoever sees the end finds its place free
                    self._end(job, end)

    def _next(self) -> Job | None:
        """Return whose turn it is, and put it behind all others; None, and no more work, without any."""
        with self._lock:
            if not self._waiting:
                self._is_working = False
                return None
            address, jobs = next(iter(self._waiting.items()))
            self._waiting.move_to_end(address)
            jobs.rotate(-1)
            return jobs[-1]
