"""Files, PIL pictures and arrays as rows of pixels, within bounds of time and memory.

A picture is decoded once, JPEG at the size that is wanted of it, and then converted band by band: the
whole of a large one in floats would take many times the memory of its file. The bounds, and what each
kind of file takes, are measured by ``python -m tests.benchmarks.big_pictures``.
"""

import io
import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import ImageCms
from PIL.ImageFile import ImageFile

from denoiser.images.exif import shareable_exif

try:
    import pi_heif
except ImportError:  # as on a machine that only trains: it then reads no HEIC
    pi_heif = None

ImageSource = str | Path | bytes | BinaryIO | PIL.Image.Image | np.ndarray
"""A path, a file's bytes, an open binary file, a PIL picture, or an array of uint8, uint16 or floats."""

MAX_BYTES = 10 * 1024 * 1024
"""The largest file that is read, in bytes."""

MAX_PIXELS = 25_000_000
"""The most pixels a picture may have; checked before it is decoded."""

MAX_DEEP_PIXELS = 12_000_000
"""The most pixels that a colour picture of 16 bits a channel may have."""

MAX_PHOTO_BYTES = 200 * 1024 * 1024
"""The largest file of a whole photograph, in bytes: the most pixels, with 16 bits and not compressed."""

# Only these are tried: some of Pillow's other formats start external programs.
_FORMATS: tuple[str, ...] = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
if pi_heif is not None:
    pi_heif.register_heif_opener()
    _FORMATS = (*_FORMATS, "HEIF")

_MAX_SCANNED_PIXELS = 1_000_000_000  # over all scans of a JPEG; cameras and editors write about ten
_MAX_PARTS = 50_000  # strips or tiles of a TIFF
_MAX_SLOW_BYTES = 4_000_000  # of a file that Pillow decodes in Python
_SLOW_DECODERS = ("ppm_plain", "bmp_rle")
_MOST_MISSING = 0.05  # of a JPEG's rows; with more, a cut-off file is refused
_FILLING = 4096  # bytes

_TOO_MANY_BYTES = "The file is larger than {} MB, the most that is allowed."
_TOO_MANY_PIXELS = "The picture has more than {} megapixels, the most that is allowed for its kind."
_TOO_MANY_DEEP_PIXELS = (
    "The picture has 16 bits in each colour and more than {} megapixels, the most that is allowed then."
)
_TOO_MANY_SCANS = "The JPEG has too many scans for its size; please save it again, not as progressive."
_TOO_MANY_PARTS = f"The TIFF has more than {_MAX_PARTS:,} strips or tiles, the most that is allowed."
_TOO_MANY_WORDS = (
    f"A PPM in plain text or a BMP of runs may have {_MAX_SLOW_BYTES // 1_000_000} MB at most; "
    "please save it as PNG."
)
_NOT_A_PICTURE = (
    "This isn't a picture that can be read; PNG, JPEG, WebP, AVIF, HEIC, GIF, BMP and TIFF can."
)
_DAMAGED = "The picture is damaged or cut off; please save it again as PNG or JPEG."
_SEPARATE_PLANES = (
    "A TIFF whose 16-bit channels lie in separate planes can't be read; please save it as PNG."
)
_NO_SOURCE = "A picture must be a path, a file's bytes, an open file, a PIL picture or a NumPy array."

_EXIF_ORIENTATION = 0x0112
_END_OF_JPEG, _START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # of a JPEG; the others stand within a scan
# Tags of TIFF, and values of theirs.
_BITS, _PHOTOMETRIC, _PLANES, _TILE_WIDTH, _TILE_HEIGHT, _ALPHA_KIND = 258, 262, 284, 322, 323, 338
_PARTS = (273, 279, 324, 325)  # where strips and tiles are, and how long
_WHITE_IS_ZERO = 0
_TOGETHER = 1
_PREMULTIPLIED_ALPHA, _STRAIGHT_ALPHA = 1, 2
_PROFILE_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}

Pixels = np.ndarray
"""(H, W), (H, W, 2) gray and alpha, (H, W, 3) or (H, W, 4) RGBA; uint8, uint16, or float32 in [0, 1]."""


class ImageError(ValueError):
    """A picture that can't be used; the message is one sentence for the person who gave it."""


@dataclass(frozen=True)
class Purpose:
    """What a picture is read for: how much it may be, and what of it is kept.

    Attributes:
        max_bytes: The largest file.
        max_pixels: The most pixels, by Pillow's name of the kind where that has bounds of its own.
        max_deep_pixels: The most pixels of colour with 16 bits a channel.
        keeps_profile: Leave colours as the embedded ICC profile describes them, where pixels of gray or
            RGB can have that profile, instead of converting them to sRGB; and read the EXIF data.
    """

    max_bytes: int
    max_pixels: Mapping[str, int]
    max_deep_pixels: int
    keeps_profile: bool

    def pixels_of(self, kind: str | None) -> int:
        """Return the most pixels that a kind of picture may have."""
        return self.max_pixels.get(kind or "", MAX_PIXELS)


# For WebP and AVIF, Pillow needs more memory than for others: several copies of the picture.
FACES = Purpose(MAX_BYTES, {"WEBP": 16_000_000, "AVIF": 16_000_000}, MAX_DEEP_PIXELS, False)
"""Pictures that faces are cut out of, read while somebody waits."""

WHOLE_PHOTOS = Purpose(MAX_PHOTO_BYTES, {}, MAX_PIXELS, True)
"""Photographs that are kept whole."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        width: Of what was decoded, in pixels, not yet upright.
        height: Likewise.
        rows: ``rows(top, bottom)`` returns some rows' :data:`Pixels`; raises :class:`ImageError` where
            they hold values out of range.
        orientation: As in EXIF, 1 to 8; 1 is upright.
        size: (height, width) of the picture as it was given, upright, in pixels.
        icc_profile: The profile that its values are to be understood by; None where they are sRGB's,
            or nothing is known.
        exif: What of its EXIF data may be passed on, see :func:`~denoiser.images.exif.shareable_exif`.
    """

    width: int
    height: int
    rows: Callable[[int, int], Pixels]
    orientation: int
    size: tuple[int, int]
    icc_profile: bytes | None = None
    exif: bytes | None = None


ColourTransform = Callable[[PIL.Image.Image], PIL.Image.Image]


def decode(
    source: ImageSource, factor: Callable[[int, int], int] = lambda *_: 1, purpose: Purpose = FACES
) -> Picture:
    """Decode a picture.

    Args:
        source: See :func:`denoiser.load_image`.
        factor: Says for a width and a height how many times smaller the picture may come; whoever
            decodes uses as much of that as costs nothing.
        purpose: What it is read for.

    Raises:
        ImageError: See :func:`denoiser.load_image`.
    """
    if isinstance(source, np.ndarray):
        return _from_array(_check_pixels(source))
    if isinstance(source, PIL.Image.Image):
        _check_pixel_count(*source.size)
        return _from_pil(_loaded(source), source.size, purpose)
    return _from_bytes(_read(source, purpose.max_bytes), factor, purpose)


def _read(source: str | Path | bytes | BinaryIO, max_bytes: int) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    try:
        if isinstance(source, str | Path):
            if Path(source).is_file():  # not a pipe or a device: reading one may never end
                with Path(source).open("rb") as file:
                    return file.read(max_bytes + 1)
            raise ImageError("There is no file of this name.")
        data = source.read(max_bytes + 1)
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        raise ImageError("The file can't be opened.") from error
    except (AttributeError, TypeError) as error:
        raise ImageError(_NO_SOURCE) from error
    if not isinstance(data, bytes):  # a file opened as text
        raise ImageError(_NO_SOURCE)
    return data


def _from_bytes(data: bytes, factor: Callable[[int, int], int], purpose: Purpose) -> Picture:
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > purpose.max_bytes:
        raise ImageError(_TOO_MANY_BYTES.format(purpose.max_bytes // 1024**2))
    # Pillow makes a list of them when it opens the file.
    if data[:2] in (b"II", b"MM") and any(
        tag in _PARTS and count > _MAX_PARTS for tag, count in _list_tags(data)
    ):
        raise ImageError(_TOO_MANY_PARTS)
    picture = _open(data)
    with picture:
        size = picture.size
        _check_pixel_count(*size, purpose.pixels_of(picture.format))
        if len(data) > _MAX_SLOW_BYTES and any(tile[0] in _SLOW_DECODERS for tile in picture.tile[:1]):
            raise ImageError(_TOO_MANY_WORDS)
        if picture.format == "TIFF":
            _check_tiff(data, picture)
        if picture.format == "PPM" and picture.tile and picture.tile[0][0] == "ppm":
            return _from_ppm(data, picture)
        deep = _read_deep_colour(data, picture, purpose.max_deep_pixels)
        if deep is not None:
            return _from_deep_colour(deep, data, picture, purpose)
        if picture.format in ("JPEG", "MPO"):
            if _count_scans(data) * size[0] * size[1] > _MAX_SCANNED_PIXELS:
                raise ImageError(_TOO_MANY_SCANS)
            return _from_pil(_load_jpeg(data, factor(*size)), size, purpose)
        return _from_pil(_loaded(picture), picture.size, purpose)


def _open(data: bytes) -> ImageFile:
    try:
        return PIL.Image.open(io.BytesIO(data), formats=_FORMATS)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise ImageError(_TOO_MANY_PIXELS.format(MAX_PIXELS // 1_000_000)) from error
    except Exception as error:  # what Pillow raises for malformed files isn't limited to OSError
        raise ImageError(_NOT_A_PICTURE) from error


def _loaded(picture: PIL.Image.Image) -> PIL.Image.Image:
    try:
        picture.load()
    except Exception as error:  # what Pillow raises for malformed files isn't limited to OSError
        raise ImageError(_DAMAGED) from error
    return picture


def _check_pixel_count(width: int, height: int, most: int = MAX_PIXELS) -> None:
    if width * height > most:
        raise ImageError(_TOO_MANY_PIXELS.format(most // 1_000_000))
    if width * height == 0:
        raise ImageError("The picture is empty: it has no pixels.")


# JPEG


def _load_jpeg(data: bytes, factor: int) -> PIL.Image.Image:
    """Decode a JPEG, up to ``factor`` times smaller: an eighth takes less time and memory than all.

    The last rows may be missing, and are then cut off.
    """
    picture = _open_draft(data, factor)
    try:
        picture.load()
        return picture
    except OSError:  # it ends too early
        end = data.rstrip(b"\xff")
    except Exception as error:
        raise ImageError(_DAMAGED) from error
    # Rows that are the same whatever the file is filled up with came from the file itself.
    first, second = (
        np.asarray(_loaded(_open_draft(end + filling * _FILLING + _END_OF_JPEG, factor)))
        for filling in (b"\x00", b"\x5a")
    )
    differs = (first != second).reshape(len(first), -1).any(axis=1)
    rows = int(differs.argmax()) if differs.any() else len(first)
    if rows < (1 - _MOST_MISSING) * len(first):
        raise ImageError(_DAMAGED)
    whole = _loaded(_open_draft(end + _END_OF_JPEG, factor))
    return whole.crop((0, 0, whole.width, rows))


def _open_draft(data: bytes, factor: int) -> ImageFile:
    picture = _open(data)
    picture.draft(picture.mode, (max(1, picture.width // factor), max(1, picture.height // factor)))
    return picture


def _count_scans(data: bytes) -> int:
    """Count a JPEG's scans: each takes a pass over the whole picture, and hardly a byte in the file."""
    scans, at = 0, 2
    while (marker := _MARKER.search(data, at)) is not None and marker[0] != _END_OF_JPEG:
        scans += marker[0] == _START_OF_SCAN
        length = data[marker.end() : marker.end() + 2]
        at = marker.end() + int.from_bytes(length, "big")
    return scans


# More than 8 bits


def _read_deep_colour(data: bytes, picture: ImageFile, max_pixels: int) -> Pixels | None:
    """Decode what Pillow would cut down to 8 bits; None for anything else."""
    if picture.format == "PNG" and _is_deep_colour_png(data, picture):
        pixels = _decode_with_opencv(data, picture, max_pixels)
        clear = picture.info.get("transparency")
        if pixels.shape[2] == 3 and isinstance(clear, tuple):
            return _with_alpha(pixels, (pixels != np.array(clear)).any(axis=2))
        return pixels
    if picture.format == "TIFF" and _is_deep_colour_tiff(picture):
        kind = picture.tag_v2.get(_ALPHA_KIND, (None,))[0]  # type: ignore[attr-defined]
        return _apply_alpha_kind(_decode_with_opencv(data, picture, max_pixels), kind)
    return None


def _is_deep_colour_png(data: bytes, picture: PIL.Image.Image) -> bool:
    """Tell whether this is a PNG with 16 bits per channel and more channels than gray.

    Raises:
        ImageError: OpenCV would read another size than Pillow did.
    """
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    if bits != 16 or colour == 0:
        return False
    if (width, height) != picture.size:
        raise ImageError(_DAMAGED)
    return True


def _is_deep_colour_tiff(picture: PIL.Image.Image) -> bool:
    """Tell whether this is a TIFF of three or four channels of 16 bits, RGB.

    Raises:
        ImageError: The channels lie in separate planes, which no reader here supports.
    """
    tags = picture.tag_v2  # type: ignore[attr-defined]
    if set(tags.get(_BITS, ())) != {16} or picture.mode not in ("RGB", "RGBA"):
        return False
    if tags.get(_PLANES, _TOGETHER) != _TOGETHER:
        raise ImageError(_SEPARATE_PLANES)
    return True


def _check_tiff(data: bytes, picture: PIL.Image.Image) -> None:
    """Refuse a TIFF that may be taken for a larger one, or whose tiles are larger than a picture."""
    names = [tag for tag, _ in _list_tags(data)]
    tags = picture.tag_v2  # type: ignore[attr-defined]
    tile = tags.get(_TILE_WIDTH, 1) * tags.get(_TILE_HEIGHT, 1)
    if tile > MAX_DEEP_PIXELS or len(set(names)) < len(names):
        raise ImageError(_DAMAGED)


def _list_tags(data: bytes) -> list[tuple[int, int]]:
    """List the tags of a TIFF's first picture, as they stand there, each with its number of values.

    Raises:
        ImageError: The file ends before.
    """
    order = "<" if data.startswith(b"II") else ">"
    is_big = 43 in data[2:4]  # BigTIFF
    try:
        (at,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)
        (count,) = struct.unpack_from(order + ("Q" if is_big else "H"), data, at)
        first, step = (at + 8, 20) if is_big else (at + 2, 12)
        end = min(first + step * count, len(data))
        entry = order + ("H2xQ" if is_big else "H2xI")
        return [struct.unpack_from(entry, data, place) for place in range(first, end, step)]
    except struct.error as error:
        raise ImageError(_NOT_A_PICTURE) from error


def _decode_with_opencv(data: bytes, picture: PIL.Image.Image, max_pixels: int) -> Pixels:
    if picture.width * picture.height > max_pixels:  # it takes twice the memory of the pixels
        raise ImageError(_TOO_MANY_DEEP_PIXELS.format(max_pixels // 1_000_000))
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(_DAMAGED) from error
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise ImageError(_DAMAGED)
    blue = pixels[:, :, 0].copy()  # BGR to RGB, without a second picture
    pixels[:, :, 0] = pixels[:, :, 2]
    pixels[:, :, 2] = blue
    return pixels


def _apply_alpha_kind(pixels: Pixels, kind: int | None) -> Pixels:
    """Bring a TIFF's fourth channel to what it means everywhere else."""
    if pixels.shape[2] == 3 or kind == _STRAIGHT_ALPHA or kind is None:
        return pixels
    if kind != _PREMULTIPLIED_ALPHA:
        return pixels[:, :, :3]
    alpha = pixels[:, :, 3:]
    return np.minimum(pixels[:, :, :3], alpha) + (65535 - alpha)  # over white


# Rows of pixels


def _from_ppm(data: bytes, picture: ImageFile) -> Picture:
    """Return the rows of a PPM or PGM of any levels, where Pillow takes long and keeps 8 bits."""
    _, _, offset, args = picture.tile[0]
    mode, levels = cast(tuple[str, int], args)
    shape = (*picture.size[::-1], 3) if mode == "RGB" else picture.size[::-1]
    kind = np.dtype(">u2" if levels > 255 else "u1")
    try:
        values = np.frombuffer(data, kind, math.prod(shape), offset).reshape(shape)
    except ValueError as error:
        raise ImageError(_DAMAGED) from error

    def rows(top: int, bottom: int) -> Pixels:
        band = values[top:bottom]
        if levels == np.iinfo(kind).max:
            return band.astype(kind.newbyteorder("="))
        return np.minimum(band.astype(np.float32) / np.float32(levels), np.float32(1))

    return Picture(*picture.size, rows, 1, _upright_size(picture.size, 1))


def _from_deep_colour(pixels: Pixels, data: bytes, picture: ImageFile, purpose: Purpose) -> Picture:
    # OpenCV turns a TIFF upright; for a PNG's EXIF data, Pillow would decode it once more.
    is_tiff = picture.format == "TIFF"
    has_exif = is_tiff or "exif" in picture.info or b"eXIf" in data
    orientation = _orientation(picture) if has_exif and not is_tiff else 1
    transform, profile = _find_colours(picture, purpose)
    decoded = _from_array(pixels, orientation, transform)
    exif = _find_exif(picture) if purpose.keeps_profile and has_exif else None
    return replace(decoded, icc_profile=profile, exif=exif)


def _from_array(
    pixels: Pixels, orientation: int = 1, transform: ColourTransform | None = None
) -> Picture:
    def rows(top: int, bottom: int) -> Pixels:
        band = pixels[top:bottom]
        if transform is None or band.ndim == 2:
            return band
        colours = np.asarray(transform(PIL.Image.fromarray(_to_8_bit(band[:, :, :3]))))
        return colours if band.shape[2] == 3 else _with_alpha(colours, _to_8_bit(band[:, :, 3]))

    height, width = pixels.shape[:2]
    return Picture(width, height, rows, orientation, _upright_size((width, height), orientation))


def _from_pil(picture: PIL.Image.Image, size: tuple[int, int], purpose: Purpose) -> Picture:
    """Return a loaded picture's rows.

    Args:
        picture: May be smaller than it was in its file.
        size: (width, height) of what is in the file, turned as the picture is.
        purpose: What it is read for.
    """
    transform, profile = _find_colours(picture, purpose)
    is_negative = _is_negative(picture)

    def rows(top: int, bottom: int) -> Pixels:
        band = picture.crop((0, top, picture.width, bottom))
        try:
            pixels = _pil_pixels(band, transform)
        except ImageError:
            raise
        except Exception as error:
            raise ImageError(_DAMAGED) from error
        return _highest(pixels) - pixels if is_negative else pixels

    orientation = _orientation(picture)
    exif = _find_exif(picture) if purpose.keeps_profile else None
    return Picture(*picture.size, rows, orientation, _upright_size(size, orientation), profile, exif)


def _is_negative(picture: PIL.Image.Image) -> bool:
    """Tell whether this is a TIFF that counts from white down, and Pillow leaves that to others."""
    tags = getattr(picture, "tag_v2", {})
    return _is_deep_gray(picture) and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _is_gray(picture: PIL.Image.Image) -> bool:
    return picture.mode in ("1", "L", "LA", "La") or _is_deep_gray(picture)


def _is_deep_gray(picture: PIL.Image.Image) -> bool:
    return picture.mode == "F" or picture.mode.startswith("I")


def _pil_pixels(picture: PIL.Image.Image, transform: ColourTransform | None) -> Pixels:
    """Return a PIL picture's pixels; of mode F unchanged, else checked to be what they should."""
    if _is_deep_gray(picture):
        return _deep_gray_pixels(picture, transform)
    is_clear = picture.has_transparency_data
    if transform is not None and not is_clear:
        return np.asarray(transform(picture))
    if transform is not None:
        both = picture.convert("RGBA")
        return _with_alpha(np.asarray(transform(both)), np.asarray(both)[:, :, 3])
    if _is_gray(picture):
        return np.asarray(picture.convert("LA" if is_clear else "L"))
    return np.asarray(picture.convert("RGBA" if is_clear else "RGB"))


def _deep_gray_pixels(picture: PIL.Image.Image, transform: ColourTransform | None) -> Pixels:
    if picture.mode == "F":
        return _check_range(np.asarray(picture), 1).astype(np.float32)
    # I;16, I;16B and I hold 16-bit gray; more, which fits in I, will be out of range.
    pixels = _check_range(np.asarray(picture).astype(np.int64), 65535).astype(np.uint16)
    clear = picture.info.get("transparency")
    gray = pixels
    if transform is not None:
        gray = np.asarray(transform(PIL.Image.fromarray(_to_8_bit(pixels))))
    return gray if clear is None else _with_alpha(gray, pixels != clear)


def _with_alpha(colours: Pixels, alpha: np.ndarray) -> Pixels:
    """Add a last channel, (H, W): of the same type, or which pixels are not transparent."""
    if alpha.dtype == bool:
        alpha = np.where(alpha, _highest(colours), 0).astype(colours.dtype)
    return np.dstack([colours, alpha])


def _highest(pixels: Pixels) -> int:
    return int(np.iinfo(pixels.dtype).max) if np.issubdtype(pixels.dtype, np.integer) else 1


def _to_8_bit(pixels: Pixels) -> npt.NDArray[np.uint8]:
    return np.rint(pixels * np.float32(255 / _highest(pixels))).astype(np.uint8)


def _check_pixels(pixels: np.ndarray) -> Pixels:
    """Return a caller's array as pixels, or refuse it."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ImageError("A picture's shape must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).")
    _check_pixel_count(pixels.shape[1], pixels.shape[0])
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    if np.issubdtype(pixels.dtype, np.floating):
        return _check_range(pixels, 1).astype(np.float32)
    # Wider whole numbers too: 0 to 255 in int64 may be meant as 8 or as 16 bits.
    raise ImageError("A picture's values must be uint8, uint16 or floats from 0 to 1.")


def _check_range(pixels: np.ndarray, highest: int) -> np.ndarray:
    # NaN and infinities fail these comparisons too.
    if not (pixels.min() >= 0 and pixels.max() <= highest):
        raise ImageError(f"The picture's values must lie between 0 and {highest}.")
    return pixels


def _orientation(picture: PIL.Image.Image) -> int:
    try:
        return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # broken EXIF data around a good picture: as if there were none
        return 1


def _upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return (height, width) of a picture of (width, height) once it is upright."""
    return size if orientation in (5, 6, 7, 8) else (size[1], size[0])


def _find_exif(picture: PIL.Image.Image) -> bytes | None:
    try:
        return shareable_exif(picture.getexif())
    except Exception:  # broken EXIF data around a good picture: as if there were none
        return None


# Colours


def _find_colours(
    picture: PIL.Image.Image, purpose: Purpose
) -> tuple[ColourTransform | None, bytes | None]:
    """Return what brings a picture to sRGB, or the profile in which it stays; at most one of them."""
    if purpose.keeps_profile and _fits_profile(picture):
        return None, picture.info["icc_profile"]
    return _find_transform(picture), None


def _fits_profile(picture: PIL.Image.Image) -> bool:
    """Tell whether a picture's profile describes gray where that is gray, and RGB where it is that."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        kind = profile.profile.xcolor_space.strip()
    except Exception:  # there is none, or it is broken
        return False
    is_rgb = not _is_gray(picture) and picture.mode not in ("CMYK", "LAB")
    return kind == "GRAY" if _is_gray(picture) else kind == "RGB" and is_rgb


def _find_transform(picture: PIL.Image.Image) -> ColourTransform | None:
    """Return what brings a picture to sRGB by its embedded ICC profile; None if it is that already.

    It takes a picture of any mode but 16-bit ones, and returns one of mode RGB.
    """
    profile_data = picture.info.get("icc_profile")
    if not profile_data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(profile_data))
        mode = _PROFILE_MODES[profile.profile.xcolor_space.strip()]
        if (mode == "CMYK") != (picture.mode == "CMYK") or (mode == "L" and not _is_gray(picture)):
            return None
        # Of a table of few points, the darkest levels of linear gray would come out far too dark.
        flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.HIGHRESPRECALC
        lookup = ImageCms.buildTransform(
            profile, ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags
        )
        levels = np.arange(256, dtype=np.uint8)[np.newaxis]

        def transform(band: PIL.Image.Image) -> PIL.Image.Image:
            band = band if band.mode == mode else band.convert(mode)
            if mode == "L":  # level by level
                table = np.asarray(ImageCms.applyTransform(PIL.Image.fromarray(levels), lookup))[0]
                return PIL.Image.fromarray(table[np.asarray(band)])
            return cast(PIL.Image.Image, ImageCms.applyTransform(band, lookup))  # None if in place

        return None if mode != "CMYK" and _changes_little(transform, mode == "L") else transform
    except Exception:  # a broken profile around a good picture: as if there were none
        return None


def _changes_little(transform: ColourTransform, gray_only: bool) -> bool:
    """Tell whether a transform leaves colours as they are, to an 8-bit level: an sRGB profile's."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    if gray_only:
        colours = np.repeat(levels[None, :, None], 3, axis=2)
    changed = np.asarray(transform(PIL.Image.fromarray(colours)))
    return int(np.abs(changed.astype(int) - colours).max()) <= 1
