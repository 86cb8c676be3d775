"""What the server keeps in memory for a session and is too large for a ``gr.State``: one thing for each.

It is dropped when others need the room, when nobody has asked for it for a while, and soon after its
page was closed: not at once, as a telephone that sleeps has closed it too. Room is made by the address
that takes most of it, so that one client's many sessions do not push out what others have less of.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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


K = TypeVar("K")
T = TypeVar("T", bound=Sized)


@dataclass(frozen=True, eq=False)
class _Entry(Generic[T]):
    thing: T
    address: str
    end: float


def make_room(taken: Mapping[K, tuple[str, int]], max_bytes: int) -> list[K]:
    """Choose what to drop so that the rest is not too much: of whoever has most, what is unused longest.

    Args:
        taken: Whose each thing is, and its bytes; the last used one last.
        max_bytes: How much there may be.
    """
    rest, dropped = dict(taken), []
    totals: Counter[str] = Counter()
    for address, size in taken.values():
        totals[address] += size
    while totals.total() > max_bytes:
        (greedy, _), *_ = totals.most_common(1)
        oldest = next(key for key, (address, _) in rest.items() if address == greedy)
        totals[greedy] -= rest.pop(oldest)[1]
        dropped.append(oldest)
    return dropped


class Kept(Generic[T]):
    """One thing for each session. Safe to use from several threads.

    Args:
        max_bytes: How much there may be of all sessions; see :func:`make_room`.
        clock: Seconds that never go back.
    """

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic):
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._things: OrderedDict[str, _Entry[T]] = OrderedDict()  # last used last
        self._timer: threading.Timer | None = None

    def __len__(self) -> int:
        with self._lock:
            self._drop_old()
            return len(self._things)

    def keep(self, session: str, thing: T, address: str) -> None:
        """Keep a thing in place of the session's older one.

        Args:
            session: Whose it is.
            thing: What to keep.
            address: Where the session is; see :func:`~denoiser.ui.server.address.address_of`.
        """
        with self._lock:
            self._put(session, _Entry(thing, address, 0.0), IDLE_SECONDS)
            self._drop_old()
            taken = {s: (e.address, e.thing.nbytes) for s, e in self._things.items()}
            for too_much in make_room(taken, self._max_bytes):
                del self._things[too_much]

    def find(self, session: str) -> T | None:
        """Return a session's thing; None where there is none, or none any more."""
        with self._lock:
            self._drop_old()
            if session not in self._things:
                return None
            self._put(session, self._things[session], IDLE_SECONDS)
            return self._things[session].thing

    def forget(self, session: str) -> None:
        """Drop a session's thing, if it has one."""
        with self._lock:
            self._things.pop(session, None)

    def close(self, session: str) -> None:
        """Drop a session's thing soon, unless it is asked for again."""
        with self._lock:
            if session in self._things:
                self._put(session, self._things[session], CLOSED_SECONDS)
                self._drop_old()

    def _put(self, session: str, entry: _Entry[T], seconds: float) -> None:
        self._things[session] = replace(entry, end=self._clock() + seconds)
        self._things.move_to_end(session)

    def _drop_old(self) -> None:
        """Drop what nobody wants any more, now and, by a timer, when the next one's time is over."""
        now = self._clock()
        for session in [s for s, entry in self._things.items() if entry.end <= now]:
            del self._things[session]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._things:
            next_end = min(entry.end for entry in self._things.values())
            self._timer = threading.Timer(next_end - now, len, [self])
            self._timer.daemon = True
            self._timer.start()
