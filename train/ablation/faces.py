"""What variants make of faces, as a picture: one row for each variant, one column for each face.

The faces are those that ship with scikit-image, as FER2013's may not be passed on.
"""

import io
from collections.abc import Mapping

import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch
from skimage.data import astronaut

from denoiser.denoisers.base import Denoiser
from denoiser.faces.fer2013 import FACE_SIZE
from denoiser.faces.samples import bundled_faces
from denoiser.images import Image, from_uint8, load_image
from denoiser.noise import NoiseModel
from train.samples import Sheet, make_sheet

FACES = (100, 3, 12, 25, 40, 61)
"""Rows among the bundled faces: the astronaut, who is sharp, and some enlarged ones."""

_SCALE = 2  # pixels of the picture for one of a face
_CAPTION = 14  # pixels, height of a line of words
_MARGIN = 4  # pixels, beside words
_PAPER = 255

Corrupted = tuple[str, Image, Image]
"""A column: the noise's name, a clean face and the noisy one."""


def draw_faces(
    methods: Mapping[str, Denoiser],
    noises: Mapping[str, NoiseModel],
    colour: bool = False,
    size: int = FACE_SIZE,
) -> bytes:
    """Draw faces clean, noisy, and denoised by every variant, as a PNG.

    Args:
        methods: The variants' denoisers by name.
        noises: The noises scored on, by name; each has equally many faces of its own.
        colour: Whether to take faces in colour.
        size: Height and width of those, in pixels.
    """
    columns = corrupt_faces(noises, colour, size)
    rows = {
        "clean": [clean for _, clean, _ in columns],
        "noisy": [noisy for _, _, noisy in columns],
        **{name: [method(noisy) for _, _, noisy in columns] for name, method in methods.items()},
    }
    pictures = np.stack([np.stack(faces) for faces in rows.values()])
    pictures = np.moveaxis(pictures, 4, 2) if colour else pictures[:, :, None]
    sheet = make_sheet(torch.from_numpy(np.ascontiguousarray(pictures)))
    return _to_png(_label(sheet, list(rows), [name for name, _, _ in columns]))


def corrupt_faces(
    noises: Mapping[str, NoiseModel], colour: bool = False, size: int = FACE_SIZE
) -> list[Corrupted]:
    """Give each noise its share of the faces, each corrupted with its row as the seed.

    In colour there is one face, the astronaut's, whose noise is drawn anew in each column.
    """
    images = bundled_faces().images
    in_colour = load_image(astronaut(), size, crop_face=True, gray=False)
    share = max(1, len(FACES) // len(noises))
    names = [name for name in noises for _ in range(share)]
    columns = []
    for index, name in enumerate(names):
        row = FACES[index % len(FACES)]
        clean = in_colour if colour else from_uint8(images[row])
        columns.append((name, clean, noises[name](clean, row)))
    return columns


def _label(sheet: Sheet, rows: list[str], columns: list[str]) -> PIL.Image.Image:
    """Enlarge a sheet, and write each row's name at its left and each noise's above its first column."""
    large = PIL.Image.fromarray(sheet.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1))
    draw = PIL.ImageDraw.Draw(large)
    left = 2 * _MARGIN + int(max(draw.textlength(name) for name in rows))
    size = left + large.width, _CAPTION + large.height
    page = PIL.Image.new(large.mode, size, (_PAPER,) * len(large.getbands()))
    page.paste(large, (left, _CAPTION))
    draw = PIL.ImageDraw.Draw(page)
    for index, name in enumerate(rows):
        middle = _CAPTION + (index + 0.5) * large.height / len(rows)
        draw.text((_MARGIN, middle), name, fill="black", anchor="lm")
    width = large.width / len(columns)
    for index, name in enumerate(columns):
        if name not in columns[:index]:
            room = columns.count(name) * width - _MARGIN
            draw.text((left + index * width, 1), _shorten(draw, name, room), fill="black")
    return page


def _shorten(draw: PIL.ImageDraw.ImageDraw, name: str, room: float) -> str:
    """Cut a name off where its column ends: a chain of noises has a long one."""
    if draw.textlength(name) <= room:
        return name
    return next(
        (
            cut
            for length in range(len(name), 0, -1)
            if draw.textlength(cut := f"{name[:length]}...") <= room
        ),
        "",
    )


def _to_png(page: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    # 64 gray levels, which no eye tells from 256, take a third fewer bytes in the repository.
    page.point(lambda level: (level >> 2) * 255 // 63).save(file, format="PNG", optimize=True)
    return file.getvalue()
