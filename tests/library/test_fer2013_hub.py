"""FER2013 from a Hub, over real HTTP: what is good appears, and whatever goes wrong is one sentence.

All pictures here are made up.
"""

import io
import json
import time
import urllib.request

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gradio_client import Client
from huggingface_hub import constants

import train.evaluation.score
import train.fit
from denoiser.faces import fer2013 as reader
from denoiser.faces.download import (
    DEFAULT_DATASET,
    Dataset,
    DownloadError,
    cached_fer2013,
    fetch_fer2013,
    locate_fer2013,
)
from denoiser.faces.fer2013 import FaceDataError, read_fer2013
from denoiser.faces.samples import pick_samples
from denoiser.ui.experiment.face_source import FaceSource, find_faces
from denoiser.weights import hub as hub_module
from tests.browser.hub_app import running_hub_app
from tests.tiny import pictures, write_config
from train.__main__ import main

ID = "someone/faces"
DATASET = Dataset(ID)
PUBLISHED = reader.COUNTS
COUNTS = {"train": (20, 18), "validation": (6, 5), "test": (15, 14)}


def encode(picture, kind="PNG"):
    file = io.BytesIO()
    PIL.Image.fromarray(picture).save(file, kind)
    return file.getvalue()


def parquet(images, kind="PNG", labels=True):
    """Made-up pictures as AutumnQiu/fer2013 stores them."""
    cells = [{"bytes": encode(image, kind), "path": None} for image in images]
    columns = {"label": [index % 7 for index in range(len(images))]} if labels else {}
    file = io.BytesIO()
    pq.write_table(pa.table({"image": cells, **columns}), file)
    return file.getvalue()


def fer2013(counts=(20, 6, 15), names=("train", "valid", "test")):
    return {
        f"data/{name}-00000-of-00001.parquet": parquet(pictures(count, seed))
        for seed, (name, count) in enumerate(zip(names, counts, strict=True))
    }


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """A FER2013 of 41 pictures, none of it here; and no wait for what will not come."""
    monkeypatch.setattr(reader, "COUNTS", COUNTS)
    monkeypatch.setattr(reader, "__file__", str(tmp_path / "denoiser" / "faces" / "fer2013.py"))
    monkeypatch.delenv("FER2013_PATH", raising=False)
    monkeypatch.setenv("DENOISER_FER2013_DATASET", ID)
    monkeypatch.setattr(hub_module, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(hub_module, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(hub_module, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def remote(loopback_hub):
    loopback_hub.add_repo("dataset", ID, fer2013())
    return loopback_hub


def asked_for(hub, name):
    return [request for request in hub.requests if name in request.path]


class TestFetch:
    def test_every_split_arrives(self, remote):
        folder = fetch_fer2013(DATASET)
        for seed, (split, first) in enumerate([("train", 0), ("validation", 28_709), ("test", 32_298)]):
            faces = read_fer2013(folder, split)
            np.testing.assert_array_equal(faces.images, pictures(COUNTS[split][0], seed))
            np.testing.assert_array_equal(faces.rows, first + np.arange(len(faces)))
            assert faces.emotions[:3] == ("anger", "disgust", "fear")

    def test_it_lies_in_the_cache_and_is_not_fetched_again(self, remote):
        assert cached_fer2013(DATASET, ["test"]) is None
        folder = fetch_fer2013(DATASET, ["test"])
        assert str(folder).startswith(constants.HF_HUB_CACHE)
        asked = len(remote.requests)
        assert fetch_fer2013(DATASET, ["test"]) == cached_fer2013(DATASET, ["test"]) == folder
        assert cached_fer2013(DATASET, ["test", "train"]) is None
        assert len(remote.requests) == asked

    def test_nothing_else_is_fetched(self, remote):
        remote.add_repo("dataset", ID, {"faces.py": b"boom()", "test.pt": b"\x80", "README.md": b"#"})
        fetch_fer2013(DATASET, ["test"])
        assert asked_for(remote, "data/test-00000-of-00001.parquet")
        for name in ("train-", "valid-", "faces.py", "test.pt", "README"):
            assert not asked_for(remote, name)

    @pytest.mark.parametrize(
        "names", [("train", "validation", "test"), ("training", "publicTest", "privateTest")]
    )
    def test_other_names_of_splits(self, loopback_hub, names):
        loopback_hub.add_repo("dataset", ID, fer2013(names=names))
        folder = fetch_fer2013(DATASET)
        np.testing.assert_array_equal(read_fer2013(folder, "validation").images, pictures(6, 1))

    def test_a_split_in_two_parts(self, loopback_hub):
        made = pictures(15, 0)
        parts = {"test-00000-of-00002.parquet": made[:9], "test-00001-of-00002.parquet": made[9:]}
        loopback_hub.add_repo("dataset", ID, {name: parquet(part) for name, part in parts.items()})
        folder = fetch_fer2013(DATASET, ["test"])
        np.testing.assert_array_equal(read_fer2013(folder, "test").images, made)

    def test_a_part_that_is_missing_in_the_cache_is_fetched(self, remote):
        folder = fetch_fer2013(DATASET, ["test"])
        (folder / "data" / "test-00000-of-00001.parquet").unlink()
        assert len(read_fer2013(fetch_fer2013(DATASET, ["test"]), "test")) == 15

    def test_a_revision(self, remote):
        old = remote.refs("dataset", ID)["main"]
        remote.add_repo("dataset", ID, {"data/test-00000-of-00001.parquet": b"no parquet any more"})
        assert len(read_fer2013(fetch_fer2013(Dataset(ID, old), ["test"]), "test")) == 15

    def test_fewer_faces_of_ferplus_are_fine(self, loopback_hub):
        loopback_hub.add_repo("dataset", ID, fer2013((18, 5, 14)))
        assert len(read_fer2013(fetch_fer2013(DATASET), "test")) == 14

    def test_progress(self, remote):
        seen = []
        fetch_fer2013(DATASET, ["test"], lambda done, size: seen.append((done, size)))
        size = len(remote.files("dataset", ID)["data/test-00000-of-00001.parquet"])
        assert seen[-1] == (size, size)


class TestRefused:
    def check(self, message, splits=("test",), error=FaceDataError):
        with pytest.raises(FaceDataError, match=message) as caught:
            read_fer2013(fetch_fer2013(DATASET, splits), splits[0])
        assert type(caught.value) is error
        assert str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)
        for secret in (constants.HF_HUB_CACHE, "127.0.0.1", "localhost"):
            assert secret not in str(caught.value)

    def test_jpeg(self, loopback_hub):
        files = {"data/test-00000-of-00001.parquet": parquet(pictures(15, 0), "JPEG")}
        loopback_hub.add_repo("dataset", ID, files)
        self.check("JPEG")

    @pytest.mark.parametrize("picture", [np.zeros((48, 48, 3), np.uint8), np.zeros((47, 48), np.uint8)])
    def test_other_pictures(self, loopback_hub, picture):
        files = {"data/test-00000-of-00001.parquet": parquet([*pictures(14, 0), picture])}
        loopback_hub.add_repo("dataset", ID, files)
        self.check("48x48 gray")

    @pytest.mark.parametrize("count", [1, 13, 16])
    def test_another_number_of_pictures(self, loopback_hub, count):
        loopback_hub.add_repo("dataset", ID, fer2013((20, 6, count)))
        self.check(f"isn't FER2013: its test split has {count} pictures instead of 15")

    def test_a_split_that_is_not_there(self, loopback_hub):
        loopback_hub.add_repo("dataset", ID, fer2013(names=("train", "valid", "rest")))
        self.check("no parquet files of the test split")

    def test_no_parquet(self, loopback_hub):
        loopback_hub.add_repo("dataset", ID, {"data/test-00000-of-00001.parquet": b"PAR1 or not"})
        self.check("can't be read")

    def test_a_dataset_that_is_not_there(self, loopback_hub):
        self.check("no such repository", error=DownloadError)

    @pytest.mark.parametrize("fault", [401, 403, "gated", 404, 429, 500, 503, "drop", "silent"])
    @pytest.mark.parametrize("where", ["/api/datasets/", "/resolve/"])
    def test_a_hub_that_refuses(self, remote, where, fault):
        remote.fault(where, fault)
        self.check("from the Hub", error=DownloadError)
        remote.mend()
        assert len(read_fer2013(fetch_fer2013(DATASET, ["test"]), "test")) == 15

    @pytest.mark.parametrize("fault", ["cut", "reset", "stall", "flip"])
    def test_a_download_that_breaks(self, remote, fault):
        remote.fault("test-00000", fault, method="GET")
        self.check("from the Hub", error=DownloadError)
        assert cached_fer2013(DATASET, ["test"]) is None
        remote.mend()
        assert len(read_fer2013(fetch_fer2013(DATASET, ["test"]), "test")) == 15

    def test_an_endless_file(self, remote, monkeypatch):
        monkeypatch.setattr("denoiser.faces.download._LARGEST_FILE", 100)
        self.check("too large", error=DownloadError)


class TestLocate:
    @pytest.mark.parametrize("place", [ID, f"hf://datasets/{ID}", f"hf://datasets/{ID}@main"])
    def test_ids(self, remote, place):
        folder = locate_fer2013(place, "test")
        assert len(read_fer2013(folder, "test")) == 15
        assert not asked_for(remote, "train-")

    def test_all_splits_by_default(self, remote):
        assert len(read_fer2013(locate_fer2013(ID), "train")) == 20

    def test_a_folder_of_that_name_has_precedence(self, remote, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / ID).mkdir(parents=True)
        assert (tmp_path / locate_fer2013(ID)).samefile(tmp_path / ID)
        assert remote.requests == []

    @pytest.mark.parametrize("place", ["fer2013.csv", "/data/fer2013", "../data", "a/b/c", "./faces"])
    def test_other_paths_are_left_alone(self, remote, place):
        assert str(locate_fer2013(place)) == place.removeprefix("./")
        assert remote.requests == []

    def test_the_sentence_says_that_there_is_no_folder_either(self, loopback_hub):
        with pytest.raises(FaceDataError, match=r"no a/b on this machine.*no such repository"):
            locate_fer2013("a/b")


class TestSource:
    def test_bundled_faces_until_fer2013_has_come(self, remote):
        source = find_faces()
        assert source.offer.faces.split == "bundled"
        assert source.offer.coming
        assert "being downloaded" in source.offer.about
        assert remote.requests == []  # finding never waits for the Hub
        source.fetch()
        assert source.has_changed
        assert not source.offer.coming
        assert source.offer.faces.split == "test"
        assert f"15 faces, from {ID}" in source.offer.about

    def test_faces_on_offer_before_are_still_to_be_had(self, remote):
        source = find_faces()
        with pytest.raises(FaceDataError, match="looks like lfw"):
            source.get("fer2013-test-32298")
        source.fetch()
        assert source.get("fer2013-test-32298").emotion == "anger"
        assert source.get("lfw-7").label == "LFW face 7"
        with pytest.raises(FaceDataError):
            source.get("lfw-1000")

    def test_progress_is_told(self, remote, monkeypatch):
        source, told = find_faces(), []
        note = source._note_progress

        def listen(done, total):
            note(done, total)
            told.append(source.offer)

        monkeypatch.setattr(source, "_note_progress", listen)
        source.fetch()
        assert all(offer.coming and "MB)" in offer.about for offer in told)
        assert told

    def test_cached_faces_are_there_from_the_start(self, remote):
        fetch_fer2013(DATASET, ["test"])
        remote.fault("", "silent")
        asked = len(remote.requests)
        source = find_faces()
        assert source.offer.faces.split == "test"
        assert not source.offer.coming
        source.fetch()
        assert len(remote.requests) == asked

    def test_offline_nothing_is_fetched_and_the_cache_is_used(self, remote, monkeypatch):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        source = find_faces()
        source.fetch()
        assert (source.offer.faces.split, source.offer.coming) == ("bundled", False)
        assert remote.requests == []
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        fetch_fer2013(DATASET, ["test"])
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert find_faces().offer.faces.split == "test"

    def test_an_empty_variable_switches_it_off(self, remote, monkeypatch):
        monkeypatch.setenv("DENOISER_FER2013_DATASET", "")
        source = find_faces()
        source.fetch()
        assert (source.offer.faces.split, source.offer.coming) == ("bundled", False)
        assert "set FER2013_PATH" in source.offer.about
        assert remote.requests == []

    def test_the_default(self, loopback_hub, monkeypatch):
        monkeypatch.delenv("DENOISER_FER2013_DATASET")
        loopback_hub.add_repo("dataset", DEFAULT_DATASET, fer2013())
        source = find_faces()
        source.fetch()
        assert f"from {DEFAULT_DATASET}" in source.offer.about

    def test_what_is_here_has_precedence(self, remote, tmp_path):
        folder = tmp_path / "data" / "fer2013"
        folder.mkdir(parents=True)
        (folder / "test.parquet").write_bytes(parquet(pictures(3, 7)))
        source = find_faces()
        source.fetch()
        np.testing.assert_array_equal(source.offer.faces.images, pictures(3, 7))
        assert remote.requests == []

    @pytest.mark.parametrize("named", ["faces", "https://example.org/x", "a/b/c", "../faces"])
    def test_a_variable_that_is_no_id(self, remote, monkeypatch, named):
        monkeypatch.setenv("DENOISER_FER2013_DATASET", named)
        source = find_faces()
        assert (source.offer.faces.split, source.offer.coming) == ("bundled", False)
        assert "must be a dataset's id" in source.offer.about
        assert remote.requests == []

    def test_cached_jpeg_is_refused_at_once(self, loopback_hub):
        data = parquet(pictures(15, 0), "JPEG")
        loopback_hub.add_repo("dataset", ID, {"data/test-00000-of-00001.parquet": data})
        fetch_fer2013(DATASET, ["test"])
        source = find_faces()
        assert (source.offer.faces.split, source.offer.coming) == ("bundled", False)
        assert "JPEG" in source.offer.about

    @pytest.mark.parametrize("kind", ["JPEG", "count"])
    def test_what_is_no_fer2013_is_not_asked_for_twice(self, loopback_hub, kind):
        data = parquet(pictures(15, 0), "JPEG") if kind == "JPEG" else parquet(pictures(3, 0))
        loopback_hub.add_repo("dataset", ID, {"data/test-00000-of-00001.parquet": data})
        source = find_faces()
        source.pauses = [0, 0, 0]
        source.fetch()
        assert (source.offer.faces.split, source.offer.coming) == ("bundled", False)
        assert "FER2013 can't be downloaded: " in source.offer.about
        assert "set FER2013_PATH" in source.offer.about
        assert len(asked_for(loopback_hub, "/api/datasets/")) == 1

    def test_a_hub_that_is_down_for_a_moment(self, remote):
        remote.fault("/api/datasets/", 503, times=2)
        source = find_faces()
        source.pauses = [0, 0]
        source.fetch()
        assert source.offer.faces.split == "test"

    def test_a_hub_that_stays_down(self, remote):
        remote.fault("/api/datasets/", 503)
        source = find_faces()
        source.pauses = [0, 0]
        source.fetch()
        assert (source.offer.faces.split, source.offer.coming) == ("bundled", False)
        assert "a problem of its own" in source.offer.about
        assert "Another try" not in source.offer.about

    def test_between_two_tries_it_is_still_coming(self, remote, monkeypatch):
        remote.fault("/api/datasets/", 503, times=1)
        source, seen = find_faces(), []
        monkeypatch.setattr(
            "denoiser.ui.experiment.face_source.time.sleep", lambda _: seen.append(source.offer)
        )
        source.fetch()
        [offer] = seen
        assert offer.coming
        assert "Another try follows" in offer.about
        assert source.has_changed

    def test_an_error_nobody_thought_of_does_not_leave_the_page_waiting(self, remote, monkeypatch):
        def fail(*_):
            raise KeyError("x")

        monkeypatch.setattr("denoiser.ui.experiment.face_source.fetch_fer2013", fail)
        source = find_faces()
        source.fetch()
        assert not source.offer.coming


class TestTraining:
    """``--data`` takes an id; the commands themselves get a folder."""

    @pytest.fixture
    def given(self, monkeypatch):
        given = []
        monkeypatch.setattr(train.evaluation.score, "evaluate", lambda data, **_: given.append(data))
        monkeypatch.setattr(train.fit, "fit", lambda config, data, **_: given.append(data))
        return given

    @pytest.mark.parametrize("data", [ID, f"hf://datasets/{ID}"])
    def test_evaluation_fetches_the_test_split_alone(self, remote, given, data):
        assert main(["evaluate", "--data", data]) == 0
        [folder] = given
        assert len(read_fer2013(folder, "test")) == 15
        assert not asked_for(remote, "train-")

    def test_training_fetches_all(self, remote, given, tmp_path):
        config = write_config(tmp_path / "tiny.toml")
        assert main(["fit", str(config), "--data", ID]) == 0
        [folder] = given
        assert [len(read_fer2013(folder, split)) for split in COUNTS] == [20, 6, 15]

    def test_a_hub_that_is_down_is_one_sentence(self, remote, given, capsys):
        remote.fault("", 503)
        assert main(["evaluate", "--data", ID]) == 1
        assert capsys.readouterr().err.count("\n") == 1
        assert given == []


class TestApp:
    """The real app, for which as many made-up pictures are FER2013."""

    @pytest.mark.slow
    def test_the_page_is_served_while_the_hub_is_mute_and_the_faces_follow(
        self, loopback_hub, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(reader, "COUNTS", PUBLISHED)
        count = PUBLISHED["test"][0]
        remote = loopback_hub
        remote.add_repo("dataset", ID, fer2013((1, 1, count)))
        remote.fault("", "silent")
        with running_hub_app(remote, ID, tmp_path / "home") as url:
            config = urllib.request.urlopen(f"{url}/config", timeout=30).read().decode()
            assert "FER2013 is being downloaded" in json.dumps(json.loads(config))
            client = Client(url, verbose=False)
            assert client.predict(count=0, api_name="/samples")["total"] == 101
            remote.mend()
            deadline = time.monotonic() + 120
            while (found := client.predict(count=3, api_name="/samples"))["total"] != count:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert found["source"] == "FER2013, test split"
            faces = read_fer2013(fetch_fer2013(DATASET, ["test"]), "test")
            expected = [sample.id for sample in pick_samples(faces, None, 0, 3)]
            assert [sample["id"] for sample in found["samples"]] == expected
            for sample in (expected[0], "lfw-7"):
                answer = client.predict(sample=sample, denoisers=["median"], api_name="/compare")
                assert answer["methods"]["median"]["psnr"] > 0


def test_a_source_without_a_dataset_fetches_nothing(loopback_hub, monkeypatch):
    monkeypatch.setenv("DENOISER_FER2013_DATASET", "")
    source = FaceSource(find_faces().offer)
    source.fetch()
    assert loopback_hub.requests == []
