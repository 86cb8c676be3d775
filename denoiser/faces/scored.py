"""The faces that denoisers are scored on."""

from pathlib import Path

import numpy as np

from denoiser.faces.download import cached_fer2013, find_dataset
from denoiser.faces.fer2013 import (
    FACE_SIZE,
    FaceDataError,
    FaceSet,
    find_fer2013,
    holds_fer2013,
    read_fer2013,
)
from denoiser.faces.samples import BUNDLED, bundled_faces
from denoiser.images import ImageError, load_image, to_uint8
from denoiser.images.loading import is_picture


def find_test_faces(source: str | Path | None = None) -> FaceSet:
    """Return faces to score on; nothing is asked of the Hub.

    Args:
        source: ``"bundled"``; or where FER2013 lies, whose test split it is then; or a folder of
            pictures, whose faces are cut out and turned gray, unless they have 48x48 pixels. None for
            FER2013 where it is at hand
            (:func:`~denoiser.faces.fer2013.find_fer2013`, or in the Hub's cache), else the bundled ones.

    Returns:
        The faces, 48x48. The row of one from a folder is its place by name, from 0.

    Raises:
        FaceDataError: There are no faces, or they can't be read.
    """
    if source is None:
        path = find_fer2013() or _cached()
        return bundled_faces() if path is None else read_fer2013(path, "test")
    if source == BUNDLED:
        return bundled_faces()
    try:
        if holds_fer2013(source):
            return read_fer2013(source, "test")
        files = sorted(filter(is_picture, Path(source).iterdir()))
    except OSError as error:
        raise FaceDataError(f"The faces in {source} can't be read: {error.strerror}.") from error
    return _read_folder(files, Path(source))


def _cached() -> Path | None:
    dataset = find_dataset()
    return None if dataset is None else cached_fer2013(dataset, ["test"])


def _read_folder(files: list[Path], folder: Path) -> FaceSet:
    if not files:
        raise FaceDataError(f"There is no picture in the folder {folder}.")
    faces = []
    for file in files:
        try:
            picture = load_image(file)
            is_face = picture.shape == (FACE_SIZE, FACE_SIZE)
            faces.append(picture if is_face else load_image(picture, FACE_SIZE, crop_face=True))
        except ImageError as error:
            raise FaceDataError(f"{file.name}: {error}") from error
    return FaceSet(
        images=to_uint8(np.stack(faces)),
        rows=np.arange(len(faces)),
        emotions=("",) * len(faces),
        split="folder",
        source=f"The faces of the pictures in {folder.name}",
    )
