"""Classes that take the blind test together: votes added up in memory, and nothing else kept.

No Gradio in here. A class holds counts, and which sessions are in it: neither who voted nor a
single vote can be found out. Nobody sees the counts before the teacher reveals them, and from then on
none is added: no pick that counts was swayed by them.

What a script could take for itself alone is bounded by address (see ``server/address.py``), with room
for a school whose pupils all come from one.
"""

import secrets
import threading
import time
from collections.abc import Callable, Mapping

from denoiser.analysis.blind_test import ROUNDS, Setup, Tally, Vote
from denoiser.ui.server.rate_limits import Allowance, Allowances

MAX_CLASSES = 300
CLASSES_EACH = 3
"""How many open classes one address may have: a school may have more than one teacher."""

MAX_VOTES = 100_000
MAX_VOTERS = 2_000
"""How many people may vote in one class."""

VOTERS_EACH = 100
"""How many of them from one address; who loads the page anew is another voter. The same bounds hold for
those who have joined and not voted yet; who does not fit in there may still vote."""

IDLE_SECONDS = 3 * 3600.0
"""How long a class lives without a vote."""

UNUSED_SECONDS = 30 * 60.0
"""Likewise for one that never had a vote, so that unused classes keep no place for long."""

LIFETIME_SECONDS = 12 * 3600.0
"""How long a class lives at most: votes do not keep one open for ever."""

PICKS_AT_ONCE, SECONDS_EACH_PICK = 3, 1.0
"""How quickly one person's votes may come to be counted."""

GUESSES_AT_ONCE, SECONDS_EACH_GUESS = 40, 6.0
"""How quickly codes that don't exist may be tried from one address: all of a class may mistype one."""

_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that looks like another
_CODE_LENGTH = 6  # 31**6, about 900 million
_KEY_LENGTH = 12


class VotingClassError(ValueError):
    """A class can't be had; the message is one sentence for a person."""


class VotingClass:
    """One class. Safe to use from several threads.

    Args:
        setup: What its members are tested on.
        clock: Seconds that never go back.
        opener: Address of who opened it.
    """

    def __init__(
        self, setup: Setup, clock: Callable[[], float] = time.monotonic, opener: str = ""
    ) -> None:
        self.setup = setup
        self.opener = opener
        self.code = _draw(_CODE_LENGTH)
        self.key = _draw(_KEY_LENGTH)
        self._clock = clock
        self._lock = threading.Lock()
        self._tally = Tally()
        self._opened = self._used = clock()
        self._closed = False
        self._revealed = False
        self._waiting: dict[str, Voter] = {}  # by session; who has joined, and not voted yet
        self._voters: dict[str, Voter] = {}  # likewise; who has voted

    @property
    def tally(self) -> Tally:
        """All votes so far."""
        return self._tally  # replaced as a whole

    @property
    def is_open(self) -> bool:
        """Whether votes still count: it was not closed, and has not been idle for too long."""
        idle = IDLE_SECONDS if self._tally.votes else UNUSED_SECONDS
        now = self._clock()
        is_old = now - self._used >= idle or now - self._opened >= LIFETIME_SECONDS
        return not self._closed and not is_old

    @property
    def is_revealed(self) -> bool:
        """Whether the votes may be seen; while they may, no more are counted."""
        return self._revealed

    @property
    def joined(self) -> int:
        """How many people are in the class: those who voted, and those who joined and are still here."""
        with self._lock:
            return len(self._waiting) + len(self._voters)

    @property
    def answered(self) -> int:
        """How many of them have voted."""
        return len(self._voters)

    def voter(self, session: str, address: str) -> "Voter":
        """Return a session's voter: the one that has voted, or a new one.

        Args:
            session: Who votes.
            address: Where that session is.
        """
        with self._lock:
            return self._voters.get(session) or Voter(self, session, address, self._clock)

    def join(self, voter: "Voter") -> None:
        """Count a voter among those who have joined, where there is room."""
        with self._lock:
            if voter.session not in self._voters and _has_room(self._waiting, voter.address):
                self._waiting[voter.session] = voter

    def leave(self, session: str) -> None:
        """Forget that a session has joined; what it has voted stays."""
        with self._lock:
            self._waiting.pop(session, None)

    def admit(self, voter: "Voter") -> bool:
        """Let a voter vote from now on, and say whether there was room."""
        with self._lock:
            if self._voters.get(voter.session) is voter:
                return True
            if voter.session in self._voters or not _has_room(self._voters, voter.address):
                return False
            self._waiting.pop(voter.session, None)
            self._voters[voter.session] = voter
            return True

    def add(self, vote: Vote) -> bool:
        """Count a vote, and say whether it was: a closed, revealed or full class takes none."""
        with self._lock:
            if not self.is_open or self._revealed or self._tally.votes >= MAX_VOTES:
                return False
            self._tally = self._tally.add(vote)
            self._used = self._clock()
            return True

    def reveal(self, revealed: bool) -> None:
        """Let the votes be seen and take no more; or hide them and go on."""
        with self._lock:
            self._revealed = revealed

    def close(self) -> None:
        """Take no more votes, ever."""
        with self._lock:
            self._closed = True


class Voter:
    """One person who votes in a class, once in each round. Safe to use from several threads.

    Args:
        voting_class: The class.
        session: Who votes.
        address: Where that session is.
        clock: Seconds that never go back.
    """

    def __init__(
        self, voting_class: VotingClass, session: str, address: str, clock: Callable[[], float]
    ) -> None:
        self.voting_class = voting_class
        self.session = session
        self.address = address
        self._lock = threading.Lock()
        self._allowance = Allowance(PICKS_AT_ONCE, SECONDS_EACH_PICK, clock)
        self._votes = 0

    def add(self, vote: Vote) -> str:
        """Have the class count a vote; return ``""``, or a sentence that says why it does not."""
        alone = "what you pick now counts for you alone."
        with self._lock:
            if not self.voting_class.is_open:
                return f"The class is over: {alone}"
            if self.voting_class.is_revealed:
                return f"Class {self.voting_class.code} shows its results: {alone}"
            if self._votes >= ROUNDS:
                return f"Class {self.voting_class.code} has your {ROUNDS} picks: {alone}"
            if not self._allowance.take():
                return (
                    f"Too quick to have looked: class {self.voting_class.code} did not count that pick."
                )
            if not self.voting_class.admit(self):
                return f"Class {self.voting_class.code} has no seat left for your network: {alone}"
            if not self.voting_class.add(vote):
                return f"Class {self.voting_class.code} has all the votes that it can hold: {alone}"
            self._votes += 1
            return ""


class VotingClasses:
    """All classes of a page. Safe to use from several threads.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._classes: list[VotingClass] = []
        self._guesses = Allowances(GUESSES_AT_ONCE, SECONDS_EACH_GUESS, clock)

    def open(self, setup: Setup, address: str) -> VotingClass:
        """Start a class.

        Args:
            setup: What its members are tested on.
            address: Where its teacher is.

        Raises:
            VotingClassError: There are too many, or too many from this address.
        """
        with self._lock:
            self._forget()
            own = [other for other in self._classes if other.opener == address]
            if len(own) >= CLASSES_EACH:
                unused = [other for other in own if not other.tally.votes]
                if not unused:
                    raise VotingClassError(
                        f"Your network has {CLASSES_EACH} classes under way; close one of them first."
                    )
                # Whose teacher may have loaded the page anew, and cannot close it.
                unused[0].close()
                self._classes.remove(unused[0])
            if len(self._classes) >= MAX_CLASSES:
                raise VotingClassError("There are too many classes at the moment; try again later.")
            voting_class = VotingClass(setup, self._clock, address)
            while any(voting_class.code == other.code for other in self._classes):
                voting_class = VotingClass(setup, self._clock, address)
            self._classes.append(voting_class)
            return voting_class

    def find(self, typed_code: object, address: str) -> tuple[VotingClass, bool]:
        """Return the class with this code, and whether the code is its teacher's.

        Args:
            typed_code: What they typed, a class's code or its teacher's; it comes from a browser and may
                be anything. Small letters, spaces and dashes don't matter.
            address: Where they are.

        Raises:
            VotingClassError: There is none, or too many that don't exist were tried from this address.
        """
        if not self._guesses.is_left(address):  # right ones too, or guessing would go on
            raise VotingClassError(
                "Too many codes that do not exist were tried from your network; wait a minute."
            )
        text = typed_code[:64] if isinstance(typed_code, str) else ""
        code = "".join(text.upper().replace("-", " ").split())
        with self._lock:
            self._forget()
            for voting_class in self._classes:
                for own, is_teacher in ((voting_class.code, False), (voting_class.key, True)):
                    if secrets.compare_digest(own.encode(), code.encode()):
                        return voting_class, is_teacher
        self._guesses.take(address)
        raise VotingClassError("There is no class with this code; it may be closed by now.")

    def leave(self, session: str) -> None:
        """Have every class forget that a session has joined; what it has voted stays."""
        with self._lock:
            for voting_class in self._classes:
                voting_class.leave(session)

    def _forget(self) -> None:
        self._classes = [voting_class for voting_class in self._classes if voting_class.is_open]


def _has_room(people: Mapping[str, Voter], address: str) -> bool:
    from_there = sum(voter.address == address for voter in people.values())
    return len(people) < MAX_VOTERS and from_there < VOTERS_EACH


def _draw(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
