"""Faces for training: pictures in memory as bytes, copies of the test pictures left out."""

import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import cv2
import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler

from denoiser.faces.fer2013 import FACE_SIZE, FaceDataError, FaceSet, Split, read_fer2013
from denoiser.images import from_uint8
from train.colour_faces import COLOUR_FACES, CROPS, is_colour_faces, read_colour_faces
from train.config import TrainConfig, sees_colour, validation_noise
from train.copies import find_copies
from train.own_faces import is_own_faces, read_own_faces

PREPARED = ".npz"
"""Ending of a file of prepared pictures."""

_VALIDATION_PIXELS = 200 * FACE_SIZE**2  # in a batch: 200 faces of FER2013, fewer larger ones
_ORIGINAL_NAMES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}


def without_copies(train: FaceSet, *held_out: FaceSet) -> np.ndarray:
    """Return the training pictures of which no held-out split has a copy, nor of another of their row.

    Returns:
        uint8 (N, H, W), in colour (N, H, W, 3).
    """
    kept = only_here(train, *held_out)
    return train.images[kept & ~np.isin(train.rows, train.rows[~kept])]


def only_here(train: FaceSet, *held_out: FaceSet) -> np.ndarray:
    """Tell, bool (N,), which training pictures are no copies of a held-out one.

    FER2013 repeats itself: 288 test and 279 validation pictures are pixel-identical to training ones,
    and more are near copies (:mod:`train.copies`).
    """
    pictures = np.concatenate([train.images[:0], *(faces.images for faces in held_out)])
    held_out_bytes = {picture.tobytes() for picture in pictures}
    # Blank pictures have nothing to be compared by, but may be identical.
    identical = np.array([picture.tobytes() in held_out_bytes for picture in train.images], dtype=bool)
    return ~(identical | find_copies(_as_in_fer2013(train.images), _as_in_fer2013(pictures)))


def _as_in_fer2013(images: np.ndarray) -> np.ndarray:
    """Bring uint8 (N, H, W) or (N, H, W, 3) to the 48x48 gray pixels at which copies are looked for."""
    if images.shape[1:] == (FACE_SIZE, FACE_SIZE):
        return images
    sides = (FACE_SIZE, FACE_SIZE)
    gray = [cv2.cvtColor(i, cv2.COLOR_RGB2GRAY) for i in images] if images.ndim == 4 else images
    resized = [cv2.resize(image, sides, interpolation=cv2.INTER_AREA) for image in gray]
    return np.stack(resized) if resized else np.empty((0, *sides), np.uint8)


def split_name(faces: FaceSet) -> str:
    """Name a split for results, and what is odd about this copy of it."""
    name = f"FER2013 {faces.split} ({_ORIGINAL_NAMES[faces.split]})"
    name = faces.source if faces.source.startswith(COLOUR_FACES) else name
    return f"{name}; {faces.remark}" if faces.remark else name


def fixed_noise(
    images: np.ndarray, rows: np.ndarray, noise: Mapping[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Corrupt pictures, each with its row as the seed.

    The noise of a picture is the same in every epoch, run and machine, so figures compare.

    Args:
        images: uint8 (N, H, W) or (N, H, W, 3).
        rows: (N,).
        noise: A ``[[validation]]`` table.

    Returns:
        Noisy and clean pictures, (N, C, H, W) each.
    """
    model = validation_noise(noise)
    clean = [from_uint8(picture) for picture in images]
    noisy = [model(face, int(row)) for face, row in zip(clean, rows, strict=True)]
    return tuple(channels_first(np.stack(part)) for part in (noisy, clean))  # type: ignore[return-value]


def channels_first(images: np.ndarray) -> torch.Tensor:
    """Turn pictures, (N, H, W) or (N, H, W, 3), into a batch (N, C, H, W) in the layout of networks."""
    if images.ndim == 3:
        return torch.from_numpy(images)[:, None]
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, 3, 1)))


def read_splits(
    path: str | Path, size: int = FACE_SIZE, split_seed: int = 0, colour: bool = False
) -> dict[Split, FaceSet]:
    """Read all splits of FER2013, of colour faces, or of a folder of own faces.

    Args:
        path: Where FER2013 is, in any form that ``read_fer2013`` takes; or a folder of colour faces, see
            :mod:`train.colour_faces`, or of pictures.
        size: Height and width of other faces than FER2013's, in pixels.
        split_seed: Of the random split of own faces.
        colour: Whether to read them in colour.

    Raises:
        FaceDataError: They can't be read, or FER2013 is wanted at another size or in colour.
    """
    if is_colour_faces(Path(path)):
        crops: dict[Split, int] = {"train": CROPS}
        return {
            split: read_colour_faces(Path(path), split, size, crops.get(split, 1), gray=not colour)
            for split in get_args(Split)
        }
    if is_own_faces(Path(path)):
        return read_own_faces(Path(path), size, split_seed, colour)
    if colour:
        raise FaceDataError(
            "FER2013's pictures are gray: a network for colour trains on a folder of colour faces or of "
            "own pictures"
        )
    if size != FACE_SIZE:
        raise FaceDataError(
            f"FER2013's pictures are {FACE_SIZE}x{FACE_SIZE}: a --size of {size} is for a folder of own "
            "faces"
        )
    try:
        return {split: read_fer2013(path, split) for split in get_args(Split)}
    except FaceDataError as error:
        if not Path(path).is_dir():
            raise
        raise FaceDataError(
            f"{error} Own faces, which any other folder of pictures is, may lie beside nothing that is "
            "named as FER2013's files and folders are."
        ) from error


def prepare_faces(
    path: str | Path,
    target: Path,
    size: int = FACE_SIZE,
    split_seed: int = 0,
    colour: bool = False,
) -> Path:
    """Read the pictures to train and validate on once, into a file that :class:`FaceData` takes.

    Args:
        path: See :func:`read_splits`.
        target: The file.
        size: See :func:`read_splits`.
        split_seed: Likewise.
        colour: Likewise.

    Raises:
        FaceDataError: They can't be read.
    """
    splits = read_splits(path, size, split_seed, colour)
    train, validation, test = (splits[split] for split in get_args(Split))
    images = without_copies(train, validation, test)
    rank_zero_info(f"{len(images):,} of {len(train):,} training pictures are no copies of held-out ones")
    for faces in (train, validation, test):
        if faces.remark:
            rank_zero_info(split_name(faces))
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        target, train=images, validation=validation.images, validation_rows=np.asarray(validation.rows)
    )
    return target


def face_size(path: str | Path, size: int | None = None) -> int:
    """Return the height and width of the pictures to train on, in pixels.

    Args:
        path: See :class:`FaceData`.
        size: What was asked for; None for what is in a prepared file, or 48.

    Raises:
        FaceDataError: A prepared file holds pictures of another size.
    """
    if Path(path).suffix != PREPARED:
        return size or FACE_SIZE
    with np.load(path) as pictures:
        found = int(pictures["validation"].shape[1])
    if size not in (None, found):
        raise FaceDataError(f"{path} holds pictures of {found}x{found}, not of {size}x{size}")
    return found


class FaceData(pl.LightningDataModule):
    """Training faces without copies of those in the held-out splits; validation faces with fixed noise.

    Args:
        path: What :func:`read_splits` takes, or a file that :func:`prepare_faces` wrote.
        config: The training run.
        limit: Use only this many training pictures (tests); 0 for all.
        size: Height and width of own faces, in pixels; None for 48, or what is in a prepared file.
        split_seed: Of the random split of own faces; None for the config's seed.

    Raises:
        FaceDataError: A prepared file holds pictures of another size.
    """

    def __init__(
        self,
        path: str | Path,
        config: TrainConfig,
        limit: int = 0,
        size: int | None = None,
        split_seed: int | None = None,
    ):
        super().__init__()
        self.path = path
        self.config = config
        self.limit = limit
        self.size = face_size(path, size)
        self.split_seed = config.seed if split_seed is None else split_seed
        self.colour = sees_colour(config)

    def setup(self, stage: str) -> None:
        """Read the pictures; every process reads its own copy.

        Raises:
            FaceDataError: They can't be read, or there are too few to train on.
        """
        if hasattr(self, "train_set"):
            return
        if Path(self.path).suffix == PREPARED:
            pictures = dict(np.load(self.path))
            if (pictures["train"].ndim == 4) != self.colour:
                kind = "in colour" if self.colour else "gray"
                raise FaceDataError(f"{self.config.id} trains on pictures {kind}, not on {self.path}")
        else:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / f"faces{PREPARED}"
                prepare_faces(self.path, file, self.size, self.split_seed, self.colour)
                pictures = dict(np.load(file))
        images = pictures["train"]
        images = images[: self.limit] if self.limit else images
        processes = self.trainer.world_size if self.trainer else 1
        if len(images) < self.config.batch_size * processes:
            raise FaceDataError(
                f"{len(images)} pictures are left to train on, too few for one batch of "
                f"{self.config.batch_size} in each of {processes} processes"
            )
        self.train_set = channels_first(images)
        count = self.config.validation_pictures
        validation = pictures["validation"][:count], pictures["validation_rows"][:count]
        self.validation_sets = [fixed_noise(*validation, noise) for noise in self.config.validation]

    def train_dataloader(self) -> DataLoader:
        """Batches of uint8 (B, C, H, W), in an order of its own for every epoch.

        Lightning tells the sampler the epoch, so that a resumed run goes on in the same order.
        """
        sampler: DistributedSampler = DistributedSampler(
            self.train_set,  # type: ignore[arg-type]
            num_replicas=self.trainer.world_size if self.trainer else 1,
            rank=self.trainer.global_rank if self.trainer else 0,
            seed=self.config.seed,
        )
        batches = EpochBatches(sampler, self.config.batch_size, drop_last=True)
        return DataLoader(OnDevice((self.train_set,), self._device), None, sampler=batches)

    def val_dataloader(self) -> list[DataLoader]:
        """One loader of (noisy, clean) batches for each validation noise."""
        rows = max(1, _VALIDATION_PIXELS // self.size**2)
        return [
            DataLoader(
                OnDevice(faces, self._device),
                None,
                sampler=BatchSampler(range(len(faces[0])), rows, drop_last=False),
            )
            for faces in self.validation_sets
        ]

    @property
    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")


class EpochBatches(BatchSampler):
    """Batches of a sampler that has another order for every epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Tell the sampler the epoch, as Lightning does at its start."""
        cast(DistributedSampler, self.sampler).set_epoch(epoch)


class OnDevice(Dataset):
    """Equally many rows of some tensors, kept where they are computed with: FER2013 is 66 MB.

    An item is a whole batch, taken by the list of its rows: nothing is copied to the device on the way.

    Args:
        tensors: Of any shapes (N, ...).
        device: Where to keep them.
    """

    def __init__(self, tensors: tuple[torch.Tensor, ...], device: torch.device):
        self.tensors = tuple(tensor.to(device) for tensor in tensors)

    def __len__(self) -> int:
        """How many rows."""
        return len(self.tensors[0])

    def __getitem__(self, rows: list[int]) -> list[torch.Tensor]:
        """Return these rows of each tensor."""
        index = torch.tensor(rows).to(self.tensors[0].device, non_blocking=True)
        return [tensor[index] for tensor in self.tensors]


def augment(
    batch: torch.Tensor,
    share: float,
    maximum: float,
    generator: torch.Generator,
    dice: random.Random,
) -> torch.Tensor:
    """Mirror half of the pictures, and now and then enlarge the batch and cut its old size out.

    Enlarged crops are smoother than FER2013's own pictures, as uploads at another scale are.

    Args:
        batch: (B, C, H, W) in [0, 1].
        share: Share of batches to enlarge.
        maximum: Largest enlargement.
        generator: Random source on the batch's device.
        dice: Random source of what has to be known without asking the device.

    Returns:
        (B, C, H, W) in [0, 1].
    """
    height, width = batch.shape[2:]
    mirrored = torch.rand(len(batch), generator=generator, device=batch.device) < 0.5
    batch = torch.where(mirrored[:, None, None, None], batch.flip(3), batch)
    if dice.random() >= share:
        return batch
    factor = dice.uniform(1, maximum)
    larger = F.interpolate(batch, scale_factor=factor, mode="bicubic", align_corners=False)
    top = dice.randrange(larger.shape[2] - height + 1)
    left = dice.randrange(larger.shape[3] - width + 1)
    return larger[:, :, top : top + height, left : left + width].clamp(0, 1)
