"""What leaving near copies of test faces out of training changes in the test figures.

A network that has seen a test face in training may know it by heart, and its figures would be too good.
Networks trained before near copies were left out are compared with those trained since, once on the test
faces that have a copy among the training pictures and once on the others. What the older ones lose more
on the former than on the latter is what they knew by heart.

Run with ``git worktree add ../before 044e406`` and
``python -m tests.benchmarks.near_copies --data DIR --before ../before``: eight minutes of one core. The
figures are in ``near_copies.json``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from denoiser.faces.fer2013 import read_fer2013
from denoiser.weights.checkpoint import MODEL_NAME
from train.copies import find_copies
from train.files import file_hash

DENOISERS = ("attention-unet", "autoencoder", "residual-unet")
NOISE, SIGMA = "gaussian-25", 25 / 255

# Runs with the code of the checkout that the weights belong to, and with its public names only.
SCORE = f"""
import sys
import numpy as np
from denoiser import compare, create_noise
faces = np.load(sys.argv[1])
noise = create_noise("gaussian", sigma={SIGMA!r})
scores = [
    [result.psnr for result in compare(face, noise, row, sys.argv[3:]).values()]
    for row, face in zip(faces["rows"].tolist(), faces["images"].astype(np.float32) / 255)
]
np.save(sys.argv[2], scores)
"""


def score(checkout: Path, faces: Path) -> np.ndarray:
    """PSNR, (faces, denoisers), of a checkout's networks."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scores.npy"
        subprocess.run(
            [sys.executable, "-c", SCORE, str(faces), str(file), *DENOISERS], cwd=checkout, check=True
        )
        return np.load(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="FER2013")
    parser.add_argument("--before", type=Path, help="a checkout whose networks were trained with copies")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    train, test = (read_fer2013(arguments.data, split) for split in ("train", "test"))
    copied = find_copies(test.images, train.images)
    print(f"{copied.sum():,} of {len(copied):,} test faces have a copy among the training pictures")
    checkouts = {"now": Path.cwd()}
    if arguments.before:
        checkouts["before"] = arguments.before.resolve()
    with tempfile.TemporaryDirectory() as folder:
        faces = Path(folder) / "faces.npz"
        np.savez(faces, images=test.images, rows=np.asarray(test.rows))
        scores = {name: score(checkout, faces) for name, checkout in checkouts.items()}
    rows = []
    for column, denoiser in enumerate(DENOISERS):
        row: dict[str, object] = {"denoiser": denoiser, "noise": NOISE}
        for name, checkout in checkouts.items():
            mine = scores[name][:, column]
            row[name] = {
                "weights": file_hash(checkout / "weights" / denoiser / MODEL_NAME),
                "all": round(mine.mean(), 3),
                "copied": round(mine[copied].mean(), 3),
                "others": round(mine[~copied].mean(), 3),
            }
        if "before" in scores:
            gain = scores["now"][:, column] - scores["before"][:, column]
            row["lost more on copied faces"] = round(gain[~copied].mean() - gain[copied].mean(), 3)
            row["standard error"] = round(
                float(np.hypot(*(gain[part].std() / part.sum() ** 0.5 for part in (copied, ~copied)))), 3
            )
        print(json.dumps(row))
        rows.append(row)
    figures = {"test_faces": len(copied), "copied": int(copied.sum()), "rows": rows}
    arguments.output.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
