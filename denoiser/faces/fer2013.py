"""Reading FER2013 in every form in which people have it.

FER2013's pictures are other people's: they are read from where they lie and never written anywhere.
"""

import csv
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Split = Literal["train", "validation", "test"]

FACE_SIZE = 48
"""Height and width of every face, in pixels."""

EMOTIONS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "not a face",
)
"""What FER+ annotators could vote for, in the order of the parquet's ``votes_*`` columns."""

FER2013_LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""FER2013's own emotion for each of its integer labels, in the words of :data:`EMOTIONS`."""


_VOTE_COLUMNS = tuple(f"votes_{emotion.replace(' ', '_')}" for emotion in EMOTIONS)

_SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "publictest"),
    "test": ("test", "privatetest"),
}

COUNTS: dict[Split, tuple[int, int]] = {
    "train": (28_709, 28_558),
    "validation": (3_589, 3_579),
    "test": (3_589, 3_573),
}
"""Pictures of each split: as published, and without the few that FER+ has no votes for."""

_FIRST_ROWS: dict[Split, int] = {"train": 0, "validation": 28_709, "test": 32_298}


_EMOTION_WORDS = {
    **{emotion: emotion for emotion in EMOTIONS},
    **{"happy": "happiness", "sad": "sadness", "angry": "anger", "surprised": "surprise"},
    **{"disgusted": "disgust", "fearful": "fear", "afraid": "fear", "scared": "fear"},
    **{"contemptuous": "contempt", "nf": "not a face"},
}
_UNLABELLED = ("", "nan", "none", "null")
_NAMED_LABELS = 5  # of those that aren't understood; the others are only counted

# With a column that says which split a row belongs to; and the challenge's own two files, without.
_CSV_NAMES = ("fer2013.csv", "icml_face_data.csv", "fer2013")
_CHALLENGE_NAMES = ("train.csv", "test.csv")
_CSV_SUFFIXES = (".csv", ".txt", "")

# Every 48x48 PNG starts with these bytes, so its size is known before it is decoded.
_PNG_HEADER = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", FACE_SIZE, FACE_SIZE)
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_START = b"\xff\xd8\xff"

_ACCEPTED = (
    "FER2013 is accepted as a folder of parquet files in the Hub's layout "
    "(train-*.parquet, validation-*.parquet, test-*.parquet), as Kaggle's fer2013.csv or "
    "icml_face_data.csv, as the challenge's train.csv and test.csv, or as a folder with train, "
    "validation and test subfolders of PNG files"
)


class FaceDataError(ValueError):
    """Faces that were asked for can't be had; the message is one sentence for a person."""


@dataclass(frozen=True)
class FaceSet:
    """Clean faces in memory.

    Attributes:
        images: (N, 48, 48) uint8; faces that aren't FER2013's may have another size.
        rows: (N,) int64, each face's row in the original FER2013 table (counted from 0) or, where
            that is unknown, its index in the split.
        emotions: N words of :data:`EMOTIONS`: the one with most FER+ votes (the first of them on a
            tie), otherwise FER2013's own label, ``""`` where there is neither.
        split: ``"train"``, ``"validation"`` or ``"test"``; ``"bundled"`` for scikit-image's faces.
        source: What the faces are, in words for a person; says so where they are not the whole split.
        remark: What every result made from these faces has to say about them: that there are more or
            fewer than FER2013 has, and which labels were not understood. ``""`` where all is well.
    """

    images: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    emotions: tuple[str, ...]
    split: str
    source: str
    remark: str = ""

    def __len__(self) -> int:
        return len(self.images)


def find_fer2013() -> Path | None:
    """Say where FER2013 lies: ``$FER2013_PATH``, else ``data/fer2013`` in the project, else None.

    Raises:
        FaceDataError: ``FER2013_PATH`` is set but nothing readable is there.
    """
    setting = os.environ.get("FER2013_PATH")
    if setting:
        path = Path(setting)
        if not _is_readable(path):
            raise FaceDataError(f"FER2013_PATH is set, but nothing readable is there. {_ACCEPTED}.")
        return path
    path = Path(__file__).resolve().parents[2] / "data" / "fer2013"
    return path if _is_readable(path) else None


def read_fer2013(path: str | Path, split: Split) -> FaceSet:
    """Read one split of FER2013.

    Args:
        path: One of

            - a folder that holds Hub-layout parquet files, directly or in ``data/``: column
              ``image`` (PNG bytes, or a struct with them in ``bytes``), and optionally ``row``, the
              ten ``votes_*`` and ``label`` (FER2013's 0 to 6);
            - Kaggle's ``fer2013.csv`` or ``icml_face_data.csv``, with commas, semicolons or tabs, or the
              challenge's ``train.csv`` and ``test.csv``, or a folder that holds them;
            - a folder with a subfolder of PNG files per split, with or without emotion subfolders.

            They may lie up to two folders deeper. Upper and lower case are alike; hidden files, such as
            macOS's ``._`` companions, are passed over.
        split: ``"train"``, ``"validation"`` (PublicTest) or ``"test"`` (PrivateTest).

    Raises:
        FaceDataError: The split is unknown or missing, a file can't be read, or a picture isn't a
            lossless 48x48 gray one. JPEG is refused: its artefacts would count as part of the face.
    """
    if split not in get_args(Split):
        raise FaceDataError(f"split must be train, validation or test, not {split!r}.")
    path = Path(path)
    try:
        if path.is_file():
            return _read_file(path, split)
        return _read_folder(path, split)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FaceDataError(f"The {split} split can't be read. {_ACCEPTED}.") from error


def _is_readable(path: Path) -> bool:
    """Tell whether ``path`` is a readable file, or a readable folder with something in it."""
    try:
        return next(path.iterdir(), None) is not None if path.is_dir() else os.access(path, os.R_OK)
    except OSError:
        return False


def _read_file(path: Path, split: Split) -> FaceSet:
    if path.suffix.lower() not in _CSV_SUFFIXES:
        raise FaceDataError(f"This kind of file isn't known. {_ACCEPTED}.")
    return _read_csv(path, split)


def holds_fer2013(path: str | Path) -> bool:
    """Tell whether :func:`read_fer2013` finds any split there, by the names of files and folders alone.

    Raises:
        OSError: A folder can't be listed.
    """
    path = Path(path)
    if not path.is_dir():
        return path.is_file()
    return any(_find_split(path, split) is not None for split in get_args(Split))


def _read_folder(folder: Path, split: Split) -> FaceSet:
    read = _find_split(folder, split)
    if read is None:
        raise FaceDataError(f"There is no {split} split. {_ACCEPTED}.")
    return read()


def _find_split(folder: Path, split: Split) -> Callable[[], FaceSet] | None:
    """Return what reads a split, in the first of its forms that is there; None for none."""
    for place in _places(folder):
        parquets = split_parquets(place, split)
        if parquets:
            return partial(_read_parquets, parquets, split)
        file = _find_csv(place, split)
        if file is not None:
            return partial(_read_csv, file, split)
        for subfolder in _subfolders(place):
            if subfolder.name.lower() in _SPLIT_NAMES[split]:
                return partial(_read_pictures, subfolder, split)
    return None


def find_parquets(path: Path, split: Split) -> list[Path]:
    """Return the parquet files in which :func:`read_fer2013` finds a split, in order; empty for none."""
    places = _places(path) if path.is_dir() else iter(())
    return next((files for place in places if (files := split_parquets(place, split))), [])


def _places(folder: Path, depth: int = 2) -> Iterator[Path]:
    """List the folder and those in it, nearest first, but for folders of a split's pictures."""
    level = [folder]
    for _ in range(depth + 1):
        yield from level
        level = [
            subfolder
            for place in level
            for subfolder in _subfolders(place)
            if not any(subfolder.name.lower() in names for names in _SPLIT_NAMES.values())
        ]


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path.name))


def _is_hidden(name: str) -> bool:
    """Tell whether macOS or another system put this file or folder there for itself."""
    return name.startswith(".") or name == "__MACOSX"


def _find_csv(folder: Path, split: Split) -> Path | None:
    """Return the table that holds a split, whatever the case of its name."""
    files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    for name in _CSV_NAMES:
        if name in files:
            return files[name]
    name = "train.csv" if split == "train" else "test.csv"  # the latter holds validation, too
    return files.get(name)


def split_parquets(folder: Path, split: Split) -> list[Path]:
    """Return the parquet files of a split in a folder of the Hub's layout, in order; empty for none."""
    files = [*folder.glob("*.parquet"), *folder.glob("data/*.parquet")]
    names = [file.relative_to(folder).as_posix() for file in files if not _is_hidden(file.name)]
    return [folder / name for name in split_names(names, split)]


def split_names(names: Iterable[str], split: Split) -> list[str]:
    """Pick a split's parquet files, such as ``data/test-00000-of-00001.parquet``, in order."""
    paths = [PurePosixPath(name) for name in sorted(names) if name.endswith(".parquet")]
    on_top = [path for path in paths if path.parent.name == ""]
    in_data = [path for path in paths if str(path.parent) == "data"]
    files = on_top or in_data
    return [str(file) for file in files if file.stem.split("-")[0].lower() in _SPLIT_NAMES[split]]


def count_rows(files: Sequence[Path], split: Split) -> int:
    """Count the pictures in a split's parquet files.

    Raises:
        FaceDataError: They can't be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        count = 0
        for file in files:
            with file.open("rb") as stream:
                count += pq.ParquetFile(stream).metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise FaceDataError(f"The {split} split's parquet can't be read. {_ACCEPTED}.") from error
    return count


def _read_parquets(files: Sequence[Path], split: Split) -> FaceSet:
    import pyarrow as pa
    import pyarrow.parquet as pq

    used_columns = {"image", "row", "label", *_VOTE_COLUMNS}
    try:
        # Opened as streams: given a path, pyarrow also reads columns out of the folders' names.
        tables = []
        for file in files:
            with file.open("rb") as stream:
                parquet = pq.ParquetFile(stream)
                columns = [name for name in parquet.schema_arrow.names if name in used_columns]
                tables.append(parquet.read(columns=columns))
        table = pa.concat_tables(tables)
        labels = _table_labels(table)
        rows = _table_rows(table, split)
    except pa.ArrowException as error:
        raise FaceDataError(f"The {split} split's parquet can't be read. {_ACCEPTED}.") from error
    if "image" not in table.column_names:
        raise FaceDataError(
            f"The {split} split's parquet has no image column with PNG bytes. {_ACCEPTED}."
        )
    images = [_decode_png(data, split) for data in _image_bytes(table, split)]
    return _face_set(images, rows, labels, split)


def _table_rows(table: "pa.Table", split: Split) -> npt.NDArray[np.int64]:
    if "row" in table.column_names:
        return table["row"].cast("int64").to_numpy()
    return _default_rows(len(table), split)


def _default_rows(count: int, split: Split) -> npt.NDArray[np.int64]:
    # A whole split is in the order of the original table, in which the splits follow one another.
    first = _FIRST_ROWS[split] if count == COUNTS[split][0] else 0
    return np.arange(first, first + count)


def _image_bytes(table: "pa.Table", split: Split) -> list[bytes]:
    """Return the encoded pictures, whether the column holds bytes or structs of bytes and path."""
    encoded = []
    for cell in table["image"].to_pylist():
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(data, bytes):
            raise FaceDataError(
                f"The {split} split's parquet has no PNG bytes in its image column. {_ACCEPTED}."
            )
        encoded.append(data)
    return encoded


def _table_labels(table: "pa.Table") -> list[str]:
    """Return what says which emotion a face shows: most votes, else its label as it stands there."""
    if "label" in table.column_names:
        labels = ["" if label is None else str(label) for label in table["label"].to_pylist()]
    else:
        labels = [""] * len(table)
    if not set(_VOTE_COLUMNS) <= set(table.column_names) or len(table) == 0:
        return labels
    columns = [table[name].cast("int64").fill_null(0).to_numpy() for name in _VOTE_COLUMNS]
    return [
        EMOTIONS[votes.argmax()] if votes.any() else label
        for votes, label in zip(np.stack(columns, axis=1), labels, strict=True)
    ]


def _parse_emotion(label: str) -> str | None:
    """Return the word of :data:`EMOTIONS` for a label such as ``3``, ``3.0`` or ``Happy``.

    Returns:
        ``""`` for no label, None for one that isn't understood.
    """
    word = re.sub(r"[\s_-]+", " ", label.strip().lower())
    if word in _UNLABELLED:
        return ""
    number = re.fullmatch(r"([0-6])(?:\.0*)?", word, re.ASCII)
    return FER2013_LABELS[int(number[1])] if number else _EMOTION_WORDS.get(word)


def _read_csv(file: Path, split: Split) -> FaceSet:
    images, rows, labels = [], [], []
    with file.open(newline="", encoding="utf-8-sig") as lines:
        header = lines.readline()
        lines.seek(0)
        # icml_face_data.csv has spaces in front of its column names.
        delimiter = max(",;\t", key=header.count)
        reader = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
        names = {name.strip().lower(): name for name in reader.fieldnames or ()}
        usage = names.get("usage")
        if "pixels" not in names or (usage is None and file.name.lower() not in _CHALLENGE_NAMES):
            raise FaceDataError(f"The csv has no columns named pixels and Usage. {_ACCEPTED}.")
        for row, cells in enumerate(reader):
            if usage is None or (cells[usage] or "").strip().lower() in _SPLIT_NAMES[split]:
                images.append(_parse_pixels(cells[names["pixels"]] or "", row))
                rows.append(row)
                labels.append(cells.get(names.get("emotion", "")) or "")
    if usage is None:
        part = _challenge_part(file.name.lower(), len(images), split)
        images, labels = images[part], labels[part]
        rows = list(_default_rows(len(images), split))
    return _face_set(images, rows, labels, split)


def _challenge_part(name: str, count: int, split: Split) -> slice:
    """Say which of a file's rows are a split's: the challenge's tables have no Usage column.

    Its whole test.csv is PublicTest followed by PrivateTest, as in the original table; a shorter one is
    taken for the test split.
    """
    public, private = COUNTS["validation"][0], COUNTS["test"][0]
    nothing = slice(0)
    if name == "train.csv":
        return slice(None) if split == "train" else nothing
    if count != public + private:
        return slice(None) if split == "test" else nothing
    return {"train": nothing, "validation": slice(public), "test": slice(public, None)}[split]


def _parse_pixels(text: str, row: int) -> npt.NDArray[np.uint8]:
    try:
        # Five times faster than text.split(), which would take 7 seconds for the training split.
        pixels = np.fromstring(text, dtype=np.int64, sep=" ")
    except ValueError:  # older NumPy stops at what isn't a number instead
        pixels = np.empty(0, np.int64)
    if pixels.size != FACE_SIZE**2 or pixels.min() < 0 or pixels.max() > 255:
        raise FaceDataError(f"Row {row} of the csv isn't 48x48 gray pixels from 0 to 255.")
    return pixels.astype(np.uint8).reshape(FACE_SIZE, FACE_SIZE)


def _read_pictures(folder: Path, split: Split) -> FaceSet:
    files = sorted(file for file in folder.glob("**/*") if file.is_file())
    pictures = [
        file
        for file in files
        if file.suffix.lower() in (".png", ".jpg", ".jpeg")
        and not any(map(_is_hidden, file.relative_to(folder).parts))
    ]
    return _face_set(
        [_decode_png(file.read_bytes(), split) for file in pictures],
        range(len(pictures)),
        [file.parent.name if file.parent != folder else "" for file in pictures],
        split,
    )


def _decode_png(data: bytes, split: Split) -> npt.NDArray[np.uint8]:
    """Decode a 48x48 gray PNG; (48, 48) uint8."""
    if data.startswith(_JPEG_START):
        raise FaceDataError(
            f"The {split} split holds JPEG pictures, whose artefacts would count as part of the "
            "faces: use a copy of FER2013 with lossless PNG pictures, or Kaggle's fer2013.csv."
        )
    image = None
    # A cut-off file is refused before OpenCV, which would complain on the terminal.
    if data.startswith(_PNG_HEADER) and data.endswith(_PNG_END):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.shape != (FACE_SIZE, FACE_SIZE) or image.dtype != np.uint8:
        raise FaceDataError(
            f"The {split} split holds a picture that isn't a readable PNG of 48x48 gray pixels, "
            "as all of FER2013 is."
        )
    return np.asarray(image, np.uint8)


def _face_set(
    images: Sequence[npt.NDArray[np.uint8]],
    rows: Iterable[int] | npt.NDArray[np.integer],
    labels: Sequence[str],
    split: Split,
) -> FaceSet:
    if not images:
        raise FaceDataError(f"The {split} split is empty. {_ACCEPTED}.")
    emotions = {label: _parse_emotion(label) for label in labels}
    unknown = sorted(label for label, emotion in emotions.items() if emotion is None)
    remark = "; ".join(filter(None, [_count_remark(len(images), split), _label_remark(unknown)]))
    source = f"FER2013, {split} split"
    return FaceSet(
        images=np.stack(images),
        rows=np.array(rows, dtype=np.int64),
        emotions=tuple(emotions[label] or "" for label in labels),
        split=split,
        source=f"{source} ({remark})" if remark else source,
        remark=remark,
    )


def _count_remark(count: int, split: Split) -> str:
    if count in COUNTS[split]:
        return ""
    return f"pictures: {count:,} instead of FER2013's {COUNTS[split][0]:,}"


def _label_remark(unknown: Sequence[str]) -> str:
    if not unknown:
        return ""
    examples = ", ".join(repr(label[:20]) for label in unknown[:_NAMED_LABELS])
    more = f" and {len(unknown) - _NAMED_LABELS:,} more" if len(unknown) > _NAMED_LABELS else ""
    return f"not understood as emotions: {examples}{more}"
