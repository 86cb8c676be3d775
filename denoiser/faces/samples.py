"""Faces to choose from: FER2013's test split at hand, or those that ship with scikit-image."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from denoiser.faces.fer2013 import EMOTIONS, FACE_SIZE, FaceDataError, FaceSet, read_fer2013
from denoiser.images import (
    Image,
    from_uint8,
    load_image,
    load_photo,
    resize_square,
    to_gray,
    to_uint8,
)

Detail = npt.NDArray[np.uint8]
"""A face with all there is of it: (S, S) gray or (S, S, 3) in colour."""

MOST_DETAIL = 128
"""The largest side of a face's detail, in pixels."""

ASTRONAUT = "astronaut"
"""Id of the one sample face that has more than 48x48 gray pixels.

Of scikit-image's pictures, all free to pass on, it is the only person's face in colour.
"""

BUNDLED = "bundled"
"""The split that the faces of scikit-image count as."""

_LFW_FACES = 100


@dataclass(frozen=True)
class Sample:
    """One clean face to corrupt.

    Attributes:
        id: Stays the same from run to run, such as ``"fer2013-test-123"`` (with the face's row),
            ``"lfw-7"`` or ``"astronaut"``.
        label: Name for people.
        emotion: A word of :data:`EMOTIONS`, ``""`` where it is unknown.
        image: (48, 48) float32 in [0, 1].
        detail: What there is of it beyond that; see :func:`face_at`. None for most.
    """

    id: str
    label: str
    emotion: str
    image: Image
    detail: Detail | None = None


def face_at(image: Image, detail: Detail | None, size: int, colour: bool) -> Image:
    """Return a face at a size, in gray or in colour, as far as there is more of it.

    Args:
        image: The face at 48x48 in gray, which is returned where nothing more is asked for, or there.
        detail: The face with all there is of it.
        size: Of the result, in pixels.
        colour: Whether it is to be in colour, if it has any.

    Returns:
        float32 in [0, 1], (size, size) or (size, size, 3).
    """
    if detail is None or (size == FACE_SIZE and not (colour and detail.ndim == 3)):
        return image
    whole = from_uint8(detail)
    return resize_square(whole if colour or whole.ndim == 2 else to_gray(whole), size)


def bundled_faces() -> FaceSet:
    """Return the faces that ship with scikit-image, brought to 48x48.

    100 crops of Labeled Faces in the Wild (25x25, enlarged), and the face of astronaut Eileen
    Collins. Their emotions are unknown.
    """
    from skimage.data import astronaut, lfw_subset

    # lfw_subset is 100 faces followed by 100 pictures without one.
    faces = [load_image(face, size=FACE_SIZE) for face in lfw_subset()[:_LFW_FACES]]
    faces.append(load_image(astronaut(), size=FACE_SIZE, crop_face=True))
    return FaceSet(
        images=to_uint8(np.stack(faces)),
        rows=np.arange(len(faces)),
        emotions=("",) * len(faces),
        split=BUNDLED,
        source="Faces that ship with scikit-image: Labeled Faces in the Wild and the astronaut",
    )


@cache
def _astronaut_detail() -> Detail:
    from skimage.data import astronaut

    photo, _ = load_photo(astronaut())
    return photo.cut_detail(photo.square, MOST_DETAIL)


def load_samples(fer_path: Path | None) -> FaceSet:
    """Return the faces to choose from: FER2013's test split, or the bundled faces for None.

    Raises:
        FaceDataError: As for :func:`read_fer2013`.
    """
    return bundled_faces() if fer_path is None else read_fer2013(fer_path, "test")


def sample_emotions(faces: FaceSet) -> list[str]:
    """List the emotions that occur among the faces, in the order of :data:`EMOTIONS`."""
    present = set(faces.emotions)
    return [emotion for emotion in EMOTIONS if emotion in present]


def pick_samples(faces: FaceSet, emotion: str | None, seed: int, count: int) -> list[Sample]:
    """Pick faces at random: the same ones for the same arguments, none of them twice.

    Args:
        faces: What to pick from.
        emotion: One of :func:`sample_emotions`; None picks from all faces.
        seed: 0 or above.
        count: How many faces; fewer come back when there are not as many.

    Raises:
        FaceDataError: No face shows this emotion, or ``seed`` or ``count`` is negative.
    """
    if emotion is not None and emotion not in sample_emotions(faces):
        choices = ", ".join(sample_emotions(faces)) or "none"
        raise FaceDataError(f"No face shows this emotion; these can be chosen: {choices}.")
    if seed < 0 or count < 0:
        raise FaceDataError("seed and count must be whole numbers from 0 up.")
    indices = [i for i in range(len(faces)) if emotion in (None, faces.emotions[i])]
    picked = np.random.default_rng(seed).permutation(indices)[:count]
    return [_sample(faces, int(index)) for index in picked]


def get_sample(faces: FaceSet, sample_id: str) -> Sample:
    """Return the face with this id.

    Raises:
        FaceDataError: There is none.
    """
    for index, row in enumerate(faces.rows):
        if _sample_id(faces.split, int(row)) == sample_id:
            return _sample(faces, index)
    example = _sample_id(faces.split, int(faces.rows[0]))
    raise FaceDataError(f"There is no sample face with this id; an id looks like {example}.")


def _sample(faces: FaceSet, index: int) -> Sample:
    row = int(faces.rows[index])
    sample_id = _sample_id(faces.split, row)
    return Sample(
        id=sample_id,
        label=_sample_label(faces.split, row),
        emotion=faces.emotions[index],
        image=from_uint8(faces.images[index]),
        detail=_astronaut_detail() if sample_id == ASTRONAUT else None,
    )


def _sample_id(split: str, row: int) -> str:
    if split != BUNDLED:
        return f"fer2013-{split}-{row}"
    return f"lfw-{row}" if row < _LFW_FACES else ASTRONAUT


def _sample_label(split: str, row: int) -> str:
    if split != BUNDLED:
        return f"FER2013 {split}, row {row}"
    return f"LFW face {row}" if row < _LFW_FACES else "Astronaut Eileen Collins"
