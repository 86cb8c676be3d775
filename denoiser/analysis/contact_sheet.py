"""A comparison on one sheet: clean, noisy and every method, with scores and, if wanted, errors."""

import io
import math
from collections.abc import Mapping

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from denoiser.analysis.gain_labels import write_loss
from denoiser.analysis.results import NOISY_LABEL
from denoiser.denoisers.registry import create_denoiser
from denoiser.images import Image, to_uint8
from denoiser.pipeline import Comparison, DenoiseResult
from denoiser.weights.checkpoint import WeightsError

ERROR_GAIN = 4
"""How many times stronger errors are drawn than they are."""

_TILE = 192  # pixels: the side a picture is enlarged to, where a whole factor allows it
_GAP = 16  # pixels around everything
_COLUMNS = 4
_FONT_SIZE = 16  # pixels
_LINE = 20  # pixels from one line of text to the next
_CAPTION_LINES = 4
_TITLE_LENGTH = 200  # characters; a file's name may be much longer
_INK = (20, 20, 20)
_PAPER = (255, 255, 255)


def contact_sheet_png(
    comparison: Comparison,
    title: str,
    labels: Mapping[str, str] | None = None,
    *,
    errors: bool = False,
) -> bytes:
    """Draw all pictures of a comparison on one sheet, with their scores.

    Pixels are enlarged, not smoothed. Noise, strength and seed stand below the title, so that the
    sheet can be made again.

    Args:
        comparison: What to show.
        title: First line, such as the face's name; may be empty, and is cut after 200 characters.
        labels: Names by id; see :func:`method_labels`.
        errors: Also draw, below each picture, how far it is from the clean one, :data:`ERROR_GAIN`
            times as strong: black where there is no difference.

    Returns:
        An RGB PNG file without metadata.
    """
    names = method_labels(comparison, labels)
    corruption = comparison.corruption
    tiles = [(corruption.clean, ["Clean"])]
    tiles.append((corruption.noisy, _caption(comparison, comparison.noisy, names)))
    tiles.extend((r.image, _caption(comparison, r, names)) for r in comparison.values())

    below = f"Below each: its error, {ERROR_GAIN} times as strong" if errors else ""
    if errors:
        tiles = [(_above_error(image, corruption.clean), caption) for image, caption in tiles]

    font = ImageFont.load_default(_FONT_SIZE)
    factor = max(1, _TILE // max(corruption.clean.shape[:2]))
    height, width = tiles[0][0].shape[:2]
    cell_width = max(_TILE, width * factor) + _GAP
    cell_height = height * factor + (_CAPTION_LINES + 1) * _LINE
    sheet_width = _GAP + min(_COLUMNS, len(tiles)) * cell_width
    seed_line = f"{corruption.noise.describe()}, seed {corruption.seed}"
    heading = [
        line
        for text in (title[:_TITLE_LENGTH], seed_line, below)
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


def _caption(comparison: Comparison, result: DenoiseResult, names: Mapping[str, str]) -> list[str]:
    lines = [names[result.id]]
    if result.psnr is not None and result.ssim is not None:
        lines.append(f"{result.psnr:.2f} dB, SSIM {result.ssim:.3f}")
    if result is not comparison.noisy and result.psnr is not None:
        value = comparison.gain(result.id)
        lines.append(write_loss(result.psnr) if value is None else f"{value:+.2f} dB gain")
    return lines


def _above_error(image: Image, clean: Image) -> Image:
    return np.concatenate([image, ERROR_GAIN * np.abs(image - clean)])


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
