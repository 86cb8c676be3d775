"""Sheets of sample faces, clean, noisy and as they are denoised now, while a network trains."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageDraw
import torch
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from train.config import TrainConfig, noise_name

SAMPLES_NAME = "samples.png"
"""In a run's folder: the sheets of its latest validation."""

FACES = 8
"""Faces on a sheet: the first ones of the validation split."""

_GAP = 2  # pixels between faces
_CAPTION = 14  # pixels, height of a line with the noise's name
_PAPER, _INK = 255, 0

Sheet = npt.NDArray[np.uint8]
"""Gray or RGB pixels, (H, W) or (H, W, 3)."""


class SampleSheets(pl.Callback):
    """After each validation, show some faces to every logger that takes pictures, and in a file.

    The denoised pictures are those that the validation made anyway, by the weights that it judges, so a
    sheet costs no run of the network.

    Args:
        config: The training run; it names the validation noises.
        folder: The run's; its ``samples.png`` has the latest sheets.
    """

    def __init__(self, config: TrainConfig, folder: Path):
        self.names = [noise_name(noise) for noise in config.validation]
        self.folder = folder
        self._shown: dict[str, torch.Tensor] = {}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: list[torch.Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first faces of each noise: every validation begins with the same ones."""
        if batch_idx == 0 and trainer.is_global_zero:
            noisy, clean = batch
            rows = [part[:FACES].detach().float() for part in (clean, noisy, outputs)]
            # On their device until the validation is over: a copy now would wait for the network.
            self._shown[self.names[dataloader_idx]] = torch.stack(rows)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hand the sheets to the loggers, and write them into the run's folder."""
        shown, self._shown = self._shown, {}
        if not shown or trainer.sanity_checking:
            return
        sheets = {name: make_sheet(faces) for name, faces in shown.items()}
        step = trainer.fit_loop.total_batch_idx  # as Lightning counts for the figures of a validation
        for logger in trainer.loggers:
            for name, sheet in sheets.items():
                if isinstance(logger, TensorBoardLogger):
                    layout = "HWC" if sheet.ndim == 3 else "HW"
                    logger.experiment.add_image(f"samples/{name}", sheet, step, dataformats=layout)
                elif isinstance(logger, WandbLogger):
                    picture = PIL.Image.fromarray(sheet)
                    logger.log_image(f"samples/{name}", [picture], step, caption=[_ROWS])
        write_sheets(self.folder / SAMPLES_NAME, sheets)


_ROWS = "clean, noisy, denoised"


def make_sheet(faces: torch.Tensor) -> Sheet:
    """Lay faces out: a row for each version, a column for each face.

    Args:
        faces: (versions, N, C, H, W), C 1 or 3; what lies outside [0, 1] is clipped.

    Returns:
        Gray or RGB pixels, with a gap between faces.
    """
    pixels = (faces.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    gaps = ((0, 0), (0, 0), (0, 0), (0, _GAP), (0, _GAP))
    spaced = np.pad(pixels, gaps, constant_values=_PAPER)
    versions, count, channels, height, width = spaced.shape
    sheet = spaced.transpose(0, 3, 1, 4, 2).reshape(versions * height, count * width, channels)
    return np.squeeze(sheet[:-_GAP, :-_GAP], axis=2) if channels == 1 else sheet[:-_GAP, :-_GAP]


def write_sheets(path: Path, sheets: Mapping[str, Sheet]) -> None:
    """Write sheets one below the other, each under its name, as one PNG."""
    blocks = [(name, sheet.shape[0] + _CAPTION + _GAP) for name, sheet in sheets.items()]
    tops = itertools.accumulate((height for _, height in blocks), initial=0)
    size = max(sheet.shape[1] for sheet in sheets.values()), sum(height for _, height in blocks)
    mode = "L" if all(sheet.ndim == 2 for sheet in sheets.values()) else "RGB"
    page = PIL.Image.new(mode, size, (_PAPER,) * len(mode))
    draw = PIL.ImageDraw.Draw(page)
    for (name, sheet), top in zip(sheets.items(), tops, strict=False):
        draw.text((1, top), f"{name}: {_ROWS}", fill=(_INK,) * len(mode))
        page.paste(PIL.Image.fromarray(sheet), (0, top + _CAPTION))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")  # whoever looks at it sees a whole picture
    page.save(partial, format="PNG", compress_level=1)
    partial.replace(path)
