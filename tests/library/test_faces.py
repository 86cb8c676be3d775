"""Where faces come from. All pictures here are synthetic or ship with scikit-image."""

import io
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from denoiser.faces import fer2013
from denoiser.faces.download import Dataset, parse_dataset
from denoiser.faces.fer2013 import EMOTIONS, FaceDataError, FaceSet, find_fer2013, read_fer2013
from denoiser.faces.samples import (
    bundled_faces,
    face_at,
    get_sample,
    load_samples,
    pick_samples,
    sample_emotions,
)
from denoiser.images import resize_square, to_gray

ROOT = Path(__file__).resolve().parents[2]
VOTES = [f"votes_{emotion.replace(' ', '_')}" for emotion in EMOTIONS]


def random_faces(count=3, size=48):
    return np.random.default_rng(0).integers(0, 256, (count, size, size), dtype=np.uint8)


def encode(pixels, kind="PNG"):
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format=kind)
    return buffer.getvalue()


def write_parquet(file, encoded, as_struct=True, **columns):
    file.parent.mkdir(parents=True, exist_ok=True)
    image = [{"bytes": data, "path": None} for data in encoded] if as_struct else list(encoded)
    pq.write_table(pa.table({"image": image, **columns}), file)


def votes(*ballots):
    """One ballot per face: the votes for each emotion, by name; to be passed as columns."""
    return {
        column: pa.array([ballot.get(emotion, 0) for ballot in ballots], pa.int8())
        for column, emotion in zip(VOTES, EMOTIONS, strict=True)
    }


def write_csv(file, faces, usages, header="emotion,pixels,Usage"):
    lines = [header]
    order = [name.strip() for name in header.split(",")]
    for index, (face, usage) in enumerate(zip(faces, usages, strict=True)):
        cells = {"emotion": str(index), "pixels": " ".join(map(str, face.ravel())), "Usage": usage}
        lines.append(",".join(cells[name] for name in order))
    file.write_text("\n".join(lines) + "\n")


class TestFind:
    def test_environment_comes_first(self, tmp_path, monkeypatch):
        (tmp_path / "fer2013.csv").touch()
        monkeypatch.setenv("FER2013_PATH", str(tmp_path))
        assert find_fer2013() == tmp_path

    def test_environment_that_leads_nowhere_is_an_error(self, tmp_path, monkeypatch):
        (tmp_path / "empty").mkdir()
        for name in ("missing", "empty"):
            monkeypatch.setenv("FER2013_PATH", str(tmp_path / name))
            with pytest.raises(FaceDataError, match="FER2013_PATH is set") as caught:
                find_fer2013()
            assert str(tmp_path) not in str(caught.value)

    def test_project_folder_comes_second(self, tmp_path, monkeypatch):
        monkeypatch.delenv("FER2013_PATH", raising=False)
        monkeypatch.setattr(fer2013, "__file__", str(tmp_path / "denoiser" / "faces" / "fer2013.py"))
        assert find_fer2013() is None
        folder = tmp_path / "data" / "fer2013"
        folder.mkdir(parents=True)
        assert find_fer2013() is None
        (folder / "fer2013.csv").touch()
        assert find_fer2013() == folder


class TestDataset:
    @pytest.mark.parametrize(
        ("text", "dataset"),
        [
            ("AutumnQiu/fer2013", Dataset("AutumnQiu/fer2013", "main")),
            ("hf://datasets/AutumnQiu/fer2013", Dataset("AutumnQiu/fer2013", "main")),
            ("a-b.c/d_e@v1.0", Dataset("a-b.c/d_e", "v1.0")),
            ("hf://datasets/a/b@refs/pr/1", Dataset("a/b", "refs/pr/1")),
        ],
    )
    def test_ids(self, text, dataset):
        assert parse_dataset(text) == dataset

    @pytest.mark.parametrize(
        "text",
        [
            *("", "fer2013", "/a/b", "a/b/", "a/b/c", "../b", "a/..", "./b", "a//b", "a b/c", "a/b@"),
            *("hf://a/b", "hf://models/a/b", "https://a/b", "a/b\n", "a/b@/etc", "é/b", "a/b?c", "~/b"),
        ],
    )
    def test_what_is_no_id(self, text):
        assert parse_dataset(text) is None


class TestParquet:
    @pytest.mark.parametrize("as_struct", [True, False])
    @pytest.mark.parametrize("folder", [".", "data"])
    def test_hub_layout(self, tmp_path, folder, as_struct):
        faces = random_faces()
        file = tmp_path / folder / "test-00000-of-00001.parquet"
        write_parquet(file, map(encode, faces), as_struct, row=[7, 9, 30000])
        loaded = read_fer2013(tmp_path, "test")
        np.testing.assert_array_equal(loaded.images, faces)
        np.testing.assert_array_equal(loaded.rows, [7, 9, 30000])
        assert (loaded.images.dtype, loaded.rows.dtype) == (np.uint8, np.int64)
        assert loaded.emotions == ("", "", "")
        assert loaded.split == "test"
        assert len(loaded) == 3

    @pytest.mark.parametrize(
        ("split", "name"),
        [
            ("train", "train.parquet"),
            ("validation", "validation-0.parquet"),
            ("validation", "valid-0.parquet"),
            ("validation", "publicTest-0.parquet"),
            ("test", "privateTest-0.parquet"),
        ],
    )
    def test_names_of_splits(self, tmp_path, split, name):
        write_parquet(tmp_path / name, map(encode, random_faces()))
        assert len(read_fer2013(str(tmp_path), split)) == 3

    def test_parts_are_joined_in_order(self, tmp_path):
        faces = random_faces(4)
        write_parquet(tmp_path / "train-00001-of-00002.parquet", map(encode, faces[2:]))
        write_parquet(tmp_path / "train-00000-of-00002.parquet", map(encode, faces[:2]))
        loaded = read_fer2013(tmp_path, "train")
        np.testing.assert_array_equal(loaded.images, faces)
        np.testing.assert_array_equal(loaded.rows, range(4))

    @pytest.mark.parametrize(
        ("split", "first"), [("train", 0), ("validation", 28_709), ("test", 32_298)]
    )
    def test_rows_of_a_whole_split_without_numbers(self, tmp_path, monkeypatch, split, first):
        monkeypatch.setattr(fer2013, "COUNTS", dict.fromkeys(("train", "validation", "test"), (3, 2)))
        for count, start in ((3, first), (2, 0)):
            write_parquet(tmp_path / f"{split}.parquet", map(encode, random_faces(count)))
            rows = read_fer2013(tmp_path, split).rows
            np.testing.assert_array_equal(rows, range(start, start + count))

    def test_emotion_is_the_majority_vote(self, tmp_path):
        ballots = votes({"fear": 6, "anger": 4}, {"sadness": 5, "neutral": 5}, {"not a face": 10})
        write_parquet(tmp_path / "test.parquet", map(encode, random_faces()), **ballots)
        assert read_fer2013(tmp_path, "test").emotions == ("fear", "neutral", "not a face")

    def test_label_stands_in_where_there_are_no_votes(self, tmp_path):
        ballots = votes({"fear": 6}, {}, {})
        write_parquet(
            tmp_path / "test.parquet", map(encode, random_faces()), label=[3, 3, 99], **ballots
        )
        assert read_fer2013(tmp_path, "test").emotions == ("fear", "happiness", "")

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (encode(random_faces()[0], "JPEG"), "JPEG"),
            (encode(random_faces(1, 47)[0]), "48x48 gray"),
            (encode(np.zeros((48, 48, 3), np.uint8)), "48x48 gray"),
            (encode(np.zeros((48, 48), np.uint16)), "48x48 gray"),
            (encode(random_faces()[0])[:-100], "48x48 gray"),
            (b"", "48x48 gray"),
            (None, "no PNG bytes"),
        ],
    )
    def test_other_pictures_are_refused(self, tmp_path, data, message):
        write_parquet(tmp_path / "test.parquet", [encode(random_faces()[0]), data])
        with pytest.raises(FaceDataError, match=message):
            read_fer2013(tmp_path, "test")

    @pytest.mark.parametrize("content", [b"", b"PAR1 but no more"])
    def test_damaged_file_is_refused(self, tmp_path, content):
        (tmp_path / "test.parquet").write_bytes(content)
        with pytest.raises(FaceDataError, match="can't be read") as caught:
            read_fer2013(tmp_path, "test")
        assert str(tmp_path) not in str(caught.value)

    @pytest.mark.parametrize(
        "table",
        [
            {"pixels": ["0 0 0"]},
            {"image": ["0 0 0"]},
            {"image": [b""], "row": ["first"]},
            {"image": pa.array([], pa.binary())},
        ],
    )
    def test_other_tables_are_refused(self, tmp_path, table):
        pq.write_table(pa.table(table), tmp_path / "test.parquet")
        with pytest.raises(FaceDataError):
            read_fer2013(tmp_path, "test")


class TestCsv:
    usages = ("Training", "PublicTest", "PrivateTest")

    @pytest.mark.parametrize(
        ("name", "header"),
        [
            ("fer2013.csv", "emotion,pixels,Usage"),
            ("icml_face_data.csv", "emotion, Usage, pixels"),
        ],
    )
    def test_kaggle_files(self, tmp_path, name, header):
        faces = random_faces()
        write_csv(tmp_path / name, faces, self.usages, header)
        for path in (tmp_path, tmp_path / name):
            for row, split in enumerate(("train", "validation", "test")):
                loaded = read_fer2013(path, split)
                np.testing.assert_array_equal(loaded.images, faces[row : row + 1])
                np.testing.assert_array_equal(loaded.rows, [row])
                assert loaded.emotions == (("anger", "disgust", "fear")[row],)

    @pytest.mark.filterwarnings("ignore:string or file could not be read")
    @pytest.mark.parametrize("pixels", ["", "1 2 3", "0 " * 2303 + "256", "x " * 2304])
    def test_other_pixels_are_refused(self, tmp_path, pixels):
        file = tmp_path / "fer2013.csv"
        file.write_text(f"emotion,pixels,Usage\n0,{pixels},Training\n")
        with pytest.raises(FaceDataError, match="Row 0 of the csv"):
            read_fer2013(file, "train")

    @pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b"emotion,pixels,Usage"])
    def test_other_tables_are_refused(self, tmp_path, content):
        file = tmp_path / "fer2013.csv"
        file.write_bytes(content)
        with pytest.raises(FaceDataError, match="FER2013 is accepted as") as caught:
            read_fer2013(file, "train")
        assert str(tmp_path) not in str(caught.value)


class TestFolder:
    def test_with_emotion_subfolders(self, tmp_path):
        faces = random_faces()
        for face, emotion in zip(faces, ("angry", "happy", "wistful"), strict=True):
            (tmp_path / "train" / emotion).mkdir(parents=True)
            (tmp_path / "train" / emotion / "1.png").write_bytes(encode(face))
        loaded = read_fer2013(tmp_path, "train")
        np.testing.assert_array_equal(loaded.images, faces)
        assert loaded.emotions == ("anger", "happiness", "")

    @pytest.mark.parametrize("name", ["validation", "valid", "val"])
    def test_without_subfolders(self, tmp_path, name):
        (tmp_path / name).mkdir()
        for index, face in enumerate(random_faces()):
            (tmp_path / name / f"{index}.png").write_bytes(encode(face))
        loaded = read_fer2013(tmp_path, "validation")
        np.testing.assert_array_equal(loaded.images, random_faces())
        np.testing.assert_array_equal(loaded.rows, [0, 1, 2])

    def test_jpeg_is_refused(self, tmp_path):
        (tmp_path / "test").mkdir()
        (tmp_path / "test" / "0.jpg").write_bytes(encode(random_faces()[0], "JPEG"))
        with pytest.raises(FaceDataError, match="lossless"):
            read_fer2013(tmp_path, "test")

    def test_missing_and_empty_splits_are_refused(self, tmp_path):
        (tmp_path / "train").mkdir()
        with pytest.raises(FaceDataError, match="train split is empty"):
            read_fer2013(tmp_path, "train")
        with pytest.raises(FaceDataError, match=r"no test split.*FER2013 is accepted as"):
            read_fer2013(tmp_path, "test")

    def test_path_that_leads_nowhere_is_refused(self, tmp_path):
        (tmp_path / "faces.zip").touch()
        for name in ("missing", "faces.zip"):
            with pytest.raises(FaceDataError, match="FER2013 is accepted as") as caught:
                read_fer2013(tmp_path / name, "test")
            assert str(tmp_path) not in str(caught.value)

    def test_unknown_split_is_refused(self, tmp_path):
        with pytest.raises(FaceDataError, match="train, validation or test"):
            read_fer2013(tmp_path, "all")


class TestBundled:
    def test_hundred_and_one_faces(self):
        faces = bundled_faces()
        assert faces.images.shape == (101, 48, 48)
        assert faces.images.dtype == np.uint8
        assert (faces.images.std(axis=(1, 2)) > 5).all()
        assert get_sample(faces, "lfw-0").label == "LFW face 0"
        assert get_sample(faces, "astronaut").image.shape == (48, 48)
        assert sample_emotions(faces) == []

    def test_they_stand_in_for_fer2013(self, tmp_path):
        assert load_samples(None).split == "bundled"
        write_parquet(tmp_path / "test.parquet", map(encode, random_faces()))
        assert load_samples(tmp_path).split == "test"

    @pytest.mark.slow
    def test_nothing_heavy_is_imported(self):
        code = (
            "import sys, denoiser.faces.samples as s; s.bundled_faces();"
            "print([m for m in ('gradio', 'pyarrow', 'pooch') if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"


class TestDetail:
    """A face beyond its 48x48 gray pixels."""

    def test_of_the_bundled_the_astronaut_has_it(self):
        faces = bundled_faces()
        assert get_sample(faces, "lfw-7").detail is None
        detail = get_sample(faces, "astronaut").detail
        assert (detail.shape, detail.dtype) == ((117, 117, 3), np.uint8)

    def test_sizes_and_colours(self):
        sample = get_sample(bundled_faces(), "astronaut")
        for size in (48, 96, 128):
            colour = face_at(sample.image, sample.detail, size, True)
            gray = face_at(sample.image, sample.detail, size, False)
            assert (colour.shape, gray.shape) == ((size, size, 3), (size, size))
            assert colour.dtype == gray.dtype == np.float32
            assert 0 <= colour.min() < colour.max() <= 1
            # The same face at all sizes, and its luma.
            assert np.abs(to_gray(colour) - gray).max() < 0.06
            assert np.abs(resize_square(gray, 48) - sample.image).mean() < 0.02
        assert face_at(sample.image, sample.detail, 48, False) is sample.image

    def test_a_gray_detail_stays_gray(self):
        image, detail = random_faces(1)[0] / np.float32(255), random_faces(1, 100)[0]
        assert face_at(image, detail, 128, True).shape == (128, 128)
        assert face_at(image, detail, 48, True) is image

    def test_where_there_is_no_more_it_stays_as_it_is(self):
        image = random_faces(1)[0] / np.float32(255)
        assert face_at(image, None, 128, True) is image


class TestPick:
    emotions = ("fear", "", "anger", "fear", "fear", "neutral")

    @pytest.fixture
    def faces(self):
        return FaceSet(
            random_faces(6), np.array([10, 11, 12, 13, 14, 15]), self.emotions, "test", "synthetic"
        )

    def test_emotions_present_in_order(self, faces):
        assert sample_emotions(faces) == ["neutral", "anger", "fear"]

    def test_of_one_emotion(self, faces):
        picked = pick_samples(faces, "fear", seed=0, count=10)
        assert {face.id for face in picked} == {f"fer2013-test-{row}" for row in (10, 13, 14)}
        assert {face.emotion for face in picked} == {"fear"}

    def test_seed_decides(self, faces):
        def ids(seed):
            return [face.id for face in pick_samples(faces, None, seed, count=4)]

        assert ids(1) == ids(1)
        assert len(set(ids(1))) == 4
        assert len({tuple(ids(seed)) for seed in range(5)}) > 1

    def test_sample_can_be_had_again_by_its_id(self, faces):
        (picked,) = pick_samples(faces, "anger", seed=0, count=1)
        again = get_sample(faces, picked.id)
        assert (again.id, again.label) == ("fer2013-test-12", "FER2013 test, row 12")
        assert again.image.dtype == np.float32
        np.testing.assert_array_equal(again.image, faces.images[2] / np.float32(255))

    def test_changing_a_sample_leaves_the_set_alone(self, faces):
        get_sample(faces, "fer2013-test-10").image[:] = 0
        assert faces.images[0].any()

    @pytest.mark.parametrize("sample_id", ["", "fer2013-test-9", "lfw-1", "../../etc/passwd"])
    def test_unknown_id(self, faces, sample_id):
        with pytest.raises(FaceDataError, match="looks like fer2013-test-10"):
            get_sample(faces, sample_id)

    def test_unknown_emotion(self, faces):
        with pytest.raises(FaceDataError, match="can be chosen: neutral, anger, fear"):
            pick_samples(faces, "contempt", seed=0, count=1)

    @pytest.mark.parametrize(("seed", "count"), [(-1, 1), (0, -1)])
    def test_negative_numbers(self, faces, seed, count):
        with pytest.raises(FaceDataError, match="from 0 up"):
            pick_samples(faces, None, seed, count)


@pytest.mark.fer2013
class TestRealFer2013:
    @pytest.fixture
    def folder(self):
        named = os.environ.get("FER2013_PATH")
        path = Path(named) if named else ROOT.parent / "shared" / "data" / "fer2013"
        if not path.exists():
            pytest.skip("FER2013 isn't here; set FER2013_PATH to test with it")
        return path

    def test_test_split(self, folder):
        faces = read_fer2013(folder, "test")
        assert 3_500 < len(faces) < 3_600
        assert set(faces.emotions) <= {*EMOTIONS, ""}
        assert len(set(faces.rows.tolist())) == len(faces)
        assert {"happiness", "neutral"} <= set(sample_emotions(faces))

    def test_opencv_and_pillow_decode_alike(self, folder):
        face = read_fer2013(folder, "validation").images[0]
        data = cv2.imencode(".png", face)[1].tobytes()
        with PIL.Image.open(io.BytesIO(data)) as picture:
            np.testing.assert_array_equal(np.asarray(picture), face)


class TestCopies:
    """Copies of FER2013 as they are found: cut off, saved anew, unpacked on a Mac, the challenge's."""

    def table(self, file, faces, usage="Training", label="3"):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_csv(file, faces, [usage] * len(faces))
        text = file.read_text()
        for index in range(len(faces)):
            text = text.replace(f"\n{index},", f"\n{label},", 1)
        file.write_text(text)
        return file

    @pytest.mark.parametrize("split", ["train", "validation", "test"])
    def test_another_number_of_pictures_is_named(self, tmp_path, monkeypatch, split):
        monkeypatch.setattr(fer2013, "COUNTS", dict.fromkeys(("train", "validation", "test"), (4, 3)))
        for count, complete in ((4, True), (3, True), (2, False), (5, False)):
            self.table(tmp_path / "fer2013.csv", random_faces(count), usage=split)
            faces = read_fer2013(tmp_path, split)
            expected = "" if complete else f"pictures: {count} instead of FER2013's 4"
            assert faces.remark == expected
            assert expected in faces.source

    @pytest.mark.parametrize(
        ("label", "emotion"),
        [
            *(("0", "anger"), ("6", "neutral"), ("3.0", "happiness"), ("1.", "disgust")),
            *(("happy", "happiness"), ("Fearful", "fear"), (" SAD ", "sadness")),
            ("not_a-face", "not a face"),
            *(("", ""), ("nan", "")),
        ],
    )  # fmt: skip
    def test_labels_are_understood(self, tmp_path, label, emotion):
        faces = read_fer2013(self.table(tmp_path / "fer2013.csv", random_faces(1), label=label), "train")
        assert faces.emotions == (emotion,)
        assert "not understood" not in faces.remark

    @pytest.mark.parametrize("label", ["7", "-1", "3.5", "wistful", "²"])
    def test_labels_that_are_not_understood_are_named(self, tmp_path, label):
        faces = read_fer2013(self.table(tmp_path / "fer2013.csv", random_faces(2), label=label), "train")
        assert faces.emotions == ("", "")
        assert f"not understood as emotions: '{label}'" in faces.remark
        assert faces.remark in faces.source

    def test_of_many_unknown_labels_a_few_are_named(self, tmp_path):
        write_parquet(tmp_path / "test.parquet", map(encode, random_faces(9)), label=list("abcdefgh0"))
        assert "'a', 'b', 'c', 'd', 'e' and 3 more" in read_fer2013(tmp_path, "test").remark

    @pytest.mark.parametrize("label", [3, 3.0, "3", "happy"])
    def test_labels_of_any_type_in_a_parquet(self, tmp_path, label):
        write_parquet(tmp_path / "test.parquet", map(encode, random_faces(2)), label=[label, None])
        assert read_fer2013(tmp_path, "test").emotions == ("happiness", "")

    def test_numbered_folders(self, tmp_path):
        for name in ("0", "3", "fearful", "wistful"):
            (tmp_path / "test" / name).mkdir(parents=True)
            (tmp_path / "test" / name / "1.png").write_bytes(encode(random_faces()[0]))
        faces = read_fer2013(tmp_path, "test")
        assert faces.emotions == ("anger", "happiness", "fear", "")
        assert "'wistful'" in faces.remark

    def test_hidden_files_are_passed_over(self, tmp_path):
        """What macOS leaves beside pictures, parquets and tables when it unpacks or copies them."""
        (tmp_path / "a" / "test" / "happy").mkdir(parents=True)
        for name in ("1.png", "._1.png"):
            (tmp_path / "a" / "test" / "happy" / name).write_bytes(encode(random_faces()[0]))
        (tmp_path / "a" / "test" / "happy" / "._1.png").write_bytes(b"\0\5\26\7")
        (tmp_path / "a" / "__MACOSX" / "test").mkdir(parents=True)
        write_parquet(tmp_path / "b" / "test-0.parquet", map(encode, random_faces()))
        (tmp_path / "b" / "._test-0.parquet").write_bytes(b"\0\5\26\7")
        self.table(tmp_path / "c" / "fer2013.csv", random_faces(2), usage="PrivateTest")
        (tmp_path / "c" / "._fer2013.csv").write_bytes(b"\0\5\26\7")
        assert [len(read_fer2013(tmp_path / name, "test")) for name in "abc"] == [1, 3, 2]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("name", ["fer2013.csv", "FER2013.CSV", "fer2013", "a/fer2013/fer2013.csv"])
    @pytest.mark.parametrize("header", ["usage", "Usage", "USAGE"])
    def test_tables_however_saved(self, tmp_path, delimiter, name, header):
        file = self.table(tmp_path / name, random_faces())
        text = file.read_text().replace("Usage", header).replace(",", delimiter)
        file.write_text(text)
        for place in (tmp_path, file):
            faces = read_fer2013(place, "train")
            np.testing.assert_array_equal(faces.images, random_faces())
            assert faces.emotions == ("happiness",) * 3

    def test_the_challenges_own_tables(self, tmp_path, monkeypatch):
        """test.csv without labels: PublicTest and PrivateTest, in that order, where it is whole."""
        monkeypatch.setattr(fer2013, "COUNTS", {"train": (3, 0), "validation": (2, 0), "test": (4, 0)})
        drawn = random_faces(9)
        self.table(tmp_path / "train.csv", drawn[:3])
        self.table(tmp_path / "test.csv", drawn[3:])
        for file in ("train.csv", "test.csv"):
            lines = (tmp_path / file).read_text().splitlines()
            kept = slice(0, 2) if file == "train.csv" else slice(1, 2)
            (tmp_path / file).write_text("\n".join(",".join(line.split(",")[kept]) for line in lines))
        for split, start, end in (("train", 0, 3), ("validation", 3, 5), ("test", 5, 9)):
            faces = read_fer2013(tmp_path, split)
            np.testing.assert_array_equal(faces.images, drawn[start:end])
            assert faces.remark == ""
            first = {"train": 0, "validation": 28_709, "test": 32_298}[split]
            np.testing.assert_array_equal(faces.rows, np.arange(first, first + end - start))
        self.table(tmp_path / "test.csv", drawn[:5])
        (tmp_path / "test.csv").write_text((tmp_path / "test.csv").read_text().replace(",Training", ""))
        (tmp_path / "test.csv").write_text((tmp_path / "test.csv").read_text().replace(",Usage", ""))
        assert len(read_fer2013(tmp_path, "test")) == 5
        with pytest.raises(FaceDataError, match="validation split is empty"):
            read_fer2013(tmp_path, "validation")
