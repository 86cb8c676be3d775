"""Classes that take the blind test together: votes added up in memory, and nothing else kept.

No Gradio in here. A class holds counts only: neither who voted nor a single vote can be found out.
"""

import secrets
import threading
import time
from collections.abc import Callable

from denoiser.blind_test import Setup, Tally, Vote

MAX_CLASSES = 100
MAX_VOTES = 100_000
IDLE_SECONDS = 3 * 3600.0
"""How long a class lives without a vote."""

UNUSED_SECONDS = 30 * 60.0
"""Likewise for one that never had a vote, so that classes nobody uses keep no place for long."""

_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that looks like another
_CODE_LENGTH = 6  # 31**6, about 900 million
_KEY_LENGTH = 12


class ClassroomError(ValueError):
    """A class can't be had; the message is one sentence for a person."""


class Classroom:
    """One class. Safe to use from several threads.

    Args:
        setup: What everybody in it is tested on.
        clock: Seconds that never go back.
    """

    def __init__(self, setup: Setup, clock: Callable[[], float] = time.monotonic):
        self.setup = setup
        self.code = _draw(_CODE_LENGTH)
        self.key = _draw(_KEY_LENGTH)
        self._clock = clock
        self._lock = threading.Lock()
        self._tally = Tally()
        self._used = clock()
        self._closed = False

    @property
    def tally(self) -> Tally:
        """All votes so far."""
        return self._tally  # replaced as a whole

    @property
    def is_open(self) -> bool:
        """Whether votes still count: it was not closed, and has not been idle for too long."""
        lifetime = IDLE_SECONDS if self._tally.votes else UNUSED_SECONDS
        return not self._closed and self._clock() - self._used < lifetime

    def add(self, vote: Vote) -> bool:
        """Count a vote, and say whether it was: a closed or a full class takes none."""
        with self._lock:
            if not self.is_open or self._tally.votes >= MAX_VOTES:
                return False
            self._tally = self._tally.add(vote)
            self._used = self._clock()
            return True

    def close(self) -> None:
        """Take no more votes."""
        with self._lock:
            self._closed = True


class Classrooms:
    """All classes of a page. Safe to use from several threads.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._classes: list[Classroom] = []

    def open(self, setup: Setup) -> Classroom:
        """Start a class.

        Raises:
            ClassroomError: There are too many.
        """
        with self._lock:
            self._forget()
            if len(self._classes) >= MAX_CLASSES:
                raise ClassroomError("There are too many classes at the moment; try again later.")
            classroom = Classroom(setup, self._clock)
            while any(classroom.code == other.code for other in self._classes):
                classroom = Classroom(setup, self._clock)
            self._classes.append(classroom)
            return classroom

    def find(self, entered: object) -> tuple[Classroom, bool]:
        """Return the class that somebody names, and whether they are its teacher.

        Args:
            entered: What they typed, a class's code or its teacher's; it comes from a browser and may
                be anything. Small letters, spaces and dashes don't matter.

        Raises:
            ClassroomError: There is none.
        """
        text = entered[:64] if isinstance(entered, str) else ""
        code = "".join(text.upper().replace("-", " ").split())
        with self._lock:
            self._forget()
            for classroom in self._classes:
                for own, is_teacher in ((classroom.code, False), (classroom.key, True)):
                    if secrets.compare_digest(own.encode(), code.encode()):
                        return classroom, is_teacher
        raise ClassroomError("There is no class with this code; it may be closed by now.")

    def _forget(self) -> None:
        self._classes = [classroom for classroom in self._classes if classroom.is_open]


def _draw(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
