"""How often one visitor may ask, as token buckets: so many times at once, then one every few seconds."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MAX_NAMES = 10_000
"""How many names :class:`Allowances` remembers; the one that was used longest ago is forgotten first."""


class Allowance:
    """What one person, or one address, may do. Not safe to use from several threads.

    Args:
        at_once: How often without waiting.
        seconds: How long it takes until one more is allowed.
        clock: Seconds that never go back.
    """

    def __init__(self, at_once: int, seconds: float, clock: Callable[[], float] = time.monotonic):
        self._at_once = at_once
        self._seconds = seconds
        self._clock = clock
        self._left = float(at_once)
        self._then = clock()

    def is_left(self) -> bool:
        """Whether one more is allowed now."""
        now = self._clock()
        self._left = min(self._at_once, self._left + (now - self._then) / self._seconds)
        self._then = now
        return self._left >= 1

    def take(self) -> bool:
        """Use one, and say whether it was allowed."""
        if not self.is_left():
            return False
        self._left -= 1
        return True


class Allowances:
    """One allowance for each name. Safe to use from several threads; arguments as above."""

    def __init__(self, at_once: int, seconds: float, clock: Callable[[], float] = time.monotonic):
        self._make = lambda: Allowance(at_once, seconds, clock)
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Allowance] = OrderedDict()

    def is_left(self, name: str) -> bool:
        """Whether one more is allowed now."""
        with self._lock:
            return name not in self._known or self._known[name].is_left()

    def take(self, name: str) -> bool:
        """Use one, and say whether it was allowed."""
        with self._lock:
            allowance = self._known.setdefault(name, self._make())
            self._known.move_to_end(name)
            while len(self._known) > MAX_NAMES:
                self._known.popitem(last=False)
            return allowance.take()
