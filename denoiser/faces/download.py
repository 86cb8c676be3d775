"""FER2013 from the Hugging Face Hub, into the Hub's own cache."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from denoiser.faces import fer2013
from denoiser.faces.fer2013 import (
    FaceDataError,
    Split,
    count_rows,
    split_names,
    split_parquets,
)
from denoiser.weights.hub import cached_file, cached_folder, fetch_file, list_files
from denoiser.weights.hub_errors import HubError

DATASET_VARIABLE = "DENOISER_FER2013_DATASET"
"""Names the environment variable with the Hub's dataset to fetch FER2013 from; empty for none."""

DEFAULT_DATASET = "AutumnQiu/fer2013"
"""Parquet with the published counts; no pickle, no script."""

# Owner and name, as the Hub allows them: no "..", and neither ends with a dot.
_NAME = r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*"

_HUB = "hf://datasets/"

_DATASET_ID = re.compile(rf"(?:{_HUB})?({_NAME}/{_NAME})(?:@([\w.-]+(?:/[\w.-]+)*))?", re.ASCII)

_LARGEST_FILE = 500_000_000  # bytes; the training split is about 106 MB


class DownloadError(FaceDataError):
    """The Hub does not give the faces; it may do so later."""


@dataclass(frozen=True)
class Dataset:
    """A dataset on the Hugging Face Hub.

    Attributes:
        repo_id: Owner and name, such as ``"AutumnQiu/fer2013"``.
        revision: Branch, tag or commit.
    """

    repo_id: str
    revision: str = "main"


def parse_dataset(text: str) -> Dataset | None:
    """Return what ``owner/name`` or ``hf://datasets/owner/name`` names, with or without ``@revision``.

    Returns:
        None where the text is no dataset's id, as most paths are not.
    """
    match = _DATASET_ID.fullmatch(text)
    return Dataset(match[1], match[2] or "main") if match else None


def find_dataset() -> Dataset | None:
    """Say where on the Hub to fetch FER2013: ``$DENOISER_FER2013_DATASET``, else the default.

    Returns:
        None where the variable is empty: nothing is to be fetched.

    Raises:
        FaceDataError: The variable is set, but not to a dataset's id.
    """
    setting = os.environ.get(DATASET_VARIABLE, DEFAULT_DATASET).strip()
    if not setting:
        return None
    dataset = parse_dataset(setting)
    if dataset is None:
        raise FaceDataError(
            f"{DATASET_VARIABLE} must be a dataset's id, such as {DEFAULT_DATASET}, or empty."
        )
    return dataset


def locate_fer2013(place: str, *splits: Split) -> Path:
    """Return where FER2013 lies on this machine; from the Hub, it is fetched.

    Args:
        place: A path, or a dataset's id as for :func:`parse_dataset`. What exists has precedence.
        splits: What to fetch; all for none.

    Raises:
        FaceDataError: As for :func:`fetch_fer2013`.
    """
    path = Path(place)
    dataset = None if path.exists() else parse_dataset(place)
    if dataset is None:
        return path
    try:
        return fetch_fer2013(dataset, splits or get_args(Split))
    except FaceDataError as error:
        if place.startswith(_HUB):
            raise
        raise FaceDataError(f"There is no {place} on this machine, and on the Hub: {error}") from error


def cached_fer2013(dataset: Dataset, splits: Iterable[Split] = get_args(Split)) -> Path | None:
    """Return the folder with splits that the Hub's cache already holds; asks the Hub for nothing.

    Args:
        dataset: Where they came from.
        splits: Which ones.

    Returns:
        A folder for :func:`~denoiser.faces.fer2013.read_fer2013`; None where something is missing or
        damaged.
    """
    folder = cached_folder(dataset.repo_id, revision=dataset.revision, repo_type="dataset")
    if folder is None:
        return None
    for split in splits:
        files = split_parquets(folder, split)
        names = [file.relative_to(folder).as_posix() for file in files]
        good = [
            cached_file(dataset.repo_id, name, revision=dataset.revision, repo_type="dataset")
            for name in names
        ]
        if None in good or count_rows(files, split) not in fer2013.COUNTS[split]:
            return None
    return folder


def fetch_fer2013(
    dataset: Dataset,
    splits: Iterable[Split] = get_args(Split),
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Fetch splits of FER2013 into the Hub's cache, if they are not there yet.

    Only parquet files are fetched, and only with FER2013's own number of rows accepted; that every
    picture is lossless is checked whenever they are read.

    Args:
        dataset: From where.
        splits: Which ones.
        on_progress: Called with the bytes so far and in all, for each file.

    Returns:
        A folder for :func:`~denoiser.faces.fer2013.read_fer2013`.

    Raises:
        DownloadError: The Hub can't be reached, or does not give the files.
        FaceDataError: They are not FER2013.
    """
    splits = tuple(splits)
    cached = cached_fer2013(dataset, splits)
    if cached is not None:
        return cached
    try:
        names = list_files(dataset.repo_id, revision=dataset.revision, repo_type="dataset")
        folders = [_fetch_split(dataset, split, names, on_progress) for split in splits]
    except HubError as error:
        raise DownloadError(str(error)) from error
    return folders[0]


def _check_count(files: Sequence[Path], split: Split, dataset: Dataset) -> None:
    count = count_rows(files, split)
    if count not in fer2013.COUNTS[split]:
        raise FaceDataError(
            f"{dataset.repo_id} on the Hub isn't FER2013: its {split} split has {count:,} pictures "
            f"instead of {fer2013.COUNTS[split][0]:,}."
        )


def _fetch_split(
    dataset: Dataset,
    split: Split,
    names: Iterable[str],
    on_progress: Callable[[int, int], None] | None,
) -> Path:
    """Fetch a split, and return the folder that holds the dataset's files."""
    paths = split_names(names, split)
    if not paths:
        raise FaceDataError(
            f"{dataset.repo_id} on the Hub has no parquet files of the {split} split, such as "
            f"data/{split}-00000-of-00001.parquet."
        )
    files = [
        fetch_file(
            dataset.repo_id,
            name,
            revision=dataset.revision,
            repo_type="dataset",
            max_bytes=_LARGEST_FILE,
            on_progress=on_progress,
        )
        for name in paths
    ]
    _check_count(files, split, dataset)
    return files[0].parents[paths[0].count("/")]
