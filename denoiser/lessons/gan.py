"""Why what looks sharper scores lower: a GAN, a denoiser in steps, and draws of a flow."""

import numpy as np

from denoiser.analysis.emotion.classifier import as_face, create_classifier
from denoiser.denoisers.registry import create_denoiser, describe_denoiser
from denoiser.images import Image
from denoiser.lessons.base import (
    Chart,
    Demonstration,
    Group,
    Lesson,
    Line,
    Picture,
    Results,
    Source,
    Table,
    check_available,
    run_methods,
    score_picture,
)
from denoiser.metrics import sharpness, write_psnr, write_ssim
from denoiser.noise import GaussianNoise
from denoiser.pipeline import Corruption, Experiment, corrupt
from denoiser.weights.checkpoint import WeightsError

_SIGMA = 25
_NOISE = GaussianNoise(sigma=_SIGMA / 255)
_UNET, _GAN, _STEPS, _FLOW = "attention-unet", "patchgan", "residual-unet-flow", "flow-unet"
_METHODS = (_UNET, _GAN, _STEPS, _FLOW)
_DRAWS = 4
_UNREAD = "?"  # where there is no classifier
_STEP_COUNTS = (1, 2, 4, 8, 16)
_DIAL = (0.0, 0.25, 0.5, 0.75, 1.0)


def _demonstrate(clean: Image, strength: float, results: Results) -> Demonstration:
    corruption = corrupt(clean, _NOISE)
    pictures, missing = run_methods(corruption, _METHODS)
    all_pictures = (Picture("Clean", clean), *pictures)
    groups = [Group(_NOISE.describe(), all_pictures)]
    draws = _draw(corruption)
    if draws:
        groups.append(Group("Draws of the flow from this one noisy face, and their mean", tuple(draws)))
    readings = _read([picture.image for picture in all_pictures])
    table = Table(
        "Close to the clean face, or as sharp as it",
        ("Picture", "PSNR", "SSIM", "Sharpness (clean: 1)", "A classifier reads"),
        tuple(
            (
                picture.label,
                "" if picture.psnr is None else write_psnr(picture.psnr),
                "" if picture.ssim is None else write_ssim(picture.ssim),
                f"{_sharpness(picture.image, clean):.3f}",
                reading,
            )
            for picture, reading in zip(all_pictures, readings, strict=True)
        ),
    )
    chart = Chart(
        "From closest to most real",
        "sharpness (clean: 1)",
        "PSNR in dB",
        tuple(_paths(corruption, pictures[1:])),
    )
    remarks = missing or [_compare(clean, *pictures[1:3]), *_changed(all_pictures, readings)]
    return Demonstration(tuple(groups), (table,), chart, tuple(remarks))


def _is_here(method_id: str) -> bool:
    """Whether a method can run now, without waiting for the Hub."""
    try:
        check_available(method_id)
        create_denoiser(method_id)
    except WeightsError:
        return False
    return True


def _sharpness(picture: Image, clean: Image) -> float:
    return sharpness(picture, clean, check_range=False)


def _draw(corruption: Corruption) -> list[Picture]:
    """Draw faces that the noisy one may have been; none where the flow can't run."""
    if not _is_here(_FLOW):  # run_methods has said so
        return []
    flow = create_denoiser(_FLOW)
    draws = [flow.with_hyperparameters(draw=n)(corruption.noisy) for n in range(_DRAWS)]
    clean = corruption.clean
    pictures = [score_picture(f"Draw {n}", draw, clean) for n, draw in enumerate(draws)]
    return [*pictures, score_picture(f"Mean of the {_DRAWS}", np.mean(draws, axis=0), clean)]


def _paths(corruption: Corruption, pictures: list[Picture]) -> list[Line]:
    """Where methods stand between close and sharp, and the paths of those that have a dial."""
    noisy, clean = corruption.noisy, corruption.clean

    def line(method: str, label: str, images: list[Image], joined: bool) -> Line:
        scored = [score_picture(label, image, clean) for image in images]
        x = tuple(_sharpness(image, clean) for image in images)
        y = tuple(p.psnr or 0.0 for p in scored)
        return Line(label, x, y, dots=True, line=joined, method=method)

    ids = {describe_denoiser(name).label: name for name in (_UNET, _GAN) if _is_here(name)}
    lines = [line(ids[p.label], p.label, [p.image], False) for p in pictures if p.label in ids]
    for name, setting, values in ((_STEPS, "steps", _STEP_COUNTS), (_FLOW, "realism", _DIAL)):
        if not _is_here(name):
            continue
        method = create_denoiser(name)
        images = [
            method.with_hyperparameters(**{setting: value})(noisy, corruption.sigma) for value in values
        ]
        ends = f"{values[0]:g} to {values[-1]:g}"
        lines.append(line(name, f"{method.info.label}: {setting} {ends}", images, True))
    return lines


def _read(pictures: list[Image]) -> list[str]:
    """Say which emotion a classifier reads in each picture, and how surely."""
    try:
        predictions = create_classifier().predict([as_face(picture) for picture in pictures])
    except WeightsError:
        return [_UNREAD] * len(pictures)
    return [f"{p.emotion}, {100 * p.confidence:.0f} %" for p in predictions]


def _changed(pictures: tuple[Picture, ...], readings: list[str]) -> list[str]:
    """Say in which pictures the classifier reads another emotion than in the clean one."""
    read = [reading.partition(",")[0] for reading in readings]
    if _UNREAD in read:
        return []
    others = [f"{p.label} ({r})" for p, r in zip(pictures, read, strict=True) if r != read[0]]
    if not others:
        return ["The classifier reads the same emotion in all of them. With stronger noise it may not."]
    return [f"In the clean face the classifier reads {read[0]}; not so in: {', '.join(others)}."]


def _compare(clean: Image, unet: Picture, gan: Picture) -> str:
    gap = (gan.psnr or 0.0) - (unet.psnr or 0.0)
    crisp = [_sharpness(picture.image, clean) for picture in (unet, gan)]
    return (
        f"On this face the GAN is {write_psnr(abs(gap))} {'above' if gap > 0 else 'below'} the U-Net, "
        f"with a sharpness of {crisp[1]:.3f} against {crisp[0]:.3f}. Other faces differ; the "
        "explanation has the mean over the test split."
    )


def _explain(results: Results) -> str:
    condition = "gaussian-25"

    def scores(method: str) -> str:
        return (
            f"{results.score(method, condition)}, SSIM {results.score(method, condition, 'ssim')}, "
            f"sharpness {results.score(method, condition, 'sharpness')}, spectral distance "
            f"{results.score(method, condition, 'spectral_distance')}"
        )

    return f"""
**Many faces fit one noisy picture.** Lowest squared error is reached by their average, and an average
of sharp pictures is blurred. That is what the U-Net is trained to return. The GAN's generator, the same
network, must also pass for a clean picture before a discriminator, so it is pushed to commit itself to
one sharp face. It will often not be the true one, and a sharp edge in the wrong place costs more
squared error than a soft one.

**Blau and Michaeli prove that this is no accident.** For any measure of distortion, past a point you
can only look more natural by being less close. A face drawn from all those that fit is as natural as
can be, and a perfect draw costs 3 dB at most. Between it and the average lies a straight line, and
nothing that is as natural is closer (Freirich et al.): that is the flow's dial, *realism*. The residual
U-Net *in steps* needs no training of its own: it walks to a sharp picture in many short steps instead of
one long one, and its number of steps is a dial too. Under *Compare*, both are among the settings of the
methods.

**On FER2013's test split at sigma {_SIGMA} of 255** (sharpness of the clean pictures is 1; spectral
distance says how unlike theirs the fine detail is, lower is better):

- U-Net: {scores(_UNET)}
- GAN: {scores(_GAN)}
- residual U-Net, one step: {scores("residual-unet")}
- the same in eight steps: {scores(_STEPS)}
- flow, one draw: {scores(_FLOW)}

**Invented detail is no evidence.** What differs from draw to draw was not in the noisy picture, and a
classifier may read another emotion in it; whoever looks for a face or a number plate in such a picture
finds one. *Inside* shows where the flow guesses.

**Which is better?** For measuring, the U-Net; for looking at, perhaps a sharper one. The *Blind test*
tells what your own eyes prefer (*Which looks best?*), and what fools them (*Which is the photograph?*).
"""


GAN = Lesson(
    id="gan",
    title="Sharper, and further off",
    minutes=4,
    question=(
        "Two networks of the same shape. The U-Net was trained for the smallest squared error; the "
        "GAN also had to make a second network believe that its pictures are clean. What do you "
        "expect of the GAN?"
    ),
    options=(
        "Sharper pictures and a higher PSNR",
        "Sharper pictures and a lower PSNR",
        "Smoother pictures and a higher PSNR",
        "Smoother pictures and a lower PSNR",
    ),
    answer=1,
    experiment=Experiment(noise=_NOISE, methods=_METHODS),
    look=(
        "Hair, eyes and the edge of the face at large size: how crisp, and how true? Compare the draws "
        "with each other: what is the same in all of them was in the noisy picture, the rest is made "
        "up. In the chart, up is closer and right is sharper; follow the two paths."
    ),
    demonstrate=_demonstrate,
    explain=_explain,
    sources=(
        Source.doi(
            "Blau and Michaeli 2018, The perception-distortion tradeoff", "10.1109/CVPR.2018.00652"
        ),
        Source.doi("Isola et al. 2017, PatchGAN", "10.1109/CVPR.2017.632"),
        Source.arxiv(
            "Freirich et al. 2021, distortion and perception in Wasserstein space", "2107.02555"
        ),
        Source.arxiv("Lipman et al. 2023, flow matching", "2210.02747"),
    ),
)
