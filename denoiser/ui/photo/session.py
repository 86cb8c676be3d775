"""What a session has in the tab "Photo": its photo, and what became of it. No Gradio in here."""

import secrets
from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
from skimage.data import astronaut

from denoiser.analysis.unknown_noise import NoiseEstimate, estimate_noise_of
from denoiser.images import Image
from denoiser.images.photo import Photo, read_photo
from denoiser.images.values import to_unit
from denoiser.ui.experiment.own_picture import ONE_PICTURE
from denoiser.ui.photo.noise_blocks import DeepPixels
from denoiser.ui.server.kept import Kept

PORTRAIT = "portrait"
"""Id of the photo that comes with the page; every session has it."""

PHOTOS_BYTES = 384 * 2**20
"""So much of all sessions' photos is kept: five of 25 megapixels, or a hundred of a telephone's."""

RESULTS_BYTES = 384 * 2**20
"""The same for whole pictures that were computed; one of 25 megapixels takes 150 MB."""

_OVERVIEW_PIXELS = 250_000
_SAMPLE_SIDE = 256  # pixels, of a place where the noise of a whole photo is looked at
_SAMPLES_EACH_WAY = 3


@dataclass(frozen=True, eq=False)
class Held:
    """A photo that a session has. The file that it came in, and its name, are not kept.

    Attributes:
        id: Tells it from every other photo.
        photo: The photo.
        is_lossy: Whether its file was compressed with losses, which change noise.
    """

    id: str
    photo: Photo
    is_lossy: bool = False

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.photo.pixels.nbytes

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.photo.pixels.shape[:2]
        return height, width

    @property
    def in_colour(self) -> bool:
        """Whether it has three channels."""
        return self.photo.pixels.ndim == 3

    @cached_property
    def overview(self) -> Image:
        """A small one of it, (H, W) or (H, W, 3) in [0, 1], about a quarter of a megapixel at most."""
        return shrink(self.photo.pixels)

    @cached_property
    def noise(self) -> NoiseEstimate:
        """What noise it seems to have, by several places of it.

        Raises:
            WeightsError, ResultsError: See :func:`~denoiser.analysis.unknown_noise.estimate_noise_of`.
        """
        return estimate_noise_of(to_unit(samples_of(self.photo.pixels)))


@dataclass(frozen=True, eq=False)
class Whole:
    """A whole photo that was computed.

    Attributes:
        photo: It, with 16 bits, and the first one's ICC profile and EXIF data.
    """

    photo: Photo

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.photo.pixels.nbytes


class Photos:
    """All sessions' photos and results."""

    def __init__(self) -> None:
        self._photos: Kept[Held] = Kept(PHOTOS_BYTES)
        self.results: Kept[Whole] = Kept(RESULTS_BYTES)

    def receive(self, data: bytes, session: str, address: str) -> Held:
        """Read what is in an uploaded file, in place of the session's older photo.

        Args:
            data: The file.
            session: Whose it is.
            address: Where that is; see :meth:`Kept.keep`.

        Raises:
            ImageError: It can't be used; one sentence. The older photo stays.
        """
        with ONE_PICTURE:
            held = Held(secrets.token_hex(8), read_photo(data), is_lossy(data))
        self._photos.keep(session, held, address)
        return held

    def find(self, photo_id: object, session: str) -> Held | None:
        """Return a photo of this session by its id; None where it has none of it, or none any more."""
        if photo_id == PORTRAIT:
            return portrait()
        held = self._photos.find(session)
        return held if held is not None and held.id == photo_id else None

    def close(self, session: str) -> None:
        """Drop what a session has soon: its page was closed."""
        self._photos.close(session)
        self.results.close(session)


@cache
def portrait() -> Held:
    """Return the photo that comes with the page: Eileen Collins, NASA, in the public domain."""
    return Held(PORTRAIT, Photo(astronaut()))


def shrink(pixels: np.ndarray) -> Image:
    """Return a small one of a photo, (H, W) or (H, W, 3) in [0, 1]."""
    height, width = pixels.shape[:2]
    scale = min(1.0, (_OVERVIEW_PIXELS / (height * width)) ** 0.5)
    small = max(1, round(width * scale)), max(1, round(height * scale))
    smaller: DeepPixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return to_unit(smaller)


def is_lossy(data: bytes) -> bool:
    """Tell by its first bytes whether a picture's file is of a kind that compresses with losses."""
    if data[:4] == b"RIFF":
        return data[12:16] != b"VP8L"  # of WebP's two kinds the one without losses
    return data[:2] == b"\xff\xd8" or data[4:8] == b"ftyp"  # JPEG; HEIC and AVIF


def samples_of(pixels: np.ndarray) -> np.ndarray:
    """Return places spread over a photo, at which its noise is looked at, put together as one picture.

    They begin where JPEG's blocks do, as do their places in that picture.
    """
    rows, columns = (
        np.concatenate([np.arange(start, min(start + _SAMPLE_SIDE, side)) for start in _starts(side)])
        for side in pixels.shape[:2]
    )
    return pixels[rows[:, None], columns]


def _starts(side: int) -> list[int]:
    if side <= _SAMPLES_EACH_WAY * _SAMPLE_SIDE:
        return list(range(0, side, _SAMPLE_SIDE))
    return [int(start) // 8 * 8 for start in np.linspace(0, side - _SAMPLE_SIDE, _SAMPLES_EACH_WAY)]
