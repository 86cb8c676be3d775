"""A folder of anybody's pictures as a data set: what is read, how it is split and trained on."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
import torch

from denoiser.faces.fer2013 import FaceDataError, holds_fer2013
from denoiser.images import load_image, to_uint8
from tests.tiny import pictures, write_config, write_fer2013
from train.__main__ import main
from train.config import ConfigError, read_config
from train.data import FaceData, face_size, prepare_faces, read_splits
from train.fit import build_module, check_size
from train.own_faces import is_own_faces, read_own_faces, split_by_content

KINDS = {"L": "png", "RGB": "jpg", "RGBA": "webp", "P": "gif"}


def write_folder(folder, count=30, seed=5):
    """Pictures of four kinds and many sizes, some in subfolders, beside a file that is none."""
    for index, picture in enumerate(pictures(count, seed)):
        mode = list(KINDS)[index % 4]
        place = folder / ("some more" if index % 3 else "") / ("deep" if index % 2 else "")
        place.mkdir(parents=True, exist_ok=True)
        size = (70 + 3 * index, 150 - 2 * index)
        picture = PIL.Image.fromarray(picture).resize(size).convert(mode)
        picture.save(place / f"{index}.{KINDS[mode].upper() if index % 5 else KINDS[mode]}")
    (folder / "notes.txt").write_text("no picture, and not named as one")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "own")


@pytest.fixture
def config(tmp_path):
    return read_config(write_config(tmp_path / "tiny.toml", validation_pictures=5))


@pytest.fixture
def said(monkeypatch):
    """What reading says beside returning pictures."""
    lines = []
    monkeypatch.setattr("train.own_faces.rank_zero_info", lines.append)
    return lines


def keys(faces):
    return [picture.tobytes() for picture in faces.images]


@pytest.mark.parametrize("size", [48, 64])
def test_pictures_of_any_kind_and_size_are_read(folder, said, size):
    splits = read_own_faces(folder, size)
    assert {split: faces.images.shape for split, faces in splits.items()} == {
        "train": (24, size, size),
        "validation": (3, size, size),
        "test": (3, size, size),
    }
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".txt"]
    wanted = {to_uint8(load_image(path, size)).tobytes() for path in files}
    found = [key for faces in splits.values() for key in keys(faces)]
    assert len(found) == len(set(found)) == 30
    assert set(found) == wanted
    assert said == [f"30 pictures in {folder}: 24 train, 3 validation, 3 test"]


def test_the_split_is_the_seed_s_and_the_pixels_own(folder, tmp_path):
    first = {split: keys(faces) for split, faces in read_own_faces(folder).items()}
    again = {split: keys(faces) for split, faces in read_own_faces(folder).items()}
    assert first == again
    other = read_own_faces(folder, seed=1)
    assert set(keys(other["test"])) != set(first["test"])
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for index, path in enumerate(sorted(folder.rglob("*.*"), reverse=True)):
        (renamed / f"{index}{path.suffix}").write_bytes(path.read_bytes())
    splits = read_own_faces(renamed)
    assert {split: keys(faces) for split, faces in splits.items()} == first


def test_noise_is_seeded_by_the_pixels(folder, tmp_path):
    faces = read_own_faces(folder)["validation"]
    assert len(set(faces.rows.tolist())) == len(faces)
    assert faces.rows.dtype == np.int64
    assert (faces.rows >= 0).all()
    rows = dict(zip(keys(faces), faces.rows, strict=True))
    for path in list(folder.rglob("*.png"))[:1]:
        path.unlink()  # others keep theirs
    left = [
        f for faces in read_own_faces(folder).values() for f in zip(keys(faces), faces.rows, strict=True)
    ]
    kept = {key: row for key, row in left if key in rows}
    assert kept
    assert all(rows[key] == row for key, row in kept.items())


def test_a_picture_that_is_added_moves_hardly_any_other():
    made = list(pictures(60, 3))
    before, after = (split_by_content(part, 0) for part in (made[:59], made))
    places = [
        {picture.tobytes(): split for split, part in parts.items() for picture in part}
        for parts in (before, after)
    ]
    assert sum(places[1][key] != split for key, split in places[0].items()) <= 2


def test_repeated_pictures_count_once(folder, said):
    (path, *_) = folder.rglob("*.png")
    for name in ("copy.png", "again.png"):
        (folder / name).write_bytes(path.read_bytes())
    splits = read_own_faces(folder)
    assert sum(len(faces) for faces in splits.values()) == 30
    assert said[-1].endswith("; repeated and left out: 2")


def huge_png():
    """A PNG that says it has 900 megapixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x00\x00IEND\xaeB`\x82"


def test_what_cannot_be_used_is_left_out_and_named(folder, said, tmp_path):
    outside = tmp_path / "outside.png"
    PIL.Image.fromarray(pictures(1, 99)[0]).save(outside)
    (folder / "a-link.png").symlink_to(outside)
    (folder / "b-huge.png").write_bytes(huge_png())
    (folder / "c-text\n.png").write_text("train: all is well")
    (folder / "d-broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (folder / "e-empty.png").touch()
    (folder / "f-dangling.png").symlink_to(folder / "nowhere.png")
    (folder / "linked").symlink_to(tmp_path, target_is_directory=True)
    (folder / ".hidden.png").write_text("not looked at")
    splits = read_own_faces(folder)
    assert sum(len(faces) for faces in splits.values()) == 30
    sentence = said[0]
    assert "\n" not in sentence
    assert sentence.startswith(
        "Left out, as they can't be used, are 6 files ('a-link.png': It is a link"
    )
    assert "'b-huge.png': The picture has more than 25 megapixels" in sentence
    assert r"'c-text\n.png': This isn't a picture" in sentence
    assert "and 3 more" in sentence


def test_a_link_within_the_folder_is_a_picture_like_others(folder, said):
    (path, *_) = folder.rglob("*.png")
    (folder / "link.png").symlink_to(path)
    read_own_faces(folder)
    assert said[-1].endswith("; repeated and left out: 1")


def test_a_photo_is_turned_upright(tmp_path):
    stored = PIL.Image.fromarray(pictures(1, 4)[0])
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    for index in range(10):
        PIL.Image.fromarray(pictures(10, 8)[index]).save(tmp_path / f"{index}.png")
    stored.save(tmp_path / "turned.png", exif=exif)
    found = {key for faces in read_own_faces(tmp_path).values() for key in keys(faces)}
    assert np.ascontiguousarray(np.rot90(np.asarray(stored), -1)).tobytes() in found


def test_too_few_pictures(tmp_path):
    write_folder(tmp_path / "few", count=9)
    (tmp_path / "few" / "broken.png").write_text("")
    with pytest.raises(FaceDataError, match=r"9 different pictures.*too few.*10.*'broken.png'"):
        read_own_faces(tmp_path / "few")


def encoded(picture):
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def test_fer2013_stays_fer2013(tmp_path):
    """In each of its forms, up to two folders down; also a copy that it would refuse."""
    parquets = write_fer2013(tmp_path / "parquets")
    table = tmp_path / "table"
    table.mkdir()
    (table / "fer2013.csv").write_text("emotion,pixels,Usage\n")
    subfolders = tmp_path / "subfolders" / "archive"
    for split, made in (("train", 4), ("validation", 3), ("test", 2)):
        (subfolders / split / "happy").mkdir(parents=True)
        for index, picture in enumerate(pictures(made, made)):
            (subfolders / split / "happy" / f"{index}.png").write_bytes(encoded(picture))
    jpegs = tmp_path / "jpegs" / "train"
    jpegs.mkdir(parents=True)
    (jpegs / "0.jpg").write_bytes(b"\xff\xd8\xff")
    for place in (parquets, table, table / "fer2013.csv", subfolders.parent, jpegs.parent):
        assert holds_fer2013(place)
        assert not is_own_faces(place)
    assert [len(faces) for faces in read_splits(subfolders.parent).values()] == [4, 3, 2]
    assert not is_own_faces(tmp_path / "nowhere")
    assert not is_own_faces(tmp_path / "table")
    with pytest.raises(FaceDataError, match=r"JPEG pictures.*Own faces, which any other folder"):
        read_splits(jpegs.parent)


def test_a_folder_of_pictures_is_own_faces(folder, tmp_path):
    assert is_own_faces(folder)
    assert not holds_fer2013(folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").touch()
    assert not is_own_faces(empty)


def test_fer2013_has_its_size(tmp_path):
    data = write_fer2013(tmp_path / "fer2013", train=8, validation=2, test=2)
    with pytest.raises(FaceDataError, match="FER2013's pictures are 48x48"):
        read_splits(data, 64)


def test_batches_of_another_size(folder, config):
    faces = FaceData(folder, config, size=64)
    faces.setup("fit")
    assert [batch[0].shape for batch in faces.train_dataloader()] == [(8, 1, 64, 64)] * 3
    for loader in faces.val_dataloader():
        assert [part.shape for part in next(iter(loader))] == [(3, 1, 64, 64)] * 2


def test_large_pictures_are_validated_in_smaller_batches(tmp_path, config):
    faces = FaceData(write_folder(tmp_path / "own", count=40), config, size=256)
    faces.setup("fit")
    faces.validation_sets = [
        tuple(part.repeat(4, 1, 1, 1) for part in pair) for pair in faces.validation_sets
    ]
    sizes = [len(batch[0]) for batch in faces.val_dataloader()[0]]
    assert sizes == [7, 7, 2]  # of as many pixels as 200 faces of FER2013


def test_a_prepared_file_gives_the_same_pictures(folder, config, tmp_path):
    prepared = prepare_faces(folder, tmp_path / "faces.npz", 64, split_seed=3)
    assert face_size(prepared) == face_size(prepared, 64) == 64
    given = []
    for data in (FaceData(folder, config, size=64, split_seed=3), FaceData(prepared, config)):
        data.setup("fit")
        loaders = [data.train_dataloader(), *data.val_dataloader()]
        given.append([tensor for loader in loaders for batch in loader for tensor in batch])
    assert len(given[0]) == len(given[1]) > 2
    assert all(torch.equal(a, b) for a, b in zip(*given, strict=True))
    with pytest.raises(FaceDataError, match="holds pictures of 64x64, not of 96x96"):
        FaceData(prepared, config, size=96)


def test_copies_of_held_out_faces_are_left_out(folder, tmp_path):
    """The same face once more, a little brighter: at 64 pixels, too."""
    held = read_own_faces(folder, 64)["test"].images[0].clip(0, 250)
    held_out, brighter = (held + np.uint8(5)).tobytes(), (held + np.uint8(4)).tobytes()
    for index, key in enumerate((held_out, brighter)):
        face = np.frombuffer(key, np.uint8).reshape(64, 64)
        PIL.Image.fromarray(face).save(folder / f"copy-{index}.png")

    def parted(seed):
        splits = read_own_faces(folder, 64, seed)
        return held_out in keys(splits["validation"]) and brighter in keys(splits["train"])

    seed = next(filter(parted, range(1000)))
    before = keys(read_own_faces(folder, 64, seed)["train"])
    kept = np.load(prepare_faces(folder, tmp_path / "faces.npz", 64, seed))["train"]
    left = {picture.tobytes() for picture in kept}
    assert brighter in before
    assert brighter not in left
    assert len(left) >= len(before) - 3  # it, the one that both were made from, and hardly more


@pytest.mark.parametrize(
    ("changes", "size", "words"),
    [
        ({"architecture": "autoencoder", "settings": {"widths": [4, 4, 4, 4]}}, 40, "a multiple of 16"),
        ({"loss": "l1+ms-ssim"}, 32, "a size of 44 or more"),
    ],
    ids=["network", "loss"],
)
def test_sizes_that_do_not_fit(tmp_path, changes, size, words):
    config = read_config(write_config(tmp_path / "tiny.toml", **changes))
    network = build_module(config).network
    check_size(config, network, 48)
    with pytest.raises(ConfigError, match=words):
        check_size(config, network, size)


@pytest.mark.parametrize("size", ["0", "31", "50", "264", "4_8", "big", "²"])
def test_sizes_that_are_none(capsys, size):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "config.toml", "--size", size])
    assert stopped.value.code == 2
    assert "write a multiple of 8 from 32 to 256" in capsys.readouterr().err


def test_own_faces_are_trained_on(folder, tmp_path, capsys, monkeypatch):
    """And replace nothing that is shipped."""
    monkeypatch.setattr("train.runs.WEIGHTS", tmp_path / "shipped")
    config = write_config(tmp_path / "tiny.toml", validations_per_epoch=1)
    options = ["--data", folder, "--size", "64", "--runs", tmp_path / "runs"]
    options += ["--accelerator", "cpu", "--devices", "1"]
    assert main(list(map(str, ["fit", config, *options]))) == 0
    assert f"Exported to {tmp_path / 'runs/trials/weights/tiny'}" in capsys.readouterr().out
    assert not (tmp_path / "shipped").exists()
    sheet = PIL.Image.open(tmp_path / "runs/tiny/samples.png")
    assert sheet.size == (3 * 66 - 2, 2 * (3 * 66 - 2 + 14 + 2))


def test_all_takes_own_faces(folder, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("train.recipe.run.train_all", lambda *_, **given: seen.append(given) or [])
    options = ["--size", "64", "--split-seed", "7", "--runs", str(tmp_path / "runs")]
    assert main(["all", "--data", str(folder), *options]) == 0
    assert seen[0]["weights"] == tmp_path / "runs/trials/weights"
    assert (seen[0]["size"], seen[0]["split_seed"]) == (64, 7)
