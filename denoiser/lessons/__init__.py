"""Ten guided experiments. A new one is a file here and one line in ``LESSONS``."""

from .clipping import CLIPPING
from .conventions import CONVENTIONS
from .equal_psnr import EQUAL_PSNR
from .gan import GAN
from .lesson import Lesson
from .median import MEDIAN
from .photons import PHOTONS
from .self_choice import SELF_CHOICE
from .size import SIZE
from .smoothing import SMOOTHING
from .specialist import SPECIALIST

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
