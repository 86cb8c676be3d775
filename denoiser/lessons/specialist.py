"""What happens when a specialist meets noise it never saw."""

from denoiser.analysis.results import NOISY
from denoiser.images import Image
from denoiser.lessons.base import (
    Chart,
    Demonstration,
    Group,
    Lesson,
    Line,
    Mark,
    Results,
    Source,
    run_methods,
)
from denoiser.metrics import write_psnr
from denoiser.noise import PRESETS, GaussianNoise, SaltAndPepperNoise
from denoiser.pipeline import Experiment, corrupt

_TRAINED = PRESETS["gaussian-high"]
_TRAINED_SIGMA = 15.3  # of 255
_SPECIALIST = "attention-unet.gaussian-high"
_BLIND = "attention-unet"
_METHODS = (_SPECIALIST, _BLIND)
_SIGMAS = (2.0, 5.0, 10.0, _TRAINED_SIGMA, 20.0, 25.0, 35.0, 50.0)  # of 255
_STRONG = GaussianNoise(sigma=50 / 255)


def _demonstrate(clean: Image, strength: float, results: Results) -> Demonstration:
    groups, missing = [], []
    for title, noise in (
        ("What the specialist was trained on", _TRAINED),
        ("The same kind, stronger", _STRONG),
        ("Another kind", SaltAndPepperNoise(amount=0.1)),
    ):
        pictures, sentences = run_methods(corrupt(clean, noise), _METHODS)
        groups.append(Group(f"{title}: {noise.describe()}", tuple(pictures)))
        missing += sentences
    if missing:
        return Demonstration(tuple(groups), remarks=tuple(dict.fromkeys(missing)))
    strong = groups[1].pictures
    remark = (
        f"At sigma 50 the specialist goes from {write_psnr(strong[0].psnr)} to "
        f"{write_psnr(strong[1].psnr)} on this face, the blind network to "
        f"{write_psnr(strong[2].psnr)}."
    )
    return Demonstration(tuple(groups), (), _chart(clean), (remark,))


def _chart(clean: Image) -> Chart:
    scores = []  # by sigma: noisy, specialist, blind
    for sigma in _SIGMAS:
        pictures, _ = run_methods(corrupt(clean, GaussianNoise(sigma=sigma / 255)), _METHODS)
        scores.append([picture.psnr or 0.0 for picture in pictures])
    labels = ("Noisy", "Specialist for sigma 15.3", "Blind network")
    lines = [
        Line(label, _SIGMAS, column, dots=True, method=method)
        for method, label, column in zip(
            (NOISY, *_METHODS), labels, zip(*scores, strict=True), strict=True
        )
    ]
    return Chart(
        "This face under more and more Gaussian noise",
        "true sigma (of 255)",
        "PSNR in dB",
        tuple(lines),
        (Mark(_TRAINED_SIGMA, "trained here"),),
    )


def _explain(results: Results) -> str:
    own, strong, low, salt = "gaussian-high", "gaussian-50", "gaussian-low", "salt-and-pepper-10"
    return f"""
**A specialist knows one noise, and knows it best.** Trained only at sigma 15.3 of 255, the U-Net scores
{results.score(_SPECIALIST, own)} there on FER2013's test split, against {results.score(_BLIND, own)}
for the same network trained on a mixture (the *blind* one; the noisy picture has
{results.score("noisy", own)}).

**Outside, it sees what it expects.** At sigma 50 it takes away about as much as it learned to, and most
of the noise stays: from {results.score("noisy", strong)} it gets to
{results.score(_SPECIALIST, strong)}, the blind network to {results.score(_BLIND, strong)}. At sigma 5.1
it removes noise that is not there, and detail with it: {results.score(_SPECIALIST, low)}, when doing
nothing gives {results.score("noisy", low)}. And black and white dots it takes for part of the face:
{results.score(_SPECIALIST, salt)} against {results.score(_BLIND, salt)}.

**What to do about it.** Train on a range of strengths and kinds, which costs a little at each
({results.difference(_BLIND, _SPECIALIST, own)} here), or tell the network the strength. Mohan et al.
trace the failure to the constants that a network adds inside; without them it generalises far beyond
its training range. The tab Benchmark shows every network under every noise.
"""


SPECIALIST = Lesson(
    id="specialist",
    title="A specialist abroad",
    minutes=3,
    question=(
        "A U-Net was trained on Gaussian noise of sigma 15.3 of 255, and nothing else. Now the "
        "noise is of the same kind, but sigma is 50. What will its result look like?"
    ),
    options=(
        "Clean: Gaussian noise is Gaussian noise",
        "Still full of noise: it takes away about what it knows",
        "Blurred: it smooths too much",
    ),
    answer=1,
    experiment=Experiment(noise=_STRONG, methods=(_SPECIALIST, _BLIND, "median", "nl-means")),
    look=(
        "The specialist and the blind network at both strengths. Under Compare, drag sigma from 5 "
        "to 50 and find where the specialist starts to gain, and where it gives up."
    ),
    demonstrate=_demonstrate,
    explain=_explain,
    sources=(
        Source.arxiv("Mohan, Kadkhodaie et al. 2020, bias-free networks", "1906.05478"),
        Source.doi(
            "Zhang et al. 2017, DnCNN, trained on a range of strengths", "10.1109/TIP.2017.2662206"
        ),
    ),
)
