"""Near copies: found however they came about, and different faces are none."""

import cv2
import numpy as np
import pytest

from denoiser.faces.samples import bundled_faces
from train.copies import find_copies


@pytest.fixture(scope="module")
def faces():
    return bundled_faces().images


def moved(images, down, right):
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4)), mode="edge")
    return padded[:, 4 - down : 52 - down, 4 - right : 52 - right]


def compressed(images, quality):
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
    encoded = (cv2.imencode(".jpg", image, parameters)[1] for image in images)
    return np.stack([cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) for data in encoded])


def enlarged(images, size):
    start = (size - 48) // 2
    larger = np.stack([cv2.resize(image, (size, size)) for image in images])
    return larger[:, start : start + 48, start : start + 48]


def darkened(images):
    return (images * 0.5 + 20).astype(np.uint8)


COPIES = {
    "identical": lambda images: images,
    "one pixel another": lambda images: images ^ (np.arange(48 * 48).reshape(48, 48) == 700),
    "mirrored": lambda images: images[:, :, ::-1],
    "moved": lambda images: moved(images, 3, -2),
    "re-encoded": lambda images: compressed(images, 40),
    "enlarged": lambda images: enlarged(images, 52),
    "darkened": darkened,
    "all of it": lambda images: compressed(darkened(enlarged(moved(images, -2, 1), 50))[:, :, ::-1], 60),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_copies_are_found(faces, copy):
    assert find_copies(copy(faces), faces).all()


def test_different_faces_are_no_copies(faces):
    assert not find_copies(faces[:50], faces[50:]).any()


def test_the_order_does_not_matter(faces):
    """Half of the pictures are copies, and those are the ones found, in any order."""
    mixed = faces.copy()
    mixed[::2] = moved(faces[::2], 1, 2)
    order = np.random.default_rng(0).permutation(len(faces))
    found = find_copies(mixed[order], np.ascontiguousarray(faces[::2][::-1]))
    np.testing.assert_array_equal(found, order % 2 == 0)


@pytest.mark.parametrize("value", [0, 255])
def test_blank_pictures_are_compared_with_nothing(faces, value):
    """Nor are pictures of two neighbouring gray levels, which are blank but for rounding."""
    blank = np.full((2, 48, 48), value, np.uint8)
    blank[1, ::5] ^= 1
    assert not find_copies(blank, np.concatenate([blank, faces])).any()


@pytest.mark.parametrize(("some", "others"), [(0, 3), (3, 0), (0, 0)])
def test_no_pictures(faces, some, others):
    assert find_copies(faces[:some], faces[:others]).shape == (some,)
    assert not find_copies(faces[:some], faces[:others]).any()


def test_inputs_are_left_alone(faces):
    before = faces.copy()
    find_copies(faces, faces)
    np.testing.assert_array_equal(faces, before)
