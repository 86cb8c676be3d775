"""Small made-up data and configs with which training runs in seconds."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CONFIG: dict[str, Any] = {
    "id": "tiny",
    "label": "Tiny",
    "family": "network",
    "architecture": "attention-unet",
    "reference": "-",
    "settings": {"widths": [4, 8]},
    "epochs": 1,
    "batch_size": 8,
    "noise": [{"stages": [{"kind": "gaussian", "sigma": [0.1, 0.3]}]}],
    "validation": [{"kind": "gaussian", "sigma": 0.2}, {"kind": "gaussian-low"}],
}
EXPERTS = {
    "architecture": "expert-unet",
    "settings": {
        "widths": [4, 8],
        "encoder_blocks": [1, 1],
        "decoder_blocks": [1],
        "experts": ["rest", "faint"],
    },
    "noise": [
        {"stages": [{"kind": "gaussian", "sigma": [0.1, 0.3]}]},
        {"expert": "faint", "stages": [{"kind": "gaussian", "sigma": [0.0, 0.05]}]},
    ],
}
"""What a config of two experts says beside :func:`write_config`'s."""

ADVERSARIAL = {"adversarial": {"discriminator": {"width": 4}}, "family": "GAN", "select": "last"}


def pictures(count: int, seed: int) -> np.ndarray:
    """Spotted discs before gradients, no two of them near copies: uint8 (N, 48, 48)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:48, :48] / 47
    discs = []
    for _ in range(count):
        tilt, row, column, radius, light = rng.random(5)
        picture = 0.2 + 0.6 * (tilt * rows + (1 - tilt) * columns)
        inside = np.hypot(rows - row, columns - column) < 0.1 + 0.4 * radius
        spots = cv2.resize(rng.normal(0, 0.1, (12, 12)), (48, 48))
        discs.append(np.where(inside, light, picture) + spots)
    return (np.stack(discs).clip(0, 1) * 255).astype(np.uint8)


def write_fer2013(folder: Path, *, train: int = 64, validation: int = 8, test: int = 8) -> Path:
    """Write made-up pictures in FER2013's layout on the Hub; row numbers don't start from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"train": train, "validation": validation, "test": test}
    for seed, (split, count) in enumerate(counts.items()):
        encoded = [cv2.imencode(".png", picture)[1].tobytes() for picture in pictures(count, seed)]
        rows = [1000 * seed + 7 * index for index in range(count)]
        table = pa.table({"image": encoded, "row": rows})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    return folder


def write_config(path: Path, **changes: Any) -> Path:
    """Write CONFIG, with changes, as TOML; a change to None leaves the key out."""
    values = {k: v for k, v in (CONFIG | changes).items() if v is not None}
    path.write_text("".join(f"{k} = {_toml(v)}\n" for k, v in values.items()), encoding="utf-8")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
