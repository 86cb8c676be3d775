"""What a comparison looks like as a file: a contact sheet, the pictures, the numbers."""

import csv
import io
import math
import zipfile
from collections.abc import Mapping

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from denoiser.analysis.results import NOISY_LABEL
from denoiser.denoisers.registry import create_denoiser
from denoiser.images import Image, to_png, to_uint8
from denoiser.pipeline import Comparison, DenoiseResult
from denoiser.ui.common.gain_labels import write_loss
from denoiser.weights.checkpoint import WeightsError

CSV_COLUMNS = (
    "id",
    "label",
    "psnr",
    "ssim",
    "gain",
    "milliseconds",
    "sigma",
    "sigma_source",
)
"""What :func:`numbers_csv` holds; psnr and gain in dB, sigma on the [0, 1] scale."""

_TILE = 192  # pixels: the side a picture is enlarged to, where a whole factor allows it
_GAP = 16  # pixels around everything
_COLUMNS = 4
_FONT_SIZE = 16  # pixels
_LINE = 20  # pixels from one line of text to the next
_CAPTION_LINES = 4
_TITLE_LENGTH = 200  # characters; a file's name may be much longer
_INK = (20, 20, 20)
_PAPER = (255, 255, 255)

# All zip files have this date: the real one would tell when a face was looked at.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def contact_sheet_png(
    comparison: Comparison, title: str, labels: Mapping[str, str] | None = None
) -> bytes:
    """Draw all pictures of a comparison on one sheet, with their scores.

    Pixels are enlarged, not smoothed. Noise, strength and seed stand below the title, so that the
    sheet can be made again.

    Args:
        comparison: What to show.
        title: First line, such as the face's name; may be empty, and is cut after 200 characters.
        labels: Names by id; see :func:`~denoiser.ui.compare.exports.method_labels`.

    Returns:
        An RGB PNG file without metadata.
    """
    names = method_labels(comparison, labels)
    corruption = comparison.corruption
    tiles = [(corruption.clean, ["Clean"])]
    tiles.append((corruption.noisy, _caption(comparison, comparison.noisy, names)))
    tiles.extend((r.image, _caption(comparison, r, names)) for r in comparison.values())

    font = ImageFont.load_default(_FONT_SIZE)
    height, width = corruption.clean.shape[:2]
    factor = max(1, _TILE // max(height, width))
    cell_width = max(_TILE, width * factor) + _GAP
    cell_height = height * factor + (_CAPTION_LINES + 1) * _LINE
    sheet_width = _GAP + min(_COLUMNS, len(tiles)) * cell_width
    seed_line = f"{corruption.noise.describe()}, seed {corruption.seed}"
    heading = [
        line
        for text in (title[:_TITLE_LENGTH], seed_line)
        for line in _wrapped(text, font, sheet_width - 2 * _GAP)
    ]
    top = _GAP + len(heading) * _LINE + _GAP
    rows = math.ceil(len(tiles) / _COLUMNS)

    sheet = PIL.Image.new("RGB", (sheet_width, top + rows * cell_height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_lines(draw, heading, _GAP, _GAP, font)
    for index, (image, caption) in enumerate(tiles):
        left = _GAP + index % _COLUMNS * cell_width
        upper = top + index // _COLUMNS * cell_height
        sheet.paste(_enlarged(image, factor), (left, upper))
        lines = [line for text in caption for line in _wrapped(text, font, cell_width - _GAP)]
        _draw_lines(draw, lines[:_CAPTION_LINES], left, upper + height * factor + 4, font)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def pictures_zip(comparison: Comparison, labels: Mapping[str, str] | None = None) -> bytes:
    """Pack the pictures as lossless 8-bit PNG files, and the numbers.

    Args:
        comparison: What to pack.
        labels: Names by id for the table; see :func:`~denoiser.ui.compare.exports.method_labels`.

    Returns:
        A zip file of ``clean.png``, ``noisy.png``, ``<denoiser id>.png`` and ``numbers.csv``.
    """
    corruption = comparison.corruption
    pictures = {"clean": corruption.clean, "noisy": corruption.noisy}
    pictures |= {method_id: result.image for method_id, result in comparison.items()}
    files = {f"{name}.png": to_png(image) for name, image in pictures.items()}
    files["numbers.csv"] = numbers_csv(comparison, labels).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return buffer.getvalue()


def numbers_csv(comparison: Comparison, labels: Mapping[str, str] | None = None) -> str:
    """Write the scores as CSV: a header, the noisy picture, then every method.

    Numbers have all their digits. Infinity is ``inf``; what does not exist (a sigma for a method
    that takes none) is empty.

    Args:
        comparison: What to write.
        labels: Names by id; see :func:`~denoiser.ui.compare.exports.method_labels`.
    """
    names = method_labels(comparison, labels)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for result in (comparison.noisy, *comparison.values()):
        writer.writerow(
            [
                result.id,
                names[result.id],
                _number(result.psnr),
                _number(result.ssim),
                _number(comparison.gain(result.id)),
                _number(result.milliseconds),
                _number(result.sigma.value),
                result.sigma.source,
            ]
        )
    return buffer.getvalue()


def _caption(comparison: Comparison, result: DenoiseResult, names: Mapping[str, str]) -> list[str]:
    lines = [names[result.id]]
    if result.psnr is not None and result.ssim is not None:
        lines.append(f"{result.psnr:.2f} dB, SSIM {result.ssim:.3f}")
    if result is not comparison.noisy and result.psnr is not None:
        value = comparison.gain(result.id)
        lines.append(write_loss(result.psnr) if value is None else f"{value:+.2f} dB gain")
    return lines


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))


def _enlarged(image: Image, factor: int) -> PIL.Image.Image:
    pixels = to_uint8(image).repeat(factor, axis=0).repeat(factor, axis=1)
    return PIL.Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Break a text into lines of at most ``width`` pixels, within words where there is no gap."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        while font.getlength(word) > width:
            fitting = 1
            while font.getlength(word[: fitting + 1]) <= width:
                fitting += 1
            lines.append(word[:fitting])
            word = word[fitting:]
        line = word
    return [*lines, line] if line else lines


def _draw_lines(
    draw: ImageDraw.ImageDraw,
    lines: list[str],
    left: int,
    top: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    for index, line in enumerate(lines):
        draw.text((left, top + index * _LINE), line, fill=_INK, font=font)


def method_labels(comparison: Comparison, labels: Mapping[str, str] | None = None) -> dict[str, str]:
    """Name the noisy picture and every method of a comparison for people.

    Args:
        comparison: What to name.
        labels: Names by id that go first; then the registry's names, then the bare id.

    Returns:
        Names by id, ``"noisy"`` first.
    """
    own_labels = labels or {}
    names = {"noisy": own_labels.get("noisy", NOISY_LABEL)}
    for method_id in comparison:
        names[method_id] = own_labels.get(method_id) or _registered_label(method_id)
    return names


def _registered_label(method_id: str) -> str:
    try:
        return create_denoiser(method_id).info.label
    except (ValueError, WeightsError):  # a denoiser of the caller's own has no registered name
        return method_id
