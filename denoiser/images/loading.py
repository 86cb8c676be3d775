"""Files, PIL pictures and arrays become float32 in [0, 1]: upright, cropped to the face, resized."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from denoiser.images.decoding import MAX_PIXELS, ImageError, ImageSource, Picture, Pixels, decode
from denoiser.images.values import Image, from_uint8, to_uint8, to_unit

if TYPE_CHECKING:
    from skimage.feature import Cascade

MAX_SIZE = math.isqrt(MAX_PIXELS)
"""The largest ``size`` a picture is brought to, in pixels."""

_BAND_PIXELS = 1_000_000  # how many are converted at once
_OVERVIEW_PIXELS = 500_000  # of a picture that is only looked at
_OVERVIEW_SIDE = 16_000  # pixels, of the longest panorama; browsers show it, and a JPEG has 65,535
_DETECTION_SIDE = 320  # pixels; a larger picture is shrunk to this before faces are looked for
_SMALLEST_FACE = 32  # pixels, after shrinking; smaller finds are mostly not faces
_AGREEING_DETECTIONS = 6  # of one face; scikit-image's 4 also finds faces in text and cats
_SMALLEST_SIDE = 24  # pixels, of a square to cut out; half of what it becomes
_FACE_MARGIN = 0.15  # of the detected square's side, all in all: chin and forehead

# What undoes each EXIF orientation; 1 is upright.
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


@dataclass(frozen=True)
class LoadedFace:
    """A face made ready for the denoisers, and what was done to get there.

    Attributes:
        image: (size, size) float32 in [0, 1], or (size, size, 3) where colour was asked for.
        face_found: Whether the picture was cropped to a detected face.
        faces: How many faces were detected; 0 when none were looked for.
        note: A sentence for the person who gave the picture; empty when there is nothing to say.
        size: (height, width) of the picture as it was given, upright, in pixels.
    """

    image: Image
    face_found: bool
    faces: int
    note: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Square:
    """A square region: first row, first column and side, in pixels."""

    top: int
    left: int
    side: int

    def crop(self, pixels: np.ndarray) -> np.ndarray:
        """Return the region of a picture, (H, W) or (H, W, C); it has to lie within."""
        return pixels[self.top : self.top + self.side, self.left : self.left + self.side]


@dataclass(frozen=True, eq=False)
class FacePhoto:
    """A whole picture, of which squares can be made ready for the denoisers.

    Attributes:
        image: (H, W) float32 in [0, 1], gray and upright; smaller than the picture was where that is
            still fine enough for the smallest square.
        colour: The same in colour, (H, W, 3) uint8; None where the picture has none.
        faces: A square around each face that was detected, from left to right.
        square: The one that :func:`load_face` uses: around the largest face, or the centre.
        note: A sentence for the person who gave the picture; empty when there is nothing to say.
        size: (height, width) of the picture as it was given, upright, in pixels.
    """

    image: Image
    colour: npt.NDArray[np.uint8] | None
    faces: tuple[Square, ...]
    square: Square
    note: str
    size: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.image.nbytes + (0 if self.colour is None else self.colour.nbytes)

    @property
    def centre(self) -> Square:
        """The largest square in the middle."""
        return _centre_square(self.image)

    @property
    def smallest_side(self) -> int:
        """The smallest square worth cutting out: as large as the smallest face that is looked for."""
        height, width = self.image.shape
        tenth = max(height, width) * _SMALLEST_FACE // _DETECTION_SIDE
        return min(max(tenth, _SMALLEST_SIDE), height, width)

    def cut(self, square: Square, size: int) -> Image:
        """Return a square that lies within the picture as (size, size) float32 in [0, 1]."""
        return resize_square(square.crop(self.image), size)

    def cut_detail(self, square: Square, most: int) -> npt.NDArray[np.uint8]:
        """Return a square with all there is of it: in colour where there is any, and as large as it is.

        Args:
            square: Has to lie within the picture.
            most: The largest side.

        Returns:
            (S, S) or (S, S, 3), with S at most ``most``.
        """
        pixels = square.crop(to_uint8(self.image) if self.colour is None else self.colour)
        return to_uint8(resize_square(from_uint8(pixels), min(square.side, most)))


PICTURE_ENDINGS = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)
"""Of the files that are taken out of a folder."""


def is_picture(path: Path) -> bool:
    """Tell whether a file of a folder is a picture, by its name; hidden ones are none."""
    return path.suffix.lower() in PICTURE_ENDINGS and not path.name.startswith(".") and path.is_file()


def load_image(
    source: ImageSource, size: int | None = None, crop_face: bool = False, gray: bool = True
) -> Image:
    """Load a picture, upright, over white where it is transparent.

    Of an animation, the first frame is taken. Gray is ITU-R 601 luma, computed in floating point.
    With ``crop_face``, the picture is cropped to a square around its largest face, or to the centre
    where none is found (:func:`load_face` says which); with ``size`` alone, to the centre. Colours that
    an embedded ICC profile describes are converted to sRGB, in 8 bits. Of a JPEG that ends too early, up
    to a twentieth of the rows may be missing, and is then cut off.

    Args:
        source: A path, a file's bytes, an open binary file, a PIL picture, or an array: (H, W),
            (H, W, 1), (H, W, 3) or (H, W, 4) RGBA; uint8, uint16 or floats in [0, 1].
        size: Height and width of the result in pixels, 1 to 5000; None keeps them as they are.
        crop_face: Whether to crop to the largest face.
        gray: Whether to convert to gray.

    Returns:
        float32 in [0, 1]: (H, W) when ``gray``, else (H, W, 3).

    Raises:
        ImageError: The file is missing, empty, damaged, of an unknown kind or above 10 MB; the
            picture has more than 25 megapixels, or values outside its range; ``size`` or the source's
            type is not allowed.
    """
    size = None if size is None else _check_size(size)
    image, _ = _load(source, size, gray)
    if crop_face:
        image = _choose_square(image, _find_faces(image)).crop(image)
    elif size is not None:
        image = _centre_square(image).crop(image)
    return image if size is None else resize_square(image, size)


def load_face(
    source: ImageSource, size: int = 48, crop_face: bool = True, gray: bool = True
) -> LoadedFace:
    """Load a picture as a square face, and say how that went.

    Args:
        source: As for :func:`load_image`.
        size: Height and width of the result in pixels, 1 to 5000.
        crop_face: Whether to crop to the largest face; otherwise the centre is cropped.
        gray: Whether to convert to gray.

    Raises:
        ImageError: As for :func:`load_image`.
    """
    size = _check_size(size)
    image, original_size = _load(source, size, gray)
    return (
        _crop_to_face(image, original_size, size)
        if crop_face
        else _crop_to_centre(image, original_size, size)
    )


def load_photo(source: ImageSource, size: int = 48) -> tuple[FacePhoto, Image]:
    """Load a picture of which squares are to become faces of ``size`` pixels, and a small one of it.

    Its :attr:`FacePhoto.square`, cut, is what :func:`load_face` makes of it.

    Args:
        source: As for :func:`load_image`.
        size: As for :func:`load_face`.

    Returns:
        The photo; and what to look at, (H, W, 3) RGB float32 in [0, 1], about half a million pixels at
        most, and no side longer than 16,000. Its sides are not quite in proportion.

    Raises:
        ImageError: As for :func:`load_image`.
    """
    size = _check_size(size)
    picture = decode(source, lambda width, height: _shrinking(width, height, size))
    factor = _shrinking(picture.width, picture.height, size)
    image = _reduce(picture, factor, factor, gray=True)
    overview = _reduce(picture, *_overview_factors(picture.height, picture.width), gray=False)
    found = _find_faces(image)
    is_gray = not np.ptp(overview, axis=2).any()
    photo = FacePhoto(
        image,
        None if is_gray else to_uint8(_reduce(picture, factor, factor, gray=False)),
        tuple(sorted((_add_margin(image, face) for face in found), key=lambda square: square.left)),
        _choose_square(image, found),
        _describe(len(found), is_square=picture.size[0] == picture.size[1]),
        picture.size,
    )
    return photo, overview


def _overview_factors(height: int, width: int) -> tuple[int, int]:
    """Say how many times fewer rows and columns a picture may have where it is only looked at."""
    alike = math.ceil(math.sqrt(height * width / _OVERVIEW_PIXELS))
    down, across = (max(min(alike, s), math.ceil(s / _OVERVIEW_SIDE)) for s in (height, width))
    return down, across


def _check_size(size: int) -> int:
    """Return a size as a plain whole number."""
    try:
        pixels = 0 if isinstance(size, bool) else operator.index(size)  # NumPy's numbers too
    except TypeError:
        pixels = 0
    if not 1 <= pixels <= MAX_SIZE:
        raise ImageError(f"size must be a whole number of pixels from 1 to {MAX_SIZE}.")
    return pixels


def _crop_to_face(image: Image, original_size: tuple[int, int], size: int) -> LoadedFace:
    faces = _find_faces(image)
    face = resize_square(_choose_square(image, faces).crop(image), size)
    note = _describe(len(faces), is_square=original_size[0] == original_size[1])
    return LoadedFace(face, bool(faces), len(faces), note, original_size)


def _crop_to_centre(image: Image, original_size: tuple[int, int], size: int) -> LoadedFace:
    return LoadedFace(
        resize_square(_centre_square(image).crop(image), size), False, 0, "", original_size
    )


def _load(source: ImageSource, size: int | None, gray: bool) -> tuple[Image, tuple[int, int]]:
    """Decode a picture, no larger than a square of ``size`` from it needs.

    Returns:
        (H, W) or (H, W, 3) float32 in [0, 1], upright; and (height, width) as they were given.
    """
    picture = decode(source, lambda width, height: _shrinking(width, height, size))
    factor = _shrinking(picture.width, picture.height, size)
    return _reduce(picture, factor, factor, gray), picture.size


def _reduce(picture: Picture, down: int, across: int, gray: bool) -> Image:
    """Convert a picture, with so many times fewer rows and columns; (H, W) or (H, W, 3), upright."""
    height, width = picture.height // down, picture.width // across
    image = np.empty((height, width) if gray else (height, width, 3), np.float32)
    rows = max(1, _BAND_PIXELS // (picture.width * down))
    columns = max(1, _BAND_PIXELS // (rows * down * across))  # all of them, but of a long panorama
    # What is left over of a whole factor at the right and at the bottom is dropped.
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = picture.rows(top * down, bottom * down)
        for left in range(0, width, columns):
            right = min(left + columns, width)
            part = _convert(band[:, left * across : right * across], gray)
            image[top:bottom, left:right] = (
                part
                if down == across == 1
                else cv2.resize(part, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
            )
    return np.ascontiguousarray(turn_upright(image, picture.orientation))


def _shrinking(width: int, height: int, size: int | None) -> int:
    """Say how many times smaller a picture may be when a square of ``size`` is to be made of a part.

    The smallest face that is looked for, a tenth of the longer side, still has two pixels for one then,
    and so has the shorter side.
    """
    if size is None:
        return 1
    longer, shorter = max(width, height), min(width, height)
    return max(1, min(longer // (2 * size * _DETECTION_SIDE // _SMALLEST_FACE), shorter // (2 * size)))


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a picture as its EXIF orientation says; (H, W) or (H, W, 3), a view."""
    return _UPRIGHT[orientation](pixels) if orientation in _UPRIGHT else pixels


def _convert(pixels: np.ndarray, gray: bool) -> Image:
    """Bring pixels to [0, 1], put them over white where transparent, and make them gray or RGB."""
    image = over_white(pixels)
    if gray and image.ndim == 3:
        image = to_gray(image)
    elif not gray and image.ndim == 2:
        image = np.repeat(image[:, :, np.newaxis], 3, axis=2)
    return np.clip(image, 0.0, 1.0)


def over_white(pixels: Pixels) -> Image:
    """Bring pixels to [0, 1] and put them over white where transparent: (H, W) or (H, W, 3)."""
    image = to_unit(pixels)
    if image.ndim == 2 or image.shape[2] == 3:
        return image
    alpha = image[:, :, -1:]
    image = image[:, :, :-1] * alpha + (1 - alpha)
    return image if image.shape[2] == 3 else image[:, :, 0]


def to_gray(image: Image) -> Image:
    """Return ITU-R 601 luma, with the weights :data:`LUMA`; (H, W, 3) to (H, W)."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.float32)


def resize_square(image: Image, size: int) -> Image:
    """Resize a square picture: area average when it shrinks, bicubic when it grows."""
    if image.shape[0] == size:
        return image
    method = cv2.INTER_AREA if size < image.shape[0] else cv2.INTER_CUBIC
    return np.clip(cv2.resize(image, (size, size), interpolation=method), 0.0, 1.0)


def _centre_square(pixels: np.ndarray) -> Square:
    height, width = pixels.shape[:2]
    side = min(height, width)
    return Square((height - side) // 2, (width - side) // 2, side)


def _choose_square(pixels: np.ndarray, faces: list[Square]) -> Square:
    """Return a square around the largest face, with a margin, or the centre if there is none."""
    if not faces:
        return _centre_square(pixels)
    return _add_margin(pixels, max(faces, key=lambda square: square.side))


def _add_margin(pixels: np.ndarray, face: Square) -> Square:
    """Return the square that is cut out for a detected face."""
    height, width = pixels.shape[:2]
    side = min(round(face.side * (1 + _FACE_MARGIN)), height, width)
    margin = (side - face.side) // 2
    # Near the border, the square moves inwards rather than being padded.
    top = min(max(face.top - margin, 0), height - side)
    left = min(max(face.left - margin, 0), width - side)
    return Square(top, left, side)


def _find_faces(image: Image) -> list[Square]:
    """Detect frontal faces, in the coordinates of ``image``.

    References:
        S. Liao et al., "Learning Multi-scale Block Local Binary Patterns for Face Recognition",
        ICB 2007, doi:10.1007/978-3-540-74549-5_87 (the features of scikit-image's cascade).
    """
    height, width = image.shape[:2]
    scale = min(1.0, _DETECTION_SIDE / max(height, width))
    small_height, small_width = round(height * scale), round(width * scale)
    if min(small_height, small_width) < _SMALLEST_FACE:
        return []
    # In 8 bits, so that a file and the same picture with more bits, or in floats, are cropped alike.
    small = cv2.resize(to_uint8(image), (small_width, small_height), interpolation=cv2.INTER_AREA)
    boxes = _face_cascade().detect_multi_scale(
        img=_convert(small, gray=True),
        scale_factor=1.1,
        step_ratio=1,
        min_size=(_SMALLEST_FACE, _SMALLEST_FACE),
        max_size=(small_height, small_width),
        min_neighbor_number=_AGREEING_DETECTIONS,
    )
    return [
        Square(round(box["r"] / scale), round(box["c"] / scale), round(box["width"] / scale))
        for box in boxes
    ]


@lru_cache(maxsize=1)
def _face_cascade() -> "Cascade":
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def _describe(faces: int, is_square: bool) -> str:
    if faces == 0:
        used = "the whole picture was used" if is_square else "the centre was cropped"
        return f"No face found, so {used}."
    return f"{faces} faces found, the largest was used." if faces > 1 else ""
