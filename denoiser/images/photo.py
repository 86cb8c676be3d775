"""Whole photographs, with all their bits, from a file and to one."""

import io
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import cv2
import numpy as np
import numpy.typing as npt

from denoiser.images.decoding import WHOLE_PHOTOS, ImageError, ImageSource, Picture, Pixels, decode
from denoiser.images.loading import over_white, turn_upright
from denoiser.images.values import from_unit

PhotoPixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(H, W) gray or (H, W, 3) RGB, upright; 0 to 255 or 0 to 65535."""

_BAND_PIXELS = 1_000_000  # how many are converted at once
_EXIF_START = b"Exif\0\0"  # stands before EXIF data in a JPEG, and in no PNG
_HEADER_BYTES = 33  # of a PNG: its signature and the first chunk


@dataclass(frozen=True, eq=False)
class Photo:
    """A whole photograph.

    Attributes:
        pixels: (H, W) gray or (H, W, 3) RGB, upright; uint8 or uint16.
        icc_profile: The ICC profile that its colours are to be understood by; None means sRGB.
        exif: EXIF data as Pillow has it, without place, owner, serial numbers and thumbnail; or None.

    Raises:
        ImageError: The pixels are of another type or shape, or there are none.
    """

    pixels: PhotoPixels
    icc_profile: bytes | None = None
    exif: bytes | None = None

    def __post_init__(self) -> None:
        pixels = self.pixels
        if not isinstance(pixels, np.ndarray) or pixels.dtype not in (np.uint8, np.uint16):
            raise ImageError("A photo's pixels must be an array of uint8 or uint16.")
        if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or pixels.size == 0:
            raise ImageError("A photo's shape must be (H, W) or (H, W, 3), with one pixel or more.")

    @property
    def bits(self) -> Literal[8, 16]:
        """Bits of each value."""
        return 8 if self.pixels.dtype == np.uint8 else 16


def read_photo(source: ImageSource) -> Photo:
    """Read a whole photograph, upright, over white where it is transparent.

    Gray stays gray, 16 bits stay 16 bits, and colours stay as the embedded ICC profile has them; those
    that PNG can't hold (CMYK) become sRGB. Floats become 16 bits. Of an animation, the first frame is
    taken; of a JPEG that ends too early, up to a twentieth of the rows may be missing, and is then cut
    off.

    Args:
        source: A path, a file's bytes, an open binary file, a PIL picture or an array, as for
            :func:`denoiser.load_image`.

    Raises:
        ImageError: The file is missing, empty, damaged, of an unknown kind or above 200 MB; the picture
            has more than 25 megapixels, or values outside its range.
    """
    picture = decode(source, purpose=WHOLE_PHOTOS)
    upright = np.ascontiguousarray(turn_upright(_collect(picture), picture.orientation))
    return Photo(upright, picture.icc_profile, picture.exif)


def write_photo(photo: Photo, target: str | Path | BinaryIO, bits: Literal[8, 16] | None = None) -> None:
    """Write a photograph as PNG, with its ICC profile and EXIF data.

    Args:
        photo: What to write.
        target: A path, which is written whole or not at all; or a file open for writing bytes.
        bits: 8 or 16; None takes the photo's own.

    Raises:
        ValueError: ``bits`` is another number.
        OSError: It can't be written.
    """
    png = _encode(photo, photo.bits if bits is None else bits)
    if not isinstance(target, str | Path):
        target.write(png)
        return
    path = Path(target)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(png)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def to_bits(pixels: PhotoPixels, bits: int) -> PhotoPixels:
    """Return a photo's pixels with 8 or 16 bits, each to the nearest value.

    Raises:
        ValueError: ``bits`` is another number.
    """
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, not {bits!r}")
    if bits == 8 * pixels.itemsize:
        return pixels
    if bits == 16:
        return pixels.astype(np.uint16) * np.uint16(257)
    # Whole numbers, without floats of the whole picture: (v + 128) / 257, rounded down.
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _collect(picture: Picture) -> PhotoPixels:
    """Return all rows of a picture, not yet upright."""
    rows = max(1, _BAND_PIXELS // picture.width)
    first = _as_photo(picture.rows(0, min(rows, picture.height)))
    pixels = np.empty((picture.height, *first.shape[1:]), first.dtype)
    pixels[: len(first)] = first
    for top in range(rows, picture.height, rows):
        bottom = min(top + rows, picture.height)
        pixels[top:bottom] = _as_photo(picture.rows(top, bottom))
    return pixels


def _as_photo(pixels: Pixels) -> PhotoPixels:
    is_whole = np.issubdtype(pixels.dtype, np.integer)
    if is_whole and (pixels.ndim == 2 or pixels.shape[2] == 3):
        return pixels
    kind = pixels.dtype.type if is_whole else np.uint16
    return from_unit(np.clip(over_white(pixels), 0, 1), kind)


def _encode(photo: Photo, bits: int) -> bytes:
    pixels = to_bits(photo.pixels, bits)
    ordered = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", ordered)
    if not done:
        raise OSError("The picture can't be written as PNG.")
    more = b""
    if photo.icc_profile:
        more += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.icc_profile))
    if photo.exif:
        more += _chunk(b"eXIf", photo.exif.removeprefix(_EXIF_START))
    png = io.BytesIO()
    png.write(encoded[:_HEADER_BYTES].tobytes())
    png.write(more)  # OpenCV writes neither
    png.write(encoded[_HEADER_BYTES:].data)
    return png.getvalue()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
