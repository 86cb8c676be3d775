"""Reference C's experiment that failed: its autoencoder is to turn faces upright.

It is trained as :mod:`train.modules.supervised` trains it, but what it is given is not noisy: it is the
face, rotated by any angle up to 30 degrees. Run as ``python -m train.ablation.rotation --data PATH``.
"""

import argparse
import math
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from denoiser.metrics import psnr, ssim
from denoiser.noise import random_source
from train.colour_faces import read_colour_faces
from train.config import TrainConfig, read_config
from train.data import FaceData, channels_first
from train.files import write_json
from train.fit import run
from train.modules.supervised import SupervisedModule

LARGEST = 30.0
"""Degrees to which pictures are rotated, either way."""

TARGET = Path(__file__).parent / "studies" / "rotation.json"
"""Where the results are."""

_CONFIG = Path(__file__).parents[1] / "configs" / "autoencoder-colour.toml"
_SIZE = 48


def rotate(pictures: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """Rotate pictures about their middle; what comes in from outside repeats the border.

    Args:
        pictures: (B, C, H, W), square.
        degrees: (B,), clockwise as one looks at them.
    """
    angles = degrees * (math.pi / 180)
    cosines, sines, nothing = angles.cos(), angles.sin(), torch.zeros_like(angles)
    rows = torch.stack([cosines, sines, nothing], 1), torch.stack([-sines, cosines, nothing], 1)
    grid = F.affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


class RotatedFaces(FaceData):
    """Colour faces, whose validation pictures are rotated by fixed angles and not noisy."""

    def setup(self, stage: str) -> None:
        """As :meth:`FaceData.setup`."""
        super().setup(stage)
        self.validation_sets = [
            (rotate(clean, _angles(clean)), clean) for _, clean in self.validation_sets
        ]


class RotationModule(SupervisedModule):
    """Supervised training, of which the network is given rotated pictures."""

    def make_pair(self, batch: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn a batch of bytes into rotated and upright pictures, (B, C, H, W) each."""
        clean = self.make_clean(batch)
        generator, _ = self.sources
        drawn = torch.rand(len(clean), generator=generator, device=clean.device)
        return self.to_network(rotate(clean, (2 * drawn - 1) * LARGEST)), clean.to(self.device)


def experiment(data: Path, prepared: Path, runs: Path, epochs: int, **options: Any) -> dict[str, Any]:
    """Train the autoencoder on rotated faces and score it on the test split.

    Args:
        data: Folder of colour faces.
        prepared: The same ones to train on, or a file that :func:`~train.data.prepare_faces` wrote.
        runs: Folder for its run.
        epochs: How long.
        **options: Go to Lightning's ``Trainer``.

    Returns:
        What ``rotation.json`` holds.
    """
    config: TrainConfig = replace(read_config(_CONFIG), id="rotation", epochs=epochs, select="last")
    config = replace(config, validation=config.validation[:1])  # one set of pictures, rotated
    module = RotationModule(config)
    folder = runs / config.id
    faces = RotatedFaces(prepared, config)
    checkpoint = run(
        module,
        faces,
        folder,
        monitor="val_psnr",
        ema_decay=config.ema_decay,
        select=config.select,
        max_epochs=epochs,
        **options,
    )
    assert checkpoint is not None  # one process
    trained = RotationModule.load_from_checkpoint(
        checkpoint, map_location="cpu", weights_only=True, config=config
    )
    test = read_colour_faces(data, "test", _SIZE)
    clean = channels_first(test.images.astype(np.float32) / 255)
    degrees = _angles(clean)
    rotated = rotate(clean, degrees)
    with torch.inference_mode():
        upright = trained.network.eval()(rotated).clamp(0, 1)
        again = trained.network(clean).clamp(0, 1)
    return {
        "command": "python -m train.ablation.rotation --data PATH",
        "split": f"colour faces, test, {_SIZE}x{_SIZE}",
        "pictures": len(clean),
        "degrees": f"fixed, even from -{LARGEST:g} to {LARGEST:g}",
        "epochs": epochs,
        "parameters": sum(p.numel() for p in trained.network.parameters()),
        "scores": {
            "rotated": _scores(rotated, clean),
            "by the autoencoder": _scores(upright, clean),
            "rotated back by the known angle": _scores(rotate(rotated, -degrees), clean),
            "upright pictures, by the autoencoder": _scores(again, clean),
        },
    }


def _angles(pictures: torch.Tensor) -> torch.Tensor:
    """Return fixed angles for so many pictures, in degrees."""
    drawn = torch.rand(len(pictures), generator=random_source(torch.device("cpu"), 0))
    return (2 * drawn - 1) * LARGEST


def _scores(denoised: torch.Tensor, clean: torch.Tensor) -> Mapping[str, float]:
    pairs = [
        tuple(np.moveaxis(picture.numpy(), 0, 2).astype(np.float32).clip(0, 1) for picture in pair)
        for pair in zip(denoised, clean, strict=True)
    ]
    return {
        "psnr": round(statistics.fmean(psnr(*pair) for pair in pairs), 2),
        "ssim": round(statistics.fmean(ssim(*pair) for pair in pairs), 3),
    }


def main() -> None:
    """Run the experiment and write ``rotation.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of colour faces")
    parser.add_argument("--prepared", type=Path, help="the same ones, prepared")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=TARGET)
    parser.add_argument("--precision", default="32-true", help="as Lightning's Trainer takes it")
    args = parser.parse_args()
    found = experiment(
        args.data, args.prepared or args.data, args.runs, args.epochs, precision=args.precision
    )
    write_json(args.output, found)
    for name, scores in found["scores"].items():
        print(f"{name}: {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.3f}")


if __name__ == "__main__":
    main()
