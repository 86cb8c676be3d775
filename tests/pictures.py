"""Pictures and files of them that no library makes for us, for tests and benchmarks."""

import struct
import zlib

import cv2
import numpy as np
from PIL import ImageCms
from skimage.data import astronaut


def two_faces() -> np.ndarray:
    """Return a picture of two faces, the smaller one left of column 200; (260, 460, 3) uint8."""
    large = astronaut()[:260, 100:360]
    pixels = np.zeros((260, 460, 3), np.uint8)
    pixels[30:230, :200] = cv2.resize(large, (200, 200), interpolation=cv2.INTER_AREA)
    pixels[:, 200:] = large
    return pixels


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def write_png(pixels: np.ndarray, *more: bytes) -> bytes:
    """Write gray or RGB, uint8 or uint16, with more chunks before the pixels."""
    height, width = pixels.shape[:2]
    bits, colour = 8 * pixels.itemsize, 2 if pixels.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    chunks = [png_chunk(b"IHDR", header), *more, png_chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + png_chunk(b"IEND", b"")


def png_profile(profile: bytes) -> bytes:
    """Return a PNG's chunk with an ICC profile."""
    return png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))


def write_tiff(
    width: int,
    height: int,
    body: bytes,
    tags: dict[int, list[int]],
    *,
    order: str = "<",
    repeated: tuple[tuple[int, int], ...] = (),
) -> bytes:
    """Write a TIFF of one directory, which stands behind its pixels, at byte 8.

    Args:
        width: In pixels.
        height: In pixels.
        body: The pixels.
        tags: Their values; those of strips have a default.
        order: ``"<"`` or ``">"``.
        repeated: Tags and values that come a second time.
    """
    defaults = {256: [width], 257: [height], 259: [1], 273: [8], 278: [height], 279: [len(body)]}
    tags = {**({} if 322 in tags else defaults), **{256: [width], 257: [height]}, **tags}
    entries = sorted([*tags.items(), *((tag, [value]) for tag, value in repeated)], key=lambda e: e[0])
    at = 8 + len(body)
    behind = at + 2 + 12 * len(entries) + 4
    directory, rest = struct.pack(f"{order}H", len(entries)), b""
    for tag, values in entries:
        packed = struct.pack(f"{order}{len(values)}I", *values)
        place = packed
        if len(values) > 1:
            place = struct.pack(f"{order}I", behind + len(rest))
            rest += packed
        directory += struct.pack(f"{order}HHI", tag, 4, len(values)) + place
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    return start + body + directory + bytes(4) + rest


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """Return sRGB's profile with red and blue in each other's place."""
    profile = srgb_profile().replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ")
    return profile.replace(b"----", b"bXYZ")


def linear_gray_profile() -> bytes:
    """Return an ICC profile of gray that is proportional to light."""
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv" + bytes(8)  # of no points: linear
    start = 128 + 4 + 2 * 12
    table = struct.pack(">I", 2) + b"wtpt" + struct.pack(">II", start, len(white))
    table += b"kTRC" + struct.pack(">II", start + len(white), len(curve))
    size = start + len(white) + len(curve)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + white + curve
