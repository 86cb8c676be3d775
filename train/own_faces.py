"""A folder of anybody's pictures as a data set: any kind, any size, gray or colour, split by chance."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lightning.pytorch.utilities import rank_zero_info

from denoiser.faces.fer2013 import FACE_SIZE, FaceDataError, FaceSet, Split, holds_fer2013
from denoiser.images import ImageError, load_image, to_uint8

_SUFFIX = re.compile(r"\.(avif|bmp|gif|hei[cf]|jpe?g|p[gnp]m|png|tiff?|webp)", re.IGNORECASE)
_HELD_OUT_SHARE = 0.1  # for validation, and as much for test
_FEWEST = 10  # pictures: one for each of the two
_NAMED = 3  # files that are left out; the others are only counted
_AT_ONCE = 4  # decoded; a large one takes 300 MB


def is_own_faces(path: Path) -> bool:
    """Tell whether a path is a folder of pictures that isn't FER2013 in one of its forms."""
    return path.is_dir() and not holds_fer2013(path) and next(_walk(path), None) is not None


def read_own_faces(
    folder: Path, size: int = FACE_SIZE, seed: int = 0, colour: bool = False
) -> dict[Split, FaceSet]:
    """Read a folder of pictures, and split them by chance: 80 % to train, 10 % each for the others.

    Pictures are decoded as the page does with uploads, turned gray unless wanted in colour, cropped to
    the centre square, and resized. Which split a picture is in follows from its pixels and the seed,
    whatever its name; those of the same pixels count once. What can't be read is left out, which one
    sentence says, and so is a link to a file outside of the folder.

    Args:
        folder: Pictures, also in subfolders; hidden ones and other files are passed over.
        size: Height and width to bring them to, in pixels.
        seed: Of the split.
        colour: Whether to keep their colours.

    Returns:
        uint8 (N, size, size), in colour (N, size, size, 3), for each split. A face's row, the seed of
        its noise, follows from its pixels as well.

    Raises:
        FaceDataError: There are too few pictures.
    """
    files = sorted(_walk(folder))
    root = folder.resolve()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        loaded = list(pool.map(lambda file: _load(file, root, size, colour), files))
    bad = [
        (file.relative_to(folder), why)
        for file, why in zip(files, loaded, strict=True)
        if isinstance(why, str)
    ]
    if bad:
        rank_zero_info(_left_out(bad))
    readable = [picture for picture in loaded if not isinstance(picture, str)]
    unique = list({picture.tobytes(): picture for picture in readable}.values())
    if len(unique) < _FEWEST:
        left_out = f" {_left_out(bad)}" if bad else ""
        raise FaceDataError(
            f"{folder} has {len(unique)} different pictures that can be read, too few to split: "
            f"{_FEWEST} are the fewest.{left_out}"
        )
    splits = split_by_content(unique, seed)
    counts = ", ".join(f"{len(pictures):,} {split}" for split, pictures in splits.items())
    same = len(readable) - len(unique)
    again = f"; repeated and left out: {same:,}" if same else ""
    rank_zero_info(f"{len(unique):,} pictures in {folder}: {counts}{again}")
    return {split: _face_set(pictures, split) for split, pictures in splits.items()}


def split_by_content(
    pictures: Sequence[npt.NDArray[np.uint8]], seed: int
) -> dict[Split, list[npt.NDArray[np.uint8]]]:
    """Split different pictures by chance; in whatever order they come, the split is the same.

    A picture that is added moves hardly any other into another split.
    """
    salt = str(seed).encode()
    order = sorted(pictures, key=lambda picture: hashlib.sha256(salt + picture.tobytes()).digest())
    held_out = max(1, round(_HELD_OUT_SHARE * len(order)))
    # From both ends: training gets what is between them.
    return {
        "train": order[held_out:-held_out],
        "validation": order[:held_out],
        "test": order[-held_out:],
    }


def _walk(folder: Path) -> Iterator[Path]:
    """List the files that are named as pictures, in no order; linked folders are not entered."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        for name in names:
            if not name.startswith(".") and _SUFFIX.fullmatch(Path(name).suffix):
                yield Path(place, name)


def _load(file: Path, root: Path, size: int, colour: bool) -> npt.NDArray[np.uint8] | str:
    """Load a picture, uint8 (size, size) or (size, size, 3), or say why it can't be used."""
    if file.is_symlink() and not file.resolve().is_relative_to(root):
        return "It is a link to outside of the folder."
    try:
        return to_uint8(load_image(file, size, gray=not colour))
    except ImageError as error:
        return str(error)


def _left_out(bad: Sequence[tuple[Path, str]]) -> str:
    """Say in a sentence how many files are left out, and why the first ones are."""
    # As Python writes it, so that whatever a file is called, it stays one line.
    named = "; ".join(f"{str(file)!r}: {why.rstrip('.')}" for file, why in bad[:_NAMED])
    more = f"; and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else ""
    return f"Left out, as they can't be used, are {len(bad):,} files ({named}{more})."


def _face_set(pictures: Sequence[npt.NDArray[np.uint8]], split: Split) -> FaceSet:
    rows = [
        int.from_bytes(hashlib.sha256(picture.tobytes()).digest()[:4], "big") for picture in pictures
    ]
    return FaceSet(
        images=np.stack(pictures),
        rows=np.array(rows, dtype=np.int64),
        emotions=("",) * len(pictures),
        split=split,
        source=f"own pictures, {split} split",
    )
