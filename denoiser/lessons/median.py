"""Why the median wins on salt-and-pepper noise and loses on Gaussian noise."""

from dataclasses import replace

import numpy as np

from denoiser.images import Image
from denoiser.lessons.base import (
    Demonstration,
    Group,
    Lesson,
    Results,
    Source,
    Table,
    best_picture,
    run_methods,
)
from denoiser.metrics import write_psnr
from denoiser.noise import GaussianNoise, SaltAndPepperNoise
from denoiser.pipeline import Corruption, Experiment, corrupt

_IMPULSES = SaltAndPepperNoise(amount=0.1)
_GAUSSIAN = GaussianNoise(sigma=25 / 255)
_IMPULSE = 0.25  # how far from the clean value a pixel is that counts as damaged
_FILTERS = ("median", "gaussian-filter", "nl-means")
_KNOWING = "trimmed-median"
_USUAL = 2  # of nine pixels, when a tenth of all are damaged: more are rare, and would mislead


def _demonstrate(clean: Image, strength: float, results: Results) -> Demonstration:
    impulses, gaussian = corrupt(clean, _IMPULSES), corrupt(clean, _GAUSSIAN)
    groups = [
        Group(corruption.noise.describe(), tuple(run_methods(corruption, _FILTERS)[0]))
        for corruption in (impulses, gaussian)
    ]
    table = _window_table(impulses)
    winners = [best_picture(group.pictures[1:]) for group in groups]
    # Apart: a star in the same row would not be on one of the filters that one can choose from.
    knowing = [run_methods(corruption, [_KNOWING])[0][1] for corruption in (impulses, gaussian)]
    labels = ("salt and pepper", "Gaussian noise")
    pictures = [
        replace(picture, label=f"{picture.label}, {label}")
        for picture, label in zip(knowing, labels, strict=True)
    ]
    groups.append(Group("A filter that knows what impulses look like", tuple(pictures), has_best=False))
    remark = (
        f"Of these three filters, {winners[0].label} is closest under salt and pepper "
        f"({write_psnr(winners[0].psnr)}), {winners[1].label} under Gaussian noise "
        f"({write_psnr(winners[1].psnr)})."
    )
    return Demonstration(tuple(groups), () if table is None else (table,), remarks=(remark,))


def _window_table(corruption: Corruption) -> Table | None:
    """Write out what median and mean make of the nine pixels around one impulse."""
    impulse = _telling_impulse(corruption)
    if impulse is None:
        return None
    row, column = impulse
    window = slice(row - 1, row + 2), slice(column - 1, column + 2)
    levels = np.sort(255 * corruption.noisy[window], axis=None)
    return Table(
        f"The nine pixels around the impulse in row {row}, column {column} (of 255)",
        ("", "Values"),
        (
            ("The nine, sorted", "  ".join(f"{level:.0f}" for level in levels)),
            ("Their median, the fifth", f"{levels[4]:.0f}"),
            ("Their mean", f"{levels.mean():.0f}"),
            ("The clean pixel", f"{255 * corruption.clean[row, column]:.0f}"),
        ),
    )


def _telling_impulse(corruption: Corruption) -> tuple[int, int] | None:
    """Find the damaged pixel at which the mean misses the clean value by most more than the median.

    Among those with at most one other damaged pixel around them, if there are any.
    """
    clean, noisy = corruption.clean, corruption.noisy
    nine = np.lib.stride_tricks.sliding_window_view(noisy, (3, 3)).reshape(-1, 9)
    inner = clean[1:-1, 1:-1].ravel()
    counts = np.lib.stride_tricks.sliding_window_view(noisy != clean, (3, 3)).sum(axis=(2, 3)).ravel()
    damaged = np.abs(noisy - clean)[1:-1, 1:-1].ravel() > _IMPULSE
    if not damaged.any():
        return None
    usual = damaged & (counts <= _USUAL)
    damaged = usual if usual.any() else damaged
    advantage = np.abs(nine.mean(axis=1) - inner) - np.abs(np.median(nine, axis=1) - inner)
    place = int(np.argmax(np.where(damaged, advantage, -np.inf)))
    row, column = divmod(place, noisy.shape[1] - 2)
    return row + 1, column + 1


def _explain(results: Results) -> str:
    salt, gauss = "salt-and-pepper-10", "gaussian-25"
    return f"""
**The median throws outliers away, the mean spreads them.** One white or black dot among nine pixels is
sorted to the end of the row and never becomes the middle value; a mean, and every weighted mean such as
the Gaussian filter, carries a part of it into all nine. On FER2013's test split, with 10 % salt and
pepper, the median reaches {results.score("median", salt)}, the Gaussian filter
{results.score("gaussian-filter", salt)} and non-local means {results.score("nl-means", salt)}.

**Gaussian noise has no outliers.** Every pixel is a little wrong, and the mean of n pixels averages
that away best: the median of n Gaussian values has up to π/2 ≈ 1.57 times the variance of their mean.
At sigma 25 of 255 the median gets {results.score("median", gauss)}, the Gaussian filter
{results.score("gaussian-filter", gauss)}, and non-local means, which averages only what looks alike,
{results.score("nl-means", gauss)}.

**Knowing more about the noise wins more.** Impulses are exactly black or white, so the trimmed median
touches nothing else: {results.score("trimmed-median", salt)} on salt and pepper, but under Gaussian
noise it sees almost nothing to repair ({results.score("trimmed-median", gauss)}, and the noisy picture
has {results.score("noisy", gauss)}).
"""


MEDIAN = Lesson(
    id="median",
    title="The median and its noise",
    minutes=3,
    question=(
        "One tenth of the pixels turn black or white. Then, in a second try, every pixel gets a little "
        "Gaussian noise instead (sigma 25 of 255). Which filter comes closest to the clean face?"
    ),
    options=(
        "The 3x3 median, both times",
        "The 3x3 median under black and white dots, an averaging filter under Gaussian noise",
        "An averaging filter, both times",
        "An averaging filter under black and white dots, the 3x3 median under Gaussian noise",
    ),
    answer=1,
    experiment=Experiment(noise=_IMPULSES, methods=(*_FILTERS, _KNOWING)),
    look=(
        "What is left of a single dot in each result. Then change the kind of noise to Gaussian and "
        "watch the order of the filters turn round."
    ),
    demonstrate=_demonstrate,
    explain=_explain,
    sources=(
        Source.doi("Hwang and Haddad 1995, adaptive median filters", "10.1109/83.370679"),
        Source.doi("Esakkirajan et al. 2011, trimmed median", "10.1109/LSP.2011.2122333"),
        Source.doi("Buades et al. 2005, non-local means", "10.1109/CVPR.2005.38"),
    ),
)
