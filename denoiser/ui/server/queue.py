"""How events wait for each other: Gradio's queue made fair, and long computations apart.

The queue decides which event is next; what takes long it hands to ``scheduler``, which computes it. Only
this module knows what is inside Gradio's queue; ``tests/page/test_queue.py`` looks at it from outside.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, Queue

from denoiser.ui.server.address import address_of
from denoiser.ui.server.scheduler import FairScheduler, SchedulerFullError

WAITING = 512
"""How many events may wait at once, of all visitors."""

WAITING_EACH = 128
"""How many of them may come from one address: a class of thirty may share one."""

RUNNING = 80
"""How many events may run or be with a scheduler at once."""

JOB_PLACES, JOB_PLACES_EACH = 40, 32
"""How many long computations there may be at once, and how many of them from one address."""

NOBODY_SECONDS = 4.0
"""For how long a computation goes on without a listener."""

_PULSE_SECONDS = 2.0

_STOPPED = "Stopped: the chart shows what was computed."
_BUSY = "Too much is waiting to be computed at the moment; try again in a minute."


@dataclass(frozen=True)
class Visitor:
    """Who wants something computed.

    Attributes:
        session: The id of the session.
        address: Where it is; see :func:`~denoiser.ui.server.address.address_of`.
    """

    session: str
    address: str


def open_queue(app: gr.Blocks) -> None:
    """Give a page its queue. To be called before it is launched, with ``max_threads=RUNNING``."""
    app.queue(max_size=WAITING, default_concurrency_limit=2)
    queue = app._queue
    push = queue.push

    async def push_fairly(body: PredictBodyInternal, request: Any, username: str | None) -> Any:
        if _count_from(queue, address_of(request)) >= WAITING_EACH:
            return False, _BUSY, "queue_full"
        pushed = await push(body, request, username)
        for waiting in queue.event_queue_per_concurrency_id.values():
            waiting.queue[:] = in_turn(waiting.queue, lambda event: address_of(event.request))
        return pushed

    queue.push = push_fairly  # type: ignore[method-assign]


def in_turn(events: Sequence[Event], whose: Callable[[Event], Hashable]) -> list[Event]:
    """Order what waits in rounds: the first of each client, then the second of each, and so on.

    Args:
        events: In the order in which they came.
        whose: Says who sent one.
    """
    counts: Counter[Hashable] = Counter()
    ranks = []
    for event in events:
        sender = whose(event)
        ranks.append(counts[sender])
        counts[sender] += 1
    order = sorted(range(len(events)), key=lambda index: ranks[index])
    return [events[index] for index in order]


def scheduled(
    scheduler: FairScheduler,
    function: Callable[..., Iterator[Any]],
    key: Callable[..., Hashable],
    nothing: Any,
    say: Callable[[str, str], Any],
    *,
    with_visitor: bool = False,
    apart: tuple[FairScheduler, Callable[..., bool]] | None = None,
) -> Callable[..., AsyncIterator[Any]]:
    """Return an event that a scheduler computes, for as long as a client listens.

    To be used with ``concurrency_limit=None`` and ``trigger_mode="multiple"``: a newer event replaces
    the session's older one, unless both would compute the same; then the older one goes on.

    Args:
        scheduler: What computes it.
        function: Gets the event's values and makes its outputs; None's are pauses. It runs in the
            scheduler's thread.
        key: Gets the same values; equal for events that would compute the same.
        nothing: Outputs that change nothing.
        say: Makes outputs that say a sentence, of the state ``"error"`` or ``"stopped"``.
        with_visitor: Whether ``function`` and ``key`` get a :class:`Visitor` before the values.
        apart: A scheduler for what nobody else is to wait for, and what says whether that is asked for;
            it gets the same values. A session has one computation with both together.
    """

    async def event(request: gr.Request, *values: Any) -> AsyncIterator[Any]:
        yield nothing  # a generator that never yields would empty all of its outputs
        session = request.session_hash or ""
        try:
            address = address_of(request)
            given = (Visitor(session, address), *values) if with_visitor else values
            mine, other = scheduler, None
            if apart is not None:
                slow, is_slow = apart
                mine, other = (slow, scheduler) if is_slow(*given) else (scheduler, slow)
            job = mine.start(session, address, key(*given), lambda: function(*given))
        except SchedulerFullError as error:
            yield say("error", str(error))
            return
        if job is None:
            return
        if other is not None:
            other.stop_session(session, "replaced")
        last_read = time.monotonic()
        try:
            while job.end is None:
                await job.wait(_PULSE_SECONDS)
                now = time.monotonic()
                last_read = now if _has_read_all(request) else last_read
                if now - last_read > NOBODY_SECONDS:
                    break
                # Without anything to say, too: at a yield Gradio ends what has lost its client.
                for outputs in job.take() or [nothing]:
                    if job.end in ("replaced", "stopped"):
                        break
                    yield outputs
            if job.error is not None:
                raise job.error
            if job.end != "done":  # Gradio repeats what came last, which is out of date
                yield say("stopped", _STOPPED) if job.end == "stopped" else nothing
        finally:
            mine.stop(job)

    return event


def _count_from(queue: Queue, address: str) -> int:
    return sum(
        address_of(event.request) == address
        for waiting in queue.event_queue_per_concurrency_id.values()
        for event in waiting.queue
    )


def _has_read_all(request: gr.Request) -> bool:
    """Whether the session has been sent all there is for it: its stream is open, and it reads it."""
    messages = request.app.get_blocks()._queue.pending_messages_per_session
    unread = messages.get(request.session_hash)
    return unread is not None and unread.empty()
