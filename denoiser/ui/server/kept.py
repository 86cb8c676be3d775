"""What the server keeps in memory for a session and is too large for a ``gr.State``: one thing for each.

It is dropped when others need the room, when nobody has asked for it for a while, and soon after its
page was closed: not at once, as a telephone that sleeps has closed it too.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

IDLE_SECONDS = 30 * 60
"""How long a thing is kept that nobody asks for."""

CLOSED_SECONDS = 2 * 60
"""How long it is kept once its page was closed."""


class Sized(Protocol):
    """Something that knows how much memory it takes."""

    @property
    def nbytes(self) -> int:
        """In bytes."""


T = TypeVar("T", bound=Sized)


class Kept(Generic[T]):
    """One thing for each session. Safe to use from several threads.

    Args:
        max_bytes: How much there may be of all sessions; those that were used longest ago go first.
        clock: Seconds that never go back.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic):
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._things: OrderedDict[str, tuple[T, float]] = OrderedDict()  # with its end; last used last
        self._timer: threading.Timer | None = None

    def __len__(self) -> int:
        with self._lock:
            self._drop_old()
            return len(self._things)

    def keep(self, session: str, thing: T) -> None:
        """Keep a thing in place of the session's older one."""
        with self._lock:
            self._put(session, thing, IDLE_SECONDS)
            while self._bytes() > self._max_bytes:
                self._things.popitem(last=False)
            self._drop_old()

    def find(self, session: str) -> T | None:
        """Return a session's thing; None where there is none, or none any more."""
        with self._lock:
            self._drop_old()
            if session not in self._things:
                return None
            thing, _ = self._things[session]
            self._put(session, thing, IDLE_SECONDS)
            return thing

    def forget(self, session: str) -> None:
        """Drop a session's thing, if it has one."""
        with self._lock:
            self._things.pop(session, None)

    def close(self, session: str) -> None:
        """Drop a session's thing soon, unless it is asked for again."""
        with self._lock:
            if session in self._things:
                self._put(session, self._things[session][0], CLOSED_SECONDS)
                self._drop_old()

    def _put(self, session: str, thing: T, seconds: float) -> None:
        self._things[session] = (thing, self._clock() + seconds)
        self._things.move_to_end(session)

    def _bytes(self) -> int:
        return sum(thing.nbytes for thing, _ in self._things.values())

    def _drop_old(self) -> None:
        """Drop what nobody wants any more, now and, by a timer, when the next one's time is over."""
        now = self._clock()
        for session in [s for s, (_, end) in self._things.items() if end <= now]:
            del self._things[session]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._things:
            next_end = min(end for _, end in self._things.values())
            self._timer = threading.Timer(next_end - now, len, [self])
            self._timer.daemon = True
            self._timer.start()
