"""Store what every shipped model makes of one made-up picture.

``python -m tests.golden.make [ID ...]``; no id means all models that are there.
"""

import sys
from pathlib import Path

import numpy as np

import denoiser
from denoiser.denoisers.registry import list_denoisers, model_of
from denoiser.weights.checkpoint import WEIGHTS

FOLDER = Path(__file__).parent


def golden_file(model_id: str) -> Path:
    """Say where a model's output is stored."""
    return FOLDER / f"{model_id}.npy"


def golden_input(colour: bool = False) -> np.ndarray:
    """Make the picture: a disc before a gradient, with seeded Gaussian noise; float32 (48, 48).

    In colour, (48, 48, 3), the disc is red and the gradient blue.
    """
    rows, columns = np.mgrid[:48, :48] / 47
    picture = 0.2 + 0.6 * (0.7 * rows + 0.3 * columns)
    picture[np.hypot(rows - 0.45, columns - 0.55) < 0.28] = 0.85
    if colour:
        picture = picture[..., None] * [0.5, 0.8, 1.0]
        picture[np.hypot(rows - 0.45, columns - 0.55) < 0.28] = [0.85, 0.3, 0.2]
    return denoiser.create_noise("gaussian", sigma=25 / 255)(picture.astype(np.float32), seed=2013)


def main(ids: list[str]) -> None:
    """Store the outputs of some models, of all that are there for an empty list."""
    listed = list_denoisers(colour=True)
    known = [m for m in listed if model_of(m) and (WEIGHTS / str(model_of(m))).is_dir()]
    for model_id in ids or known:
        model = denoiser.create_denoiser(model_id)
        output = model(golden_input(model.info.colour))
        np.save(golden_file(model_id), output.astype(np.float16))
        print(f"{golden_file(model_id)}: mean {output.mean():.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
