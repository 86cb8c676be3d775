"""Scores of a denoiser of one's own: the same numbers as by hand, and honest words about them."""

import csv
import io
import math
import os
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas
import pytest
from scipy import ndimage, stats

import denoiser
from denoiser.analysis import scoring
from denoiser.analysis.repeats import paired_difference
from denoiser.analysis.results import NOISY, SUMMARY_NOISES, read_benchmark
from denoiser.analysis.scoring import RIVALS, score
from denoiser.denoisers.callables import OwnDenoiserError
from denoiser.denoisers.plugins import FileFunction
from denoiser.faces.fer2013 import FaceDataError
from denoiser.faces.samples import bundled_faces
from denoiser.faces.scored import find_test_faces
from denoiser.images import from_uint8

NOISE = "gaussian-25"


def mean_filter(noisy):
    return ndimage.uniform_filter(noisy, 3)


def nothing(noisy):
    return noisy


@pytest.fixture(scope="module")
def faces():
    """The first twelve of the bundled faces, with rows of their own."""
    all_faces = bundled_faces()
    return replace(
        all_faces,
        images=all_faces.images[:12],
        rows=np.arange(100, 112),
        emotions=all_faces.emotions[:12],
    )


def by_hand(faces, function, noise=NOISE, seed=0):
    """PSNR and SSIM of every face, by nothing but the public functions."""
    model = read_benchmark().noises[noise]
    pairs = []
    for face, row in zip(from_uint8(faces.images), faces.rows, strict=True):
        denoised = np.clip(function(model(face, int(row) + seed)), 0, 1)
        pairs.append((denoiser.psnr(denoised, face), denoiser.ssim(denoised, face)))
    return np.array(pairs).T


def rows_of(table):
    return {(row.noise, row.denoiser): row for row in table}


class TestMeasured:
    def test_figures_are_those_of_the_public_functions(self, faces):
        table = score(mean_filter, [NOISE], faces=faces, rivals=["median"])
        rows = rows_of(table)
        assert set(rows) == {(NOISE, name) for name in (NOISY, "median", "mean_filter")}
        median = denoiser.create_denoiser("median")
        for name, function in ((NOISY, nothing), ("median", median), ("mean_filter", mean_filter)):
            psnr, ssim = by_hand(faces, function)
            row = rows[NOISE, name]
            assert row.psnr == pytest.approx(psnr.mean(), abs=1e-9)
            assert row.ssim == pytest.approx(ssim.mean(), abs=1e-9)
            low, high = stats.t.interval(0.95, 11, psnr.mean(), stats.sem(psnr))
            assert (row.psnr_low, row.psnr_high) == pytest.approx((low, high))
            assert (row.pictures, row.source) == (12, "measured")
            assert row.gain == pytest.approx(psnr.mean() - by_hand(faces, nothing)[0].mean())

    def test_gaps_are_of_pairs(self, faces):
        rows = rows_of(score(mean_filter, [NOISE], faces=faces, rivals=["median"]))
        own, other = (by_hand(faces, f)[0] for f in (mean_filter, denoiser.create_denoiser("median")))
        expected = paired_difference(own.tolist(), other.tolist())
        row = rows[NOISE, "median"]
        found = (row.lead, row.lead_low, row.lead_high)
        assert found == pytest.approx((expected.mean, expected.low, expected.high))
        assert rows[NOISE, "mean_filter"].lead is None

    def test_another_seed_is_other_noise(self, faces):
        row = rows_of(score(mean_filter, [NOISE], faces=faces, rivals=[], seed=7))[NOISE, "mean_filter"]
        assert row.psnr == pytest.approx(by_hand(faces, mean_filter, seed=7)[0].mean(), abs=1e-9)

    def test_the_strength_is_told(self, faces):
        told = []

        def filtered(noisy, sigma):
            told.append(sigma)
            return noisy

        score(filtered, [NOISE], faces=faces, rivals=[], workers=1)
        assert set(told[-12:]) == {25 / 255}

    def test_noises_of_ones_own(self, faces):
        noise = denoiser.create_noise("gaussian", sigma=0.3)
        table = score("median", [noise, NOISE], faces=faces, rivals=["gaussian-filter"])
        assert {row.noise for row in table} == {noise.describe(), NOISE}
        for one in (noise, NOISE):
            assert len(score("median", one, faces=faces, rivals=[])) == 2

    def test_without_committed_figures_rivals_are_run(self, faces):
        table = score(mean_filter, [NOISE], faces=faces, first=2)
        assert {row.denoiser for row in table} == {NOISY, "mean_filter", *RIVALS}
        assert {row.source for row in table} == {"measured"}

    def test_one_of_ours_is_in_the_table_once(self, faces):
        table = score("median", [NOISE], faces=faces, rivals=["median", "median-5"])
        assert sorted(row.denoiser for row in table) == ["median", "median-5", NOISY]

    def test_a_perfect_picture_counts_100_db(self, faces):
        clean = {face.tobytes(): face for face in from_uint8(faces.images)}
        noises = {
            read_benchmark().noises[NOISE](face, int(row)).tobytes(): face
            for face, row in zip(clean.values(), faces.rows, strict=True)
        }

        def oracle(noisy):
            return noises.get(noisy.tobytes(), noisy)

        row = rows_of(score(oracle, [NOISE], faces=faces, rivals=[]))[NOISE, "oracle"]
        assert (row.psnr, row.ssim) == (100.0, pytest.approx(1.0))

    def test_the_number_of_workers_changes_nothing(self, faces):
        tables = [
            score(mean_filter, [NOISE], faces=faces, rivals=["median"], workers=workers)
            for workers in (1, 3)
        ]
        one, other = ([replace(row, milliseconds=None) for row in table] for table in tables)
        assert one == other

    def test_progress_goes_up_to_one(self, faces):
        shares = []
        score(mean_filter, SUMMARY_NOISES, faces=faces, rivals=[], progress=shares.append)
        assert shares == sorted(shares)
        assert shares[-1] == 1

    def test_a_file_that_takes_long_is_run_by_processes(self, faces, tmp_path, monkeypatch):
        path = tmp_path / "own_mean.py"
        path.write_text(
            "import os\nfrom scipy import ndimage\n"
            "def mean_filter(noisy):\n    return ndimage.uniform_filter(noisy, 3)\n"
            "def dies(noisy):\n    if os.getpid() != MAIN:\n        os._exit(1)\n    return noisy\n"
            "MAIN = int(os.environ['OWN_MEAN_MAIN'])\n"
        )
        monkeypatch.setattr(scoring, "_WORTH_PROCESSES", 0.0)
        monkeypatch.setenv("OWN_MEAN_MAIN", str(os.getpid()))
        function = FileFunction(path, "mean_filter")
        found = score(function, [NOISE], faces=faces, rivals=["median"], workers=2)
        expected = score(mean_filter, [NOISE], faces=faces, rivals=["median"])
        one, other = ([replace(row, milliseconds=None) for row in t] for t in (found, expected))
        assert one == other
        with pytest.raises(OwnDenoiserError, match="A process that ran Dies ended"):
            score(FileFunction(path, "dies"), [NOISE], faces=faces, rivals=[], workers=2)


class TestRefused:
    def test_a_noise_that_nobody_knows(self, faces):
        with pytest.raises(ValueError, match="Unknown noise 'fog'; choose of gaussian-low, "):
            score(mean_filter, ["fog"], faces=faces)

    @pytest.mark.parametrize("options", [{"noises": []}, {"first": 1}, {"rivals": ["medain"]}])
    def test_what_makes_no_score(self, faces, options):
        with pytest.raises(ValueError, match=r"no noise|at least 2 faces|Unknown denoiser 'medain'"):
            score(mean_filter, **({"faces": faces} | options))

    def test_a_function_that_fails_under_some_noise(self, faces):
        def fragile(noisy):
            return None if (noisy == 1).mean() > 0.03 else noisy

        with pytest.raises(OwnDenoiserError, match=r"returned nothing.*\(under .*, seed 1\d\d\)\.$"):
            score(fragile, ["salt-and-pepper-10"], faces=faces, rivals=[])


class TestCommitted:
    """Figures of the same noisy pictures, put beside; here a benchmark of twelve faces is made up."""

    @pytest.fixture
    def test_split(self, faces, monkeypatch):
        split = replace(faces, split="test", source="FER2013, test split")
        benchmark = read_benchmark()
        noisy = by_hand(split, nothing)[0].mean()
        pairs = {(name, NOISE): 12 for name in (NOISY, "median", "wavelet")}
        made_up = replace(
            benchmark,
            pictures=MappingProxyType({**pairs, ("flow-unet", NOISE): 5}),
            scores={**benchmark.scores, (NOISY, NOISE): {"psnr": noisy, "ssim": 0.5}},
        )
        monkeypatch.setattr(scoring, "read_benchmark", lambda: made_up)
        return split

    def test_stand_beside_with_the_widest_interval(self, test_split):
        rows = rows_of(score(mean_filter, [NOISE], faces=test_split))
        assert set(rows) == {(NOISE, name) for name in (NOISY, "mean_filter", "median", "wavelet")}
        row, benchmark = rows[NOISE, "median"], read_benchmark()
        assert (row.source, row.milliseconds) == ("committed", None)
        assert row.psnr == benchmark.value("median", NOISE, "psnr")
        own = by_hand(test_split, mean_filter)[0]
        error = benchmark.deviations["median", NOISE]["psnr"] / math.sqrt(11)
        half = stats.t.ppf(0.975, 11) * (stats.sem(own) + error)
        gap = own.mean() - row.psnr
        expected = (gap, gap - half, gap + half)
        assert (row.lead, row.lead_low, row.lead_high) == pytest.approx(expected)
        assert row.psnr_high - row.psnr == pytest.approx(stats.t.ppf(0.975, 11) * error)

    def test_that_interval_holds_that_of_pairs(self, test_split):
        other = denoiser.create_denoiser("median")
        own, median = (by_hand(test_split, f)[0] for f in (mean_filter, other))
        pairs = paired_difference(own.tolist(), median.tolist())
        errors = stats.sem(own) + stats.sem(median)
        assert stats.t.ppf(0.975, 11) * errors >= pairs.high - pairs.mean

    def test_are_left_out_where_the_pictures_are_others(self, test_split):
        assert all(
            row.source == "measured" for row in score(mean_filter, [NOISE], faces=test_split, seed=1)
        )
        few = score(mean_filter, [NOISE], faces=test_split, first=11)
        assert all(row.source == "measured" for row in few)
        assert "median" in {row.denoiser for row in few}
        brighter = replace(test_split, images=test_split.images // 2 + 128)  # another copy of FER2013
        rows = score(mean_filter, [NOISE], faces=brighter)
        assert {row.denoiser for row in rows} == {NOISY, "mean_filter"}
        assert "another copy of FER2013" in rows.about

    def test_are_not_mixed_with_rivals_that_were_asked_for(self, test_split):
        table = score(mean_filter, [NOISE], faces=test_split, rivals=["median"])
        assert {row.source for row in table} == {"measured"}


class TestWords:
    def test_doing_nothing(self, faces):
        (sentence,) = score(nothing, [NOISE], faces=faces, rivals=["median"]).sentences
        assert sentence.startswith(
            f"{NOISE}: Nothing can't be told from doing nothing; worse than 1 of 1"
        )

    def test_better_worse_and_level(self, faces):
        def median(noisy):
            return denoiser.create_denoiser("median")(noisy)

        table = score(median, [NOISE], faces=faces, rivals=["median", "median-5", "residual-unet"])
        rows = rows_of(table)
        (sentence,) = table.sentences
        gain, wide, net = (rows[NOISE, name].lead for name in (NOISY, "median-5", "residual-unet"))
        assert f"Median gains {gain:.2f} dB (" in sentence
        assert f"better than 1 of 3 methods, the closest: Median 5x5 by {wide:.2f} dB (" in sentence
        assert "not to be told from Median 3x3;" in sentence
        assert f"worse than 1 of 3 methods, the closest: Residual U-Net by {-net:.2f} dB (" in sentence

    def test_a_loss(self, faces):
        def darken(noisy):
            return noisy * 0.5

        table = score(darken, [NOISE], faces=faces, rivals=[])
        (sentence,) = table.sentences
        assert "means over pairs" in table.about
        assert "Darken is worse than doing nothing, by " in sentence

    def test_what_it_is_about(self, faces):
        table = score(mean_filter, [NOISE], faces=faces, rivals=[])
        assert "12 faces, the noise of each seeded by its row." in table.about
        assert "can't be compared" in table.about
        assert "by its row and 3" in score(mean_filter, [NOISE], faces=faces, rivals=[], seed=3).about


@pytest.fixture(scope="module")
def table(faces):
    own = denoiser.wrap(mean_filter, "Mean | 3x3")
    return score(own, [NOISE, "impulse-30"], faces=faces, rivals=["median"])


class TestTable:
    def test_is_a_sequence_of_rows_the_best_of_each_noise_first(self, table):
        assert len(table) == 6
        assert table[0] is table.rows[0]
        assert list(table[:3]) == sorted(table[:3], key=lambda row: -row.psnr)
        assert [row.noise for row in table] == [NOISE] * 3 + ["impulse-30"] * 3

    def test_pandas_takes_it(self, table):
        frame = pandas.DataFrame(table.records())
        assert list(frame["psnr"]) == [row.psnr for row in table]
        assert frame.pivot(index="label", columns="noise", values="psnr").shape == (3, 2)

    def test_csv(self, table, tmp_path):
        text = table.to_csv(tmp_path / "scores.csv")
        assert (tmp_path / "scores.csv").read_text() == text
        read = list(csv.DictReader(io.StringIO(text)))
        assert [float(row["psnr"]) for row in read] == [row.psnr for row in table]
        assert [row["lead"] for row in read].count("") == 2

    def test_markdown(self, table):
        lines = table.to_markdown().splitlines()
        assert lines[0] == f"| denoiser | {NOISE} | impulse-30 |"
        (own,) = (line for line in lines if line.startswith("| **Mean"))
        row = rows_of(table)[NOISE, "mean-3x3"]
        half = row.psnr_high - row.psnr
        assert own.startswith(f"| **Mean \\| 3x3** | {row.psnr:.2f} ± {half:.2f} / {row.ssim:.3f} | ")
        assert len([line for line in lines if line.startswith("|")]) == 5
        assert all(sentence in lines for sentence in (*table.sentences, table.about))
        assert table._repr_markdown_() == table.to_markdown()


class TestFaces:
    def test_a_folder(self, tmp_path, faces):
        for index, face in enumerate(from_uint8(faces.images[:3])):
            (tmp_path / f"{index}.png").write_bytes(denoiser.images.to_png(face))
        (tmp_path / "notes.txt").write_text("no picture")
        found = find_test_faces(tmp_path)
        np.testing.assert_array_equal(found.images, faces.images[:3])
        assert (list(found.rows), found.split) == ([0, 1, 2], "folder")

    def test_larger_pictures_are_cut_to_the_face(self, tmp_path):
        from skimage.data import astronaut

        photo = denoiser.Photo(np.ascontiguousarray(astronaut()))
        denoiser.write_photo(photo, tmp_path / "astronaut.png")
        found = find_test_faces(tmp_path)
        np.testing.assert_array_equal(found.images[0], bundled_faces().images[-1])

    def test_what_has_none(self, tmp_path):
        with pytest.raises(FaceDataError, match="There is no picture in the folder"):
            find_test_faces(tmp_path)
        with pytest.raises(FaceDataError, match="can't be read: No such file"):
            find_test_faces(tmp_path / "nowhere")
        (tmp_path / "broken.png").write_bytes(b"no")
        with pytest.raises(FaceDataError, match=r"broken\.png: "):
            find_test_faces(tmp_path)

    def test_the_bundled_ones(self, monkeypatch):
        assert find_test_faces("bundled").split == "bundled"
        monkeypatch.delenv("FER2013_PATH", raising=False)
        monkeypatch.setattr("denoiser.faces.scored.find_fer2013", lambda: None)
        monkeypatch.setenv("DENOISER_FER2013_DATASET", "")
        assert find_test_faces().split == "bundled"


@pytest.mark.fer2013
def test_a_filter_of_ours_has_its_committed_figures(fer2013):
    table = score(denoiser.wrap(denoiser.create_denoiser("median"), "Mine"), [NOISE], faces=fer2013)
    row, benchmark = rows_of(table)[NOISE, "mine"], read_benchmark()
    assert row.psnr == pytest.approx(benchmark.value("median", NOISE, "psnr"), abs=1e-3)
    assert rows_of(table)[NOISE, "median"].source == "committed"
    assert rows_of(table)[NOISE, "median"].lead == pytest.approx(0, abs=1e-3)
