"""Ten guided experiments. A new one is a file here and one line in ``LESSONS``."""

from denoiser.lessons.base import Lesson
from denoiser.lessons.clipping import CLIPPING
from denoiser.lessons.conventions import CONVENTIONS
from denoiser.lessons.equal_psnr import EQUAL_PSNR
from denoiser.lessons.gan import GAN
from denoiser.lessons.median import MEDIAN
from denoiser.lessons.photons import PHOTONS
from denoiser.lessons.self_choice import SELF_CHOICE
from denoiser.lessons.size import SIZE
from denoiser.lessons.smoothing import SMOOTHING
from denoiser.lessons.specialist import SPECIALIST

LESSONS: tuple[Lesson, ...] = (
    MEDIAN,
    SMOOTHING,
    EQUAL_PSNR,
    CONVENTIONS,
    CLIPPING,
    PHOTONS,
    SELF_CHOICE,
    SPECIALIST,
    GAN,
    SIZE,
)
"""All lessons, from filters to networks."""
