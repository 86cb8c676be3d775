"""What CBM3D, told the strength of the noise, scores on the colour faces of ``evaluate-colour``.

Its authors' code may not be shipped here, nor used but for research: ``pip install bm3d`` into an
environment of its own beside ``requirements.txt``. Run with
``python -m tests.benchmarks.cbm3d --data COLOUR_FACES``: a quarter of an hour. The figures are in
``cbm3d.json``. After training, ``--networks`` scores the networks alone, on the same pictures.

References:
    K. Dabov et al., "Color image denoising via sparse 3D collaborative filtering with grouping
    constraint in luminance-chrominance space", ICIP 2007, doi:10.1109/ICIP.2007.4378954.
"""

import argparse
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from denoiser.denoisers.registry import create_denoiser
from denoiser.metrics import colour_error, psnr
from train.colour_faces import read_colour_faces
from train.evaluation.score import corrupt_all, first_faces, weights_version
from train.evaluation.score_colour import CONDITIONS, SIZE

NOISES = ("gaussian-25", "gaussian-50")
PICTURES = 50  # it takes seconds for each
OURS = ("attention-unet", "attention-unet-colour", "residual-unet-colour", "autoencoder-colour")
RESULTS = Path(__file__).with_suffix(".json")


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of colour faces")
    parser.add_argument("--networks", action="store_true", help="keep CBM3D's figures")
    args = parser.parse_args()
    faces = first_faces(read_colour_faces(args.data, "test", SIZE), PICTURES)
    earlier = json.loads(RESULTS.read_text()) if args.networks else None
    figures = {}
    for name in NOISES:
        pictures = corrupt_all(faces, CONDITIONS[name])
        if earlier:
            own = earlier["figures"][name]["cbm3d"]
        else:
            own = _figures(_cbm3d(pictures.noisy, name), pictures.clean)
        ours = {method: list(map(create_denoiser(method), pictures.noisy)) for method in OURS}
        figures[name] = {"cbm3d": own} | {m: _figures(d, pictures.clean) for m, d in ours.items()}
    versions = (
        earlier["versions"]
        if earlier
        else {name: importlib.metadata.version(name) for name in ("bm3d", "bm4d", "numpy")}
    )
    weights = {method: weights_version(method) for method in OURS}
    content = {"pictures": len(faces), "size": SIZE, "versions": versions, "weights": weights}
    content["figures"] = figures
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


def _cbm3d(noisy: Sequence[np.ndarray], noise: str) -> list[np.ndarray]:
    from bm3d import bm3d_rgb  # no requirement: its licence allows research alone

    sigma = CONDITIONS[noise].sigma
    return [
        bm3d_rgb(picture.astype(np.float64), sigma).clip(0, 1) for picture in tqdm(noisy, desc=noise)
    ]


def _figures(denoised: Sequence[np.ndarray], clean: np.ndarray) -> dict[str, float]:
    pairs = list(zip(denoised, clean.astype(np.float64), strict=True))
    return {
        "psnr": round(float(np.mean([psnr(*pair) for pair in pairs])), 4),
        "colour_error": round(float(np.mean([colour_error(*pair) for pair in pairs])), 4),
    }


if __name__ == "__main__":
    main()
