"""A blind test of three unlabelled pictures, round after round: which looks best, or is the photograph.

Four judges choose in every round: a person's eye, and three measures, each of which always picks the
picture it scores best. All four are counted alike, so that what a person prefers can be set against
what a measure prefers, on the very same pictures. A round in which the person can't tell counts for
nobody.

Asked for the photograph, a person sees it between two results. No measure takes part: all would find
it, as it is what they compare with.
"""

import csv
import io
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from scipy.stats import binomtest, kendalltau

from denoiser.analysis.results import CLEAN
from denoiser.denoisers.own_model import OwnModel
from denoiser.noise import NoiseModel, create_noise, noise_kind

ROUNDS = 10
SHOWN = 3
"""How many pictures a round shows."""

CHANCE = 1 / SHOWN
"""How often a vote at random picks any one of them."""

CONFIDENCE = 0.95
"""Of the intervals around a share."""

EYE = "eye"
"""The judge that is a person."""

BEST, PHOTOGRAPH = "best", "photograph"
"""What can be asked."""

CSV_COLUMNS = (
    "id",
    "label",
    "rank",
    "shown",
    "picked",
    "share",
    "low",
    "high",
    "psnr_picked",
    "ssim_picked",
    "sharpness_picked",
    "decided",
    "undecided",
    "psnr_agreed",
    "ssim_agreed",
    "sharpness_agreed",
)
"""What :func:`tally_csv` holds; the last five are of the whole test, the same in every row."""

_Key = TypeVar("_Key")

_NOISES: tuple[tuple[str, int, int], ...] = (
    ("gaussian", 15, 60),
    ("salt-and-pepper", 5, 30),
    ("poisson", 8, 60),
    ("speckle", 36, 100),
    ("impulse", 5, 30),
)
"""Kind, and its first parameter's smallest and largest value in the unit that the page shows: enough
noise for methods to differ, not too much to see a face."""


@dataclass(frozen=True)
class Scores:
    """How the measures see one picture.

    Attributes:
        psnr: In dB.
        ssim: At most 1.
        sharpness: 1 is as sharp as the clean picture; see :func:`denoiser.metrics.sharpness`.
    """

    psnr: float
    ssim: float
    sharpness: float


def _sharpness_match(scores: Scores) -> float:
    """How close to 1 the sharpness is; half and twice as sharp are equally far off."""
    return -abs(math.log(scores.sharpness)) if scores.sharpness > 0 else -math.inf


MEASURES: Mapping[str, Callable[[Scores], float]] = MappingProxyType(
    {
        "psnr": lambda scores: scores.psnr,
        "ssim": lambda scores: scores.ssim,
        # Of the two perceptual measures, the one that is defined for a single picture: the
        # spectral distance compares sets of pictures.
        "sharpness": _sharpness_match,
    }
)
"""What each measure wants most of, by its id."""


@dataclass(frozen=True)
class Setup:
    """What a test is made of.

    Attributes:
        pool: Ids of the denoisers: at least three, or two beside the photograph.
        noise: The noise of all rounds; None varies kind and strength.
        clip: Clip the noisy pictures to [0, 1].
        round_8bit: Round them to 8 bits.
        question: Which picture looks best, or which is the photograph.
        hyperparameters: The denoisers' own that are not at their defaults, by id and name.
        own: The model that :data:`~denoiser.denoisers.own_model.OWN_MODEL` stands for in the pool.
    """

    pool: tuple[str, ...]
    noise: NoiseModel | None = None
    clip: bool = True
    round_8bit: bool = False
    question: str = BEST
    hyperparameters: Mapping[str, Mapping[str, float]] = field(default_factory=dict, hash=False)
    own: OwnModel | None = field(default=None, repr=False)

    @property
    def restored(self) -> int:
        """How many of the pictures of a round denoisers have made."""
        return SHOWN - (self.question == PHOTOGRAPH)

    @property
    def shown(self) -> tuple[str, ...]:
        """Ids of all that can be voted for: the denoisers and, where it is asked for, the photograph."""
        return (*self.pool, CLEAN) if self.question == PHOTOGRAPH else self.pool


@dataclass(frozen=True)
class Round:
    """What one round shows.

    Attributes:
        methods: Ids of three denoisers, in the order of the pictures; the photograph's is ``"clean"``.
        face: Id of the clean face.
        noise: The noise on it.
        seed: Its seed.
    """

    methods: tuple[str, ...]
    face: str
    noise: NoiseModel
    seed: int


@dataclass(frozen=True)
class Vote:
    """What was chosen in one round.

    Attributes:
        shown: Ids of the denoisers, in the order of the pictures.
        picked: The person's choice; None where they can't tell.
        favourites: The choice of each of :data:`MEASURES`.
    """

    shown: tuple[str, ...]
    picked: str | None
    favourites: Mapping[str, str]


@dataclass(frozen=True)
class Tally:
    """Votes added up; how many there were does not make it larger.

    Attributes:
        shown: In how many decided rounds each denoiser was shown.
        picks: In how many of them each judge picked it, by judge and denoiser.
        agreed: In how many of them each measure picked what the person did.
        decided: Rounds in which the person picked a picture.
        undecided: Rounds in which they could not tell.
        preferred: In how many of the decided rounds the person picked the first of two denoisers while
            the second was shown, by both.
    """

    shown: Mapping[str, int] = field(default_factory=dict)
    picks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    agreed: Mapping[str, int] = field(default_factory=dict)
    decided: int = 0
    undecided: int = 0
    preferred: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def votes(self) -> int:
        """All votes."""
        return self.decided + self.undecided

    def add(self, vote: Vote) -> "Tally":
        """Return the tally with one more vote."""
        if vote.picked is None:
            return replace(self, undecided=self.undecided + 1)
        chosen = {EYE: vote.picked, **vote.favourites}
        beaten = [(vote.picked, method) for method in vote.shown if method != vote.picked]
        same = [name for name, method in vote.favourites.items() if method == vote.picked]
        return Tally(
            _plus_one(self.shown, vote.shown),
            _plus_one(self.picks, chosen.items()),
            _plus_one(self.agreed, same),
            self.decided + 1,
            self.undecided,
            _plus_one(self.preferred, beaten),
        )


@dataclass(frozen=True)
class Standing:
    """How one denoiser came off.

    Attributes:
        method: Its id.
        rank: 1 for the one that the person picked most often when it was shown; equals share a rank.
        shown: In how many decided rounds it was shown.
        picks: In how many of them each judge picked it.
        share: The person's picks of the rounds in which it was shown, from 0 to 1.
        low: Lower end of the share's 95 % Wilson interval.
        high: Upper end.
    """

    method: str
    rank: int
    shown: int
    picks: Mapping[str, int]
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """How well a measure and the person agree.

    Attributes:
        measure: One of :data:`MEASURES`.
        same: Rounds in which both picked the same picture.
        decided: Of how many.
        luck: Probability of agreeing as often, or more, by picking at random.
        tau: Kendall's rank correlation (tau-b) of their two rankings of the denoisers, from -1 to 1;
            NaN where one of them ranks all alike.
    """

    measure: str
    same: int
    decided: int
    luck: float
    tau: float


def draw_rounds(
    setup: Setup, faces: Sequence[str], generator: np.random.Generator, count: int = ROUNDS
) -> tuple[Round, ...]:
    """Draw the rounds of a test.

    Each denoiser of the pool is shown equally often, or once more than others, and which ones meet is
    spread as evenly as that allows. Their order within a round is random.

    Args:
        setup: The denoisers and the noise.
        faces: Ids of faces to take in turn; with fewer of them than rounds they come again.
        generator: Where chance comes from.
        count: How many rounds.

    Raises:
        ValueError: There are too few denoisers, one comes twice, or there is no face.
    """
    pool = setup.pool
    if len(pool) < setup.restored or len(set(pool)) < len(pool):
        raise ValueError(
            f"this blind test takes at least {setup.restored} different denoisers, not {list(pool)}"
        )
    if not faces:
        raise ValueError("a blind test takes at least one face")
    restored = _draw_groups(pool, setup.restored, count, generator)
    beside = (CLEAN,) if setup.question == PHOTOGRAPH else ()
    trios = [_shuffled((*group, *beside), generator) for group in restored]
    noises = _draw_noises(count, generator) if setup.noise is None else [setup.noise] * count
    order = [faces[int(index)] for index in generator.permutation(len(faces))]
    return tuple(
        Round(trio, face, noise, int(generator.integers(2**31)))
        for trio, face, noise in zip(trios, itertools.cycle(order), noises, strict=False)
    )


def favourites(shown: Sequence[str], scores: Sequence[Scores]) -> dict[str, str]:
    """Return which picture each measure picks: the one it scores best, the first of equals.

    Args:
        shown: Ids of the denoisers.
        scores: Their pictures' scores, in the same order.
    """
    return {
        name: max(zip(shown, scores, strict=True), key=lambda pair: _ordered(measure(pair[1])))[0]
        for name, measure in MEASURES.items()
    }


def rank(tally: Tally, pool: Sequence[str]) -> list[Standing]:
    """Rank the denoisers by how often the person picked them when they were shown.

    The share is the plain one, with a Wilson interval for chance. Rounds are drawn so that every
    denoiser meets the others about equally often, which is what makes plain shares comparable.

    Args:
        tally: The votes.
        pool: Ids of the denoisers; one that no decided round showed is left out.

    Returns:
        The best first; equals in the order of the pool.
    """
    shares = {method: _share(tally, EYE, method) for method in pool if tally.shown.get(method)}
    standings = []
    for method in sorted(shares, key=lambda name: -shares[name]):
        shown = tally.shown[method]
        picks = {judge: tally.picks.get((judge, method), 0) for judge in (EYE, *MEASURES)}
        interval = binomtest(picks[EYE], shown).proportion_ci(CONFIDENCE, method="wilson")
        place = 1 + sum(share > shares[method] for share in shares.values())
        standings.append(
            Standing(
                method, place, shown, picks, shares[method], float(interval.low), float(interval.high)
            )
        )
    return standings


def agree(tally: Tally, pool: Sequence[str], measure: str) -> Agreement:
    """Set a measure's choices against the person's.

    Args:
        tally: The votes; at least one of them decided.
        pool: Ids of the denoisers.
        measure: One of :data:`MEASURES`.

    References:
        M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33(3), 1945,
        doi:10.1093/biomet/33.3.239.
    """
    same = tally.agreed.get(measure, 0)
    luck = binomtest(same, tally.decided, CHANCE, alternative="greater").pvalue
    ranked = [method for method in pool if tally.shown.get(method)]
    eye, other = ([_share(tally, judge, method) for method in ranked] for judge in (EYE, measure))
    constant = len(set(eye)) < 2 or len(set(other)) < 2
    tau = math.nan if constant else float(kendalltau(eye, other).statistic)
    return Agreement(measure, same, tally.decided, float(luck), tau)


def is_more_than_luck(picks: int, rounds: int, chance: float = CHANCE, among: int = 1) -> bool:
    """Tell whether something was picked more often than luck explains, at the 5 % level.

    Args:
        picks: How often it was.
        rounds: Of how many.
        chance: How often a pick at random takes it, from 0 to 1.
        among: Of how many it is the one picked most often: the first of several is ahead by luck more
            often than one named beforehand, so each gets its part of the 5 % (Bonferroni).
    """
    luck = binomtest(picks, rounds, chance, alternative="greater").pvalue
    return bool(luck * among < 1 - CONFIDENCE)


def tally_csv(tally: Tally, pool: Sequence[str], labels: Mapping[str, str]) -> str:
    """Write a tally as CSV: a header, then a row for every denoiser that was shown, the best first.

    Numbers have all their digits. Where no measure took part, its columns are empty.

    Args:
        tally: The votes.
        pool: Ids of the denoisers.
        labels: Their names, by id.
    """
    took_part = [name for name in MEASURES if any(judge == name for judge, _ in tally.picks)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for standing in rank(tally, pool):
        eye = [standing.shown, standing.picks[EYE], standing.share, standing.low, standing.high]
        picked = [standing.picks[name] if name in took_part else "" for name in MEASURES]
        agreed = [tally.agreed.get(name, 0) if name in took_part else "" for name in MEASURES]
        writer.writerow(
            [
                standing.method,
                labels[standing.method],
                standing.rank,
                *eye,
                *picked,
                tally.decided,
                tally.undecided,
                *agreed,
            ]
        )
    return buffer.getvalue()


def _share(tally: Tally, judge: str, method: str) -> float:
    return tally.picks.get((judge, method), 0) / tally.shown[method]


def _plus_one(counts: Mapping[_Key, int], keys: Iterable[_Key]) -> dict[_Key, int]:
    return dict(Counter(counts) + Counter(keys))


def _ordered(value: float) -> float:
    """NaN, which is neither more nor less than anything, counts as the worst."""
    return -math.inf if math.isnan(value) else value


def _shuffled(names: Sequence[str], generator: np.random.Generator) -> tuple[str, ...]:
    return tuple(names[int(index)] for index in generator.permutation(len(names)))


def _draw_groups(
    pool: Sequence[str], size: int, count: int, generator: np.random.Generator
) -> list[tuple[str, ...]]:
    groups = list(itertools.combinations(pool, size))
    shown = dict.fromkeys(pool, 0)
    met = dict.fromkeys(itertools.combinations(pool, 2), 0)
    draws = []
    for _ in range(count):
        shuffled = [groups[int(index)] for index in generator.permutation(len(groups))]
        # Those shown least often, which keeps all within one of each other; of these groups, the one
        # whose members have met least often.
        rarest = min(
            shuffled,
            key=lambda group: (
                sum(shown[method] for method in group),
                sum(met[pair] ** 2 for pair in itertools.combinations(group, 2)),
            ),
        )
        for method in rarest:
            shown[method] += 1
        for pair in itertools.combinations(rarest, 2):
            met[pair] += 1
        draws.append(rarest)
    return draws


def _draw_noises(count: int, generator: np.random.Generator) -> list[NoiseModel]:
    """Every kind before one comes again."""
    noises: list[NoiseModel] = []
    while len(noises) < count:
        for index in generator.permutation(len(_NOISES)):
            kind, low, high = _NOISES[int(index)]
            parameter = noise_kind(kind).parameters[0]
            value = int(generator.integers(low, high, endpoint=True)) / parameter.scale
            noises.append(create_noise(kind, **{parameter.name: value}))
    return noises[:count]
