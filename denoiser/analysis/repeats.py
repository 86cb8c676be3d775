"""One experiment, drawn again with many seeds: what is chance, and what is not.

A single draw of the noise misleads: the scores of all methods go up and down with it. Repeated draws
show how far, and since every method gets the same noisy pictures, the difference of two methods on
the same draw (a paired difference) says far more than their two means do.

The mean squared error splits in two: the square of the bias, what a method does wrong every time, and
the variance, what the noise makes of it by chance (S. Geman, E. Bienenstock and R. Doursat, "Neural
networks and the bias/variance dilemma", Neural Computation 4(1), 1992, doi:10.1162/neco.1992.4.1.1).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from denoiser.images import Image
from denoiser.metrics import write_number

CONFIDENCE = 0.95
"""Of the intervals: 19 of 20 made like this hold the true difference."""

_SMALL = 0.1  # dB; the verdict calls less than this small


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of one number.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation (n - 1): how far one draw lies from the mean.
        error: Standard error of the mean: how far the mean lies from that of endless draws.
        count: How many there are.
    """

    mean: float
    deviation: float
    error: float
    count: int


@dataclass(frozen=True, eq=False)
class Maps:
    """What repeated draws do to every pixel.

    Attributes:
        bias: (H, W), mean denoised minus clean: wrong every time.
        deviation: (H, W), standard deviation over the draws (n - 1): different every time.
        count: How many draws there are.
    """

    bias: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]
    count: int

    @property
    def total_bias(self) -> float:
        """Root mean square of the bias over the picture, without what chance adds to its map.

        Of n draws, the mean still holds a variance of 1/n of theirs, which is taken off.
        """
        chance = float(np.mean(self.deviation**2)) / self.count
        return math.sqrt(max(0.0, float(np.mean(self.bias**2)) - chance))

    @property
    def total_deviation(self) -> float:
        """Root mean square of the standard deviation over the picture."""
        return math.sqrt(float(np.mean(self.deviation**2)))


@dataclass(frozen=True)
class PairedDifference:
    """How much better one method is than another on the same draws.

    Attributes:
        mean: Mean of first minus second.
        low: Lower end of the confidence interval of that mean.
        high: Upper end.
        wins: On how many draws the first is better.
        losses: On how many the second is.
        count: How many draws there are.
    """

    mean: float
    low: float
    high: float
    wins: int
    losses: int
    count: int

    @property
    def is_real(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def spread(values: Iterable[float]) -> Spread:
    """Describe repeated measurements.

    Args:
        values: At least one; all infinite (nothing was damaged) has no spread.

    Raises:
        ValueError: There are none.
    """
    numbers = np.array(list(values), float)
    if not len(numbers):
        raise ValueError("there is nothing to describe")
    if len(numbers) == 1 or not np.isfinite(numbers).all():
        return Spread(float(numbers.mean()), math.nan, math.nan, len(numbers))
    deviation = float(numbers.std(ddof=1))
    return Spread(float(numbers.mean()), deviation, deviation / math.sqrt(len(numbers)), len(numbers))


def maps(images: Sequence[Image], clean: Image) -> Maps:
    """Return bias and standard deviation of every pixel.

    Args:
        images: Pictures made of at least two draws, each the shape of ``clean``.
        clean: (H, W).

    Raises:
        ValueError: There are fewer than two pictures.
    """
    if len(images) < 2:
        raise ValueError("maps take at least two draws")
    stack = np.stack(images).astype(np.float64)
    return Maps(stack.mean(axis=0) - clean, stack.std(axis=0, ddof=1), len(stack))


def paired_difference(first: Sequence[float], second: Sequence[float]) -> PairedDifference:
    """Compare two methods on the same draws, by a paired t-interval (95 %).

    Args:
        first: Scores of one, a draw each.
        second: Scores of the other on the same draws.

    Raises:
        ValueError: Numbers differ in length, there are fewer than two, or they are not finite.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError("a paired difference takes two scores for each of at least two draws")
    differences = np.asarray(first, float) - np.asarray(second, float)
    if not np.isfinite(differences).all():
        raise ValueError("a paired difference takes finite scores")
    mean = float(differences.mean())
    error = float(stats.sem(differences))
    # No scatter at all: noise without randomness, or one method twice.
    low, high = (
        (mean, mean)
        if error <= 1e-12 * max(1.0, abs(mean))
        else stats.t.interval(CONFIDENCE, len(differences) - 1, mean, error)
    )
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return PairedDifference(mean, float(low), float(high), wins, losses, len(differences))


def verdict(
    difference: PairedDifference, first: str, second: str, *, unit: str = "dB", digits: int = 2
) -> str:
    """Say in plain English whether the gap is real.

    Args:
        difference: Of the first method minus the second.
        first: Name of the first.
        second: Name of the second.
        unit: Of the scores; may be empty.
        digits: How many decimals to write.
    """
    better, worse = (first, second) if difference.mean >= 0 else (second, first)
    gap = abs(difference.mean)
    low, high = sorted(abs(end) for end in (difference.low, difference.high))
    space = f" {unit}" if unit else ""
    wins = difference.wins if difference.mean >= 0 else difference.losses
    if difference.low == difference.high:
        if gap == 0:
            return f"{first} and {second} score the same in every draw."
        return (
            f"{better} is {gap:.{digits}f}{space} better, and the same in every draw: nothing here is "
            "left to chance."
        )
    if difference.is_real:
        small = " Real, but small." if unit == "dB" and gap < _SMALL else ""
        return (
            f"Yes, the gap is real: {better} is {gap:.{digits}f}{space} better than {worse} on this "
            f"face (95 % confidence interval {low:.{digits}f} to {high:.{digits}f}{space}), and ahead "
            f"in {wins} of {difference.count} draws.{small}"
        )
    ends = " to ".join(
        write_number(end, digits, signed=True) for end in (difference.low, difference.high)
    )
    return (
        f"Not shown: {better} is {gap:.{digits}f}{space} ahead of {worse}, but the 95 % confidence "
        f"interval of {first} minus {second} ({ends}{space}) holds zero, so {difference.count} draws "
        "can't tell the two apart. More draws may."
    )
