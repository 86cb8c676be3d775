"""FER2013's faces with FER+ votes: targets to train on, labels to score against.

References:
    E. Barsoum et al., "Training deep networks for facial expression recognition with crowd-sourced
    label distribution" (FER+), ICMI 2016, doi:10.1145/2993148.2993165; the rules for the labels are
    those of the code published with it (github.com/microsoft/FERPlus).
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from denoiser.analysis.emotion.classifier import CLASSES
from denoiser.faces.fer2013 import (
    EMOTIONS,
    FaceDataError,
    FaceSet,
    Split,
    find_parquets,
    read_fer2013,
)
from train.data import only_here

NO_LABEL = -1
"""Label of a picture that isn't counted."""

_VOTE_COLUMNS = tuple(f"votes_{emotion.replace(' ', '_')}" for emotion in EMOTIONS)


@dataclass(frozen=True)
class LabelledFaces:
    """Faces with their FER+ votes.

    Attributes:
        faces: The pictures.
        votes: (N, 10) int64, votes for each of ``EMOTIONS``.
    """

    faces: FaceSet
    votes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.faces)

    def select(self, chosen: npt.NDArray[np.bool_]) -> "LabelledFaces":
        """Return the faces where ``chosen``, bool (N,), is true."""
        faces = self.faces
        emotions = tuple(e for e, keep in zip(faces.emotions, chosen, strict=True) if keep)
        picked = replace(faces, images=faces.images[chosen], rows=faces.rows[chosen], emotions=emotions)
        return LabelledFaces(picked, self.votes[chosen])


def read_labelled(path: str | Path, split: Split) -> LabelledFaces:
    """Read a split with its votes.

    Raises:
        FaceDataError: It can't be read, or has no votes: Kaggle's csv and folders of pictures don't.
    """
    faces = read_fer2013(path, split)
    return LabelledFaces(faces, _read_votes(Path(path), split, len(faces)))


def majority_labels(votes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return FER+'s majority labels, (N,) indices into ``CLASSES``; :data:`NO_LABEL` for none.

    Single votes are dropped as outliers; the label is the class with more than half of the votes that
    are left, and there is none where no class has, or where it is "unknown" or "not a face".
    """
    counted = _without_outliers(votes)
    label = counted.argmax(axis=1)
    clear = 2 * counted.max(axis=1) > counted.sum(axis=1)
    return np.where(clear & (label < len(CLASSES)), label, NO_LABEL)


def plurality_labels(votes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the classes with most votes, the first on a tie: (N,), :data:`NO_LABEL` for no emotion.

    The emotion that the app shows with a sample; more pictures have one, and are harder.
    """
    label = votes.argmax(axis=1)
    return np.where(label < len(CLASSES), label, NO_LABEL)


def vote_distribution(votes: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return what to train on: the share of each of ``CLASSES`` in the votes for them, (N, 8).

    Single votes are dropped as outliers, unless there are no others.
    """
    kept, all_votes = (v[:, : len(CLASSES)] for v in (_without_outliers(votes), votes))
    kept = np.where(kept.any(axis=1, keepdims=True), kept, all_votes)
    return (kept / kept.sum(axis=1, keepdims=True)).astype(np.float32)


def augment_faces(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror, turn (up to 12 degrees), move (4 pixels) and enlarge (12 %) faces; hide parts of some.

    Args:
        batch: (B, 1, H, W) in [0, 1].
        generator: Random source on the batch's device.

    Returns:
        (B, 1, H, W) in [0, 1]; a third of the faces with a rectangle of their mean gray.
    """
    count, _, height, width = batch.shape
    drawn = torch.rand(count, 10, generator=generator, device=batch.device)
    signed = 2 * drawn - 1
    angle = math.radians(12) * signed[:, 0]
    zoom = 1 + 0.12 * signed[:, 1]
    mirror = torch.where(drawn[:, 2] < 0.5, -1.0, 1.0)
    # In coordinates from -1 to 1: a shift of 4 of 48 pixels is 8 / 48.
    shift = signed[:, 3:5] * 8 / 48
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    first = torch.stack([mirror * cosine, -sine, shift[:, 0]], dim=1)
    second = torch.stack([mirror * sine, cosine, shift[:, 1]], dim=1)
    grid = F.affine_grid(torch.stack([first, second], dim=1), list(batch.shape), align_corners=False)
    moved = F.grid_sample(batch, grid, mode="bicubic", padding_mode="border", align_corners=False)
    rows = torch.arange(height, device=batch.device)[None, :, None] / height
    columns = torch.arange(width, device=batch.device)[None, None, :] / width
    top, left = drawn[:, 5, None, None], drawn[:, 6, None, None]
    # From an eighth to three eighths of a side, so at most a seventh of the picture.
    tall, wide = (0.125 + 0.25 * drawn[:, n, None, None] for n in (7, 8))
    hidden = (rows >= top - tall / 2) & (rows < top + tall / 2)
    hidden = hidden & (columns >= left - wide / 2) & (columns < left + wide / 2)
    hidden = hidden & (drawn[:, 9, None, None] < 1 / 3)
    gray = moved.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(hidden[:, None], gray, moved).clamp(0, 1)


class EmotionData(pl.LightningDataModule):
    """Training faces with their vote distributions; validation faces with their majority labels.

    Training takes faces whose most frequent vote is an emotion, and none that occurs in validation or
    test.

    Args:
        path: Where FER2013 is, with votes.
        batch_size: Pictures per step and process.
        seed: Of the order of the pictures.
        limit: Use only this many training pictures; 0 for all.
    """

    def __init__(self, path: str | Path, batch_size: int, seed: int, limit: int = 0):
        super().__init__()
        self.path = path
        self.batch_size = batch_size
        self.seed = seed
        self.limit = limit

    def setup(self, stage: str) -> None:
        """Read the pictures and votes.

        Raises:
            FaceDataError: They can't be read, or there are too few.
        """
        if hasattr(self, "train_set"):
            return
        train, validation = (read_labelled(self.path, split) for split in ("train", "validation"))
        test = read_fer2013(self.path, "test")
        usable = only_here(train.faces, validation.faces, test)
        train = train.select(usable & (plurality_labels(train.votes) != NO_LABEL))
        count = min(self.limit or len(train), len(train))
        if count < self.batch_size:
            raise FaceDataError(
                f"{count} pictures are left to train on, too few for one batch of {self.batch_size}"
            )
        self.train_set = TensorDataset(
            torch.from_numpy(train.faces.images[:count])[:, None],
            torch.from_numpy(vote_distribution(train.votes[:count])),
        )
        labels = majority_labels(validation.votes)
        counted = labels != NO_LABEL
        if not counted.any():
            raise FaceDataError("No validation picture has a FER+ majority")
        self.validation_set = TensorDataset(
            torch.from_numpy(validation.faces.images[counted])[:, None],
            torch.from_numpy(labels[counted]),
        )

    def train_dataloader(self) -> DataLoader:
        """Batches of uint8 (B, 1, 48, 48) and (B, 8), in an order of its own for every epoch."""
        sampler: DistributedSampler = DistributedSampler(
            self.train_set, num_replicas=1, rank=0, seed=self.seed
        )
        return DataLoader(self.train_set, self.batch_size, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Batches of uint8 (B, 1, 48, 48) and labels (B,)."""
        return DataLoader(self.validation_set, batch_size=256)


def _without_outliers(votes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.where(votes > 1, votes, 0)


def _read_votes(path: Path, split: Split, count: int) -> npt.NDArray[np.int64]:
    """Read the vote columns of a split's parquets, in the order in which ``read_fer2013`` reads them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = find_parquets(path, split)
    try:
        tables = []
        for file in files:
            with file.open("rb") as stream:
                tables.append(pq.ParquetFile(stream).read(columns=list(_VOTE_COLUMNS)))
        table = pa.concat_tables(tables)
        columns = [table[name].cast("int64").fill_null(0).to_numpy() for name in _VOTE_COLUMNS]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise _no_votes(split) from error
    votes = np.stack(columns, axis=1)
    if len(votes) != count:
        raise _no_votes(split)
    return votes


def _no_votes(split: Split) -> FaceDataError:
    return FaceDataError(
        f"The {split} split has no FER+ votes: the emotion classifier needs FER2013 as parquet files "
        f"with the columns {_VOTE_COLUMNS[0]} to {_VOTE_COLUMNS[-1]}"
    )
