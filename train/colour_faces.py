"""Faces in colour: a folder of parquet files in the Hub's layout, with pictures of any size.

They are other people's pictures: they are read from where they lie and never written anywhere.
"""

import hashlib
import io
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

from denoiser.faces.fer2013 import FaceDataError, FaceSet, Split

COLOUR_FACES = "colour faces"
"""What results call them."""

CROPS = 4
"""Training pictures of one photograph: the whole face, and parts of it at other scales."""

_COLUMNS = {"image", "width", "height", "source"}


def is_colour_faces(path: Path) -> bool:
    """Tell whether a folder holds colour faces, by the columns of its training file."""
    file = next(iter(_files(path, "train")), None)
    try:
        return file is not None and set(pq.read_schema(file).names) >= _COLUMNS
    except (pa.ArrowInvalid, OSError):
        return False


def read_colour_faces(
    path: Path, split: Split, size: int, crops: int = 1, gray: bool = False, least: int = 0
) -> FaceSet:
    """Read the photographs of a split that have a square of ``size`` pixels, or of ``least``.

    Args:
        path: The folder.
        split: Which part.
        size: Height and width to bring them to, in pixels: the area's average.
        crops: Pictures of each photograph, which follow each other: the whole one first, then squares of
            ``size`` pixels cut out of it at a random place and scale, from its own to the whole one's.
            What is drawn follows from the photograph's pixels.
        gray: Whether to turn them gray, by the luma of :data:`denoiser.images.LUMA`.
        least: How wide they have to be where that is more than ``size``.

    Returns:
        uint8 (N * crops, size, size, 3), in gray (N * crops, size, size). A picture's row, the seed of
        its noise, is the photograph's place in the file.

    Raises:
        FaceDataError: The split is missing or damaged, or has no photograph so large.
    """
    photographs = _read(path, split)
    least = max(size, least)
    large = [(row, photo) for row, photo in enumerate(photographs) if min(photo.shape[:2]) >= least]
    if not large:
        raise FaceDataError(f"No photograph of {path} is {least} pixels wide")
    images = [picture for _, photo in large for picture in _cut(photo, size, crops)]
    pictures = np.stack([_gray(image) for image in images] if gray else images)
    remark = f"{len(large):,} of {len(photographs):,} photographs, those at least {least} pixels wide"
    return FaceSet(
        pictures,
        np.repeat(np.array([row for row, _ in large], dtype=np.int64), crops),
        ("",) * len(images),
        split,
        f"{COLOUR_FACES}, {split} split",
        remark if len(large) < len(photographs) else "",
    )


def _cut(photo: npt.NDArray[np.uint8], size: int, crops: int) -> list[npt.NDArray[np.uint8]]:
    """Return the whole of a photograph and parts of it, (size, size, 3) each."""
    side = min(photo.shape[:2])
    digest = hashlib.sha256(photo.tobytes()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    pictures = [_shrink(photo, size)]
    for _ in range(crops - 1):
        scaled = _shrink(photo, random.integers(size, side + 1))
        top, left = (random.integers(0, length - size + 1) for length in scaled.shape[:2])
        pictures.append(scaled[top : top + size, left : left + size])
    return pictures


def _shrink(photo: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Bring a photograph's centre square to ``side`` pixels."""
    shorter = min(photo.shape[:2])
    top, left = ((length - shorter) // 2 for length in photo.shape[:2])
    square = photo[top : top + shorter, left : left + shorter]
    if shorter == side:
        return square
    resized = cv2.resize(square, (int(side), int(side)), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)


def _gray(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


def _read(path: Path, split: Split) -> list[npt.NDArray[np.uint8]]:
    files = _files(path, split)
    if not files:
        raise FaceDataError(f"{path} has no parquet file of the {split} split")
    try:
        columns = [pq.read_table(file, columns=["image"])["image"].to_pylist() for file in files]
        return [_decode(image) for images in columns for image in images]
    except (pa.ArrowInvalid, OSError, LookupError, TypeError):
        raise FaceDataError(f"The {split} split in {path} can't be read") from None


def _decode(data: bytes) -> npt.NDArray[np.uint8]:
    with PIL.Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def _files(path: Path, split: Split) -> list[Path]:
    return sorted(file for folder in (path, path / "data") for file in folder.glob(f"{split}-*.parquet"))
