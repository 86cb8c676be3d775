"""The one place that converts: file, PIL picture or NumPy array to float32 in [0, 1], and back."""

import io
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image

from denoiser.base import Image

if TYPE_CHECKING:
    from skimage.feature import Cascade

ImageSource = str | Path | bytes | PIL.Image.Image | np.ndarray
"""A path, a file's bytes, a PIL picture, or an array of uint8, uint16 or floats in [0, 1]."""

MAX_BYTES = 10 * 1024 * 1024
"""The largest file that is read, in bytes."""

MAX_PIXELS = 25_000_000
"""The most pixels a picture may have; checked before it is decoded."""

MAX_SIZE = math.isqrt(MAX_PIXELS)
"""The largest ``size`` a picture is brought to, in pixels."""

# Only these are tried: some of Pillow's other formats start external programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")

_DETECTION_SIDE = 320  # pixels; a larger picture is shrunk to this before faces are looked for
_SMALLEST_FACE = 32  # pixels, after shrinking; smaller finds are mostly not faces
_AGREEING_DETECTIONS = 6  # of one face; scikit-image's 4 also finds faces in text and cats
_FACE_MARGIN = 0.15  # of the detected square's side, all in all: chin and forehead

_TOO_MANY_BYTES = f"The file is larger than {MAX_BYTES // 1024**2} MB, the most that is allowed."
_TOO_MANY_PIXELS = (
    f"The picture has more than {MAX_PIXELS // 1_000_000} megapixels, the most that is allowed."
)
_NOT_A_PICTURE = "This isn't a picture that can be read; PNG, JPEG, WebP, GIF, BMP and TIFF can."
_DAMAGED = "The picture is damaged or cut off; please save it again as PNG or JPEG."

_EXIF_ORIENTATION = 0x0112

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


class ImageError(ValueError):
    """A picture that can't be used; the message is one sentence for the person who gave it."""


@dataclass(frozen=True)
class LoadedFace:
    """A face made ready for the denoisers, and what was done to get there.

    Attributes:
        image: (size, size) float32 in [0, 1], gray.
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
class _Square:
    """A square region: first row, first column and side, in pixels."""

    top: int
    left: int
    side: int

    def crop(self, pixels: np.ndarray) -> np.ndarray:
        return pixels[self.top : self.top + self.side, self.left : self.left + self.side]


def load_image(
    source: ImageSource, size: int | None = None, crop_face: bool = False, gray: bool = True
) -> Image:
    """Load a picture, upright, over white where it is transparent.

    Of an animation, the first frame is taken. Gray is ITU-R 601 luma, computed in floating point.
    With ``crop_face``, the picture is cropped to a square around its largest face, or to the centre
    where none is found (:func:`load_face` says which); with ``size`` alone, to the centre.

    Args:
        source: A path, a file's bytes, a PIL picture, or an array: (H, W), (H, W, 1), (H, W, 3) or
            (H, W, 4) RGBA; uint8, uint16 or floats in [0, 1].
        size: Height and width of the result in pixels, 1 to 5000; None keeps them as they are.
        crop_face: Whether to crop to the largest face.
        gray: Whether to convert to gray.

    Returns:
        float32 in [0, 1]: (H, W) when ``gray``, else (H, W, 3).

    Raises:
        ImageError: The file is missing, empty, damaged, of an unknown kind or above 10 MB; the
            picture has more than 25 megapixels, or values outside its range; ``size`` is not
            allowed.
    """
    _check_size(size)
    pixels = _decode(source)
    if crop_face:
        pixels = _choose_square(pixels, _find_faces(pixels)).crop(pixels)
    elif size is not None:
        pixels = _centre_square(pixels).crop(pixels)
    image = _convert(pixels, gray)
    return image if size is None else _resize(image, size)


def load_face(source: ImageSource, size: int = 48, crop_face: bool = True) -> LoadedFace:
    """Load a picture as a square gray face, and say how that went.

    Args:
        source: As for :func:`load_image`.
        size: Height and width of the result in pixels, 1 to 5000.
        crop_face: Whether to crop to the largest face; otherwise the centre is cropped.

    Raises:
        ImageError: As for :func:`load_image`.
    """
    _check_size(size)
    pixels = _decode(source)
    height, width = pixels.shape[:2]
    faces = _find_faces(pixels) if crop_face else []
    square = _choose_square(pixels, faces)
    return LoadedFace(
        image=_resize(_convert(square.crop(pixels), gray=True), size),
        face_found=bool(faces),
        faces=len(faces),
        note=_describe(len(faces), is_square=height == width) if crop_face else "",
        size=(height, width),
    )


def to_uint8(image: np.ndarray) -> npt.NDArray[np.uint8]:
    """Convert floats in [0, 1] (clipped to it) to the nearest of 0 to 255; any shape."""
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)


def from_uint8(pixels: npt.NDArray[np.uint8]) -> Image:
    """Convert 0 to 255 to float32 in [0, 1]; any shape. :func:`to_uint8` undoes it exactly."""
    return pixels.astype(np.float32) / np.float32(255.0)


def to_png(image: Image) -> bytes:
    """Encode a picture, (H, W) or (H, W, 3) in [0, 1], as an 8-bit PNG file's bytes."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(to_uint8(image)).save(buffer, format="PNG")
    return buffer.getvalue()


def _check_size(size: int | None) -> None:
    if size is not None and not (isinstance(size, int) and 1 <= size <= MAX_SIZE):
        raise ImageError(f"size must be a whole number of pixels from 1 to {MAX_SIZE}.")


def _decode(source: ImageSource) -> np.ndarray:
    """Return upright pixels as they are stored.

    Returns:
        (H, W), (H, W, 3) or (H, W, 4) RGBA; uint8, uint16, or float32 in [0, 1].
    """
    if isinstance(source, np.ndarray):
        return _check_pixels(source)
    if isinstance(source, PIL.Image.Image):
        _check_pixel_count(*source.size)
        return _decode_pil(source)
    return _decode_bytes(source if isinstance(source, bytes) else _read(source))


def _read(path: str | Path) -> bytes:
    try:
        if Path(path).is_file():  # not a pipe or a device: reading one may never end
            with Path(path).open("rb") as file:
                return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ImageError("The file can't be opened.") from error
    raise ImageError("There is no file of this name.")


def _decode_bytes(data: bytes) -> np.ndarray:
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > MAX_BYTES:
        raise ImageError(_TOO_MANY_BYTES)
    try:
        picture = PIL.Image.open(io.BytesIO(data), formats=_FORMATS)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise ImageError(_TOO_MANY_PIXELS) from error
    except Exception as error:  # what Pillow raises for malformed files isn't limited to OSError
        raise ImageError(_NOT_A_PICTURE) from error
    with picture:
        _check_pixel_count(*picture.size)
        if _is_deep_colour_png(data):
            return _decode_deep_colour_png(data, _orientation(picture))
        return _decode_pil(picture)


def _check_pixel_count(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(_TOO_MANY_PIXELS)
    if width * height == 0:
        raise ImageError("The picture is empty: it has no pixels.")


def _decode_pil(picture: PIL.Image.Image) -> np.ndarray:
    try:
        # Before the orientation is read: loading a TIFF file already turns it upright.
        picture.load()
        pixels = _pil_pixels(picture)
    except Exception as error:  # what Pillow raises for malformed files isn't limited to OSError
        raise ImageError(_DAMAGED) from error
    return _turn_upright(_check_pixels(pixels), _orientation(picture))


def _pil_pixels(picture: PIL.Image.Image) -> np.ndarray:
    """Return a PIL picture's pixels; (H, W), (H, W, 3) or (H, W, 4) RGBA."""
    if picture.mode in ("F", "L") and not picture.has_transparency_data:
        return np.asarray(picture)
    if picture.mode.startswith("I"):
        # I;16, I;16B and I hold 16-bit gray; more, which fits in I, will be out of range.
        return np.asarray(picture).astype(np.int64)
    if picture.mode == "1" and not picture.has_transparency_data:
        return np.asarray(picture.convert("L"))
    return np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))


def _is_deep_colour_png(data: bytes) -> bool:
    """Tell whether this is a PNG with 16 bits per channel and more channels than gray."""
    if not data.startswith(b"\x89PNG") or len(data) < 26:
        return False
    bit_depth, colour_type = struct.unpack_from("BB", data, 24)
    return bit_depth == 16 and colour_type != 0


def _decode_deep_colour_png(data: bytes, orientation: int) -> np.ndarray:
    """Decode what Pillow would cut down to 8 bits."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(_DAMAGED) from error
    if pixels is None:
        raise ImageError(_DAMAGED)
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return _turn_upright(cv2.cvtColor(pixels, order), orientation)


def _orientation(picture: PIL.Image.Image) -> int:
    try:
        return picture.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # broken EXIF data around a good picture: as if there were none
        return 1


def _turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    return _UPRIGHT[orientation](pixels) if orientation in _UPRIGHT else pixels


def _check_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return (H, W), (H, W, 3) or (H, W, 4) pixels in one of the three types, or refuse them."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ImageError("A picture's shape must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).")
    _check_pixel_count(pixels.shape[1], pixels.shape[0])
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    if pixels.dtype == np.int64:  # Pillow's mode I
        return _check_range(pixels, 65535).astype(np.uint16)
    if np.issubdtype(pixels.dtype, np.floating):
        return _check_range(pixels, 1).astype(np.float32)
    raise ImageError("A picture's values must be uint8, uint16 or floats from 0 to 1.")


def _check_range(pixels: np.ndarray, highest: int) -> np.ndarray:
    # NaN and infinities fail these comparisons too.
    if not (pixels.min() >= 0 and pixels.max() <= highest):
        raise ImageError(f"The picture's values must lie between 0 and {highest}.")
    return pixels


def _convert(pixels: np.ndarray, gray: bool) -> Image:
    """Bring pixels to [0, 1], put them over white where transparent, and make them gray or RGB."""
    image = _to_float(pixels)
    if image.ndim == 3 and image.shape[2] == 4:
        alpha = image[:, :, 3:]
        image = image[:, :, :3] * alpha + (1 - alpha)
    if gray and image.ndim == 3:
        image = _luma(image)
    elif not gray and image.ndim == 2:
        image = np.repeat(image[:, :, np.newaxis], 3, axis=2)
    return np.clip(image, 0.0, 1.0)


def _luma(image: Image) -> Image:
    """Return ITU-R 601 luma, 0.299 R + 0.587 G + 0.114 B; (H, W, 3) to (H, W)."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.float32)


def _to_float(pixels: np.ndarray) -> Image:
    if np.issubdtype(pixels.dtype, np.integer):
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return pixels.astype(np.float32)


def _resize(image: Image, size: int) -> Image:
    """Resize a square picture: area average when it shrinks, bicubic when it grows."""
    if image.shape[0] == size:
        return image
    method = cv2.INTER_AREA if size < image.shape[0] else cv2.INTER_CUBIC
    return np.clip(cv2.resize(image, (size, size), interpolation=method), 0.0, 1.0)


def _centre_square(pixels: np.ndarray) -> _Square:
    height, width = pixels.shape[:2]
    side = min(height, width)
    return _Square((height - side) // 2, (width - side) // 2, side)


def _choose_square(pixels: np.ndarray, faces: list[_Square]) -> _Square:
    """Return a square around the largest face, with a margin, or the centre if there is none."""
    if not faces:
        return _centre_square(pixels)
    face = max(faces, key=lambda square: square.side)
    height, width = pixels.shape[:2]
    side = min(round(face.side * (1 + _FACE_MARGIN)), height, width)
    margin = (side - face.side) // 2
    # Near the border, the square moves inwards rather than being padded.
    top = min(max(face.top - margin, 0), height - side)
    left = min(max(face.left - margin, 0), width - side)
    return _Square(top, left, side)


def _find_faces(pixels: np.ndarray) -> list[_Square]:
    """Detect frontal faces, in the coordinates of ``pixels``.

    References:
        S. Liao et al., "Learning Multi-scale Block Local Binary Patterns for Face Recognition",
        ICB 2007, doi:10.1007/978-3-540-74549-5_87 (the features of scikit-image's cascade).
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, _DETECTION_SIDE / max(height, width))
    small_height, small_width = round(height * scale), round(width * scale)
    if min(small_height, small_width) < _SMALLEST_FACE:
        return []
    small = cv2.resize(
        np.ascontiguousarray(pixels), (small_width, small_height), interpolation=cv2.INTER_AREA
    )
    found = _face_cascade().detect_multi_scale(
        img=_convert(small, gray=True),
        scale_factor=1.1,
        step_ratio=1,
        min_size=(_SMALLEST_FACE, _SMALLEST_FACE),
        max_size=(small_height, small_width),
        min_neighbor_number=_AGREEING_DETECTIONS,
    )
    return [
        _Square(round(box["r"] / scale), round(box["c"] / scale), round(box["width"] / scale))
        for box in found
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
