"""Scoring, the tables made of it, and the model cards."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard

from denoiser.architectures import build_network
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.network import NetworkDenoiser
from denoiser.denoisers.registry import create_denoiser
from denoiser.faces.fer2013 import FaceSet, read_fer2013
from denoiser.images import from_uint8
from denoiser.metrics import psnr, ssim
from denoiser.noise import create_noise
from denoiser.weights.checkpoint import ModelConfig, read_config
from tests.tiny import pictures, write_fer2013
from tests.weights import save_model
from train.__main__ import main
from train.config import ConfigError
from train.evaluation import readme as report
from train.evaluation import score as score_module
from train.evaluation.score import (
    CONDITIONS,
    FLOW_PICTURES,
    NOISY,
    Pictures,
    Score,
    corrupt_all,
    count_pictures,
    denoise_all,
    evaluate,
    kept_scores,
    limit_of,
    score,
)
from train.files import file_hash
from train.publish.cards import FiguresError, write_card

GAUSSIAN = create_noise("gaussian", sigma=0.1)


@pytest.fixture(scope="module")
def faces():
    rows = np.array([4, 35_000, 2, 99, 7])
    return FaceSet(pictures(5, seed=3), rows, ("",) * 5, "test", "made up")


class Told(Denoiser):
    """Returns the strength that it is told as a flat picture."""

    info = DenoiserInfo("told", "Told", "classical", True, None, 0, "-")

    def _denoise(self, noisy, sigma):
        return np.full_like(noisy, sigma)


class Perfect(Denoiser):
    info = DenoiserInfo("perfect", "Perfect", "classical", False, None, 0, "-")

    def _denoise(self, noisy, sigma):
        return noisy


# Scoring


def test_conditions_are_what_their_names_say():
    assert {"gaussian-low", "gaussian-high", "salt-and-pepper-10"} <= set(CONDITIONS)
    assert CONDITIONS["gaussian-25"].sigma == 25 / 255
    assert CONDITIONS["gaussian-50"].sigma == 50 / 255
    assert CONDITIONS["salt-and-pepper-30"].amount == 0.3
    assert CONDITIONS["impulse-30"].amount == 0.3
    assert CONDITIONS["poisson-30"].peak == 30
    assert len(set(CONDITIONS.values())) == len(CONDITIONS)


def test_faces_are_corrupted_by_the_public_noise_seeded_by_row(faces):
    pictures = corrupt_all(faces, GAUSSIAN)
    for index, row in enumerate(faces.rows):
        face = from_uint8(faces.images[index])
        np.testing.assert_array_equal(pictures.clean[index], face)
        np.testing.assert_array_equal(pictures.noisy[index], GAUSSIAN(face, seed=int(row)))
    assert pictures.sigmas == [0.1] * 5
    assert corrupt_all(faces, create_noise("impulse")).sigmas == [None] * 5
    speckle = create_noise("speckle", sigma=0.2)
    expected = [speckle.known_sigma(from_uint8(face)) for face in faces.images]
    assert corrupt_all(faces, speckle).sigmas == expected


def test_scores_are_means_of_the_public_metrics(faces):
    pictures = corrupt_all(faces, GAUSSIAN)
    median = create_denoiser("median")
    result = score(median, pictures, "gaussian-x")
    denoised = [median(noisy) for noisy in pictures.noisy]
    psnrs = [psnr(a, b) for a, b in zip(denoised, pictures.clean, strict=True)]
    ssims = [ssim(a, b) for a, b in zip(denoised, pictures.clean, strict=True)]
    assert result.psnr == pytest.approx(np.mean(psnrs), abs=1e-4)
    assert result.psnr_std == pytest.approx(np.std(psnrs), abs=1e-4)
    assert result.ssim == pytest.approx(np.mean(ssims), abs=1e-5)
    assert result.ssim_std == pytest.approx(np.std(ssims), abs=1e-5)
    assert (result.denoiser, result.noise, result.pictures) == ("median", "gaussian-x", 5)


def test_noisy_pictures_are_scored_too(faces):
    pictures = corrupt_all(faces, GAUSSIAN)
    result = score(None, pictures, "gaussian-x")
    assert result.denoiser == NOISY
    expected = np.mean([psnr(a, b) for a, b in zip(pictures.noisy, pictures.clean, strict=True)])
    assert result.psnr == pytest.approx(expected, abs=1e-4)
    assert result.sharpness > 1  # noise counts as edges
    assert result.spectral_distance > 0


def test_perfect_pictures(faces):
    clean = from_uint8(faces.images)
    result = score(Perfect(), Pictures(clean, clean, [None] * 5), "none")
    assert (result.psnr, result.psnr_std, result.ssim) == (100.0, 0.0, 1.0)
    assert result.sharpness == pytest.approx(1)
    assert result.spectral_distance == pytest.approx(0, abs=1e-3)


def test_filters_are_told_the_true_strength_of_each_picture():
    noisy = np.random.default_rng(0).random((3, 16, 16), dtype=np.float32)
    told = denoise_all(Told(), noisy, [0.1, 0.2, 0.3])
    np.testing.assert_allclose(told[:, 0, 0], [0.1, 0.2, 0.3], rtol=1e-6)
    estimated = denoise_all(Told(), noisy[:1], [None])
    assert estimated[0, 0, 0] == pytest.approx(Told().resolve_sigma(noisy[0]).value)


@pytest.mark.parametrize("side", [48, 31])
def test_networks_in_batches_give_what_they_give_one_by_one(side):
    info = DenoiserInfo("tiny", "Tiny", "network", False, "-", 0, "-")
    model = NetworkDenoiser(info, build_network("attention-unet", {"widths": [4, 8]}).eval())
    noisy = np.random.default_rng(0).random((70, side, side), dtype=np.float32)  # over one batch
    together = denoise_all(model, noisy, [None] * 70)
    assert together.shape == noisy.shape
    np.testing.assert_allclose(together, np.stack([model(p) for p in noisy]), atol=1e-5)
    assert together.min() >= 0
    assert together.max() <= 1


def test_what_disturbs_one_round_of_timing_makes_no_method_slow(tmp_path, monkeypatch):
    data = write_fer2013(tmp_path / "fer2013", train=2, validation=2, test=4)
    now = 0.0  # a clock of our own: each call takes a millisecond, those of one stretch ten
    calls = []

    class Timed(Denoiser):
        info = DenoiserInfo("told", "Told", "classical", False, None, 0, "-")

        def _denoise(self, noisy, sigma):
            nonlocal now
            calls.append(self)
            now += 0.010 if 10 < len(calls) <= 20 else 0.001
            return noisy

    monkeypatch.setattr(score_module, "_TIMED_FACES", 4)
    monkeypatch.setattr(score_module, "create_denoiser", lambda denoiser_id: Timed())
    monkeypatch.setattr(score_module.time, "perf_counter", lambda: now)
    described = score_module._describe(["one", "two"], data)
    assert [method["milliseconds"] for method in described] == [1.0, 1.0]


@pytest.mark.slow
def test_an_evaluation_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    data, cache = write_fer2013(tmp_path / "fer2013", train=2, validation=2, test=4), tmp_path / "cache"
    monkeypatch.setattr("train.evaluation.score._TIMED_FACES", 2)
    options = {"cache": cache, "workers": 1, "limit": 2, "only": ["median"]}
    benchmark = evaluate(data, **options)
    files = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    assert len(files) == len(benchmark["scores"]) == 2 * len(CONDITIONS)
    assert {s["denoiser"] for s in benchmark["scores"]} == {NOISY, "median"}
    assert {s["noise"] for s in benchmark["scores"]} == set(CONDITIONS)
    assert {s["pictures"] for s in benchmark["scores"]} == {2}
    assert [d["id"] for d in benchmark["denoisers"]] == ["median"]
    assert benchmark["denoisers"][0]["milliseconds"] > 0
    assert json.loads(capsys.readouterr().out) == benchmark["scores"]

    # What a process of its own has computed is what can be computed here.
    faces = read_fer2013(data, "test")
    first = FaceSet(faces.images[:2], faces.rows[:2], ("", ""), "test", "")
    pair = corrupt_all(first, CONDITIONS["gaussian-25"])
    expected = score(create_denoiser("median"), pair, "gaussian-25")
    (found,) = (
        s for s in benchmark["scores"] if (s["denoiser"], s["noise"]) == ("median", "gaussian-25")
    )
    assert found["psnr"] == pytest.approx(expected.psnr, abs=1e-3)

    # A second time nothing is computed: no process is started at all.
    def never(*arguments):
        raise AssertionError("everything is in the cache")

    monkeypatch.setattr("train.evaluation.score.multiprocessing.get_context", never)
    again = evaluate(data, **options)
    assert again["scores"] == benchmark["scores"]
    assert {file: file.stat().st_mtime_ns for file in cache.iterdir()} == files
    # Another number of pictures is another score.
    with pytest.raises(AssertionError, match="everything is in the cache"):
        evaluate(data, **options | {"limit": 3})
    other = write_fer2013(tmp_path / "other", train=2, validation=2, test=1)
    with pytest.raises(AssertionError, match="everything is in the cache"):
        evaluate(other, **options)


@pytest.mark.slow
def test_only_some_noises_are_scored_and_the_others_keep_theirs(tmp_path, monkeypatch):
    data = write_fer2013(tmp_path / "fer2013", train=2, validation=2, test=3)
    monkeypatch.setattr("train.evaluation.score._TIMED_FACES", 2)
    options = {"workers": 1, "only": ["median"], "output": tmp_path}
    first = evaluate(data, cache=tmp_path / "a", noises=["gaussian-25", "jpeg-20"], **options)
    assert {s["noise"] for s in first["scores"] if s["denoiser"] == "median"} == {
        "gaussian-25",
        "jpeg-20",
    }
    again = evaluate(data, cache=tmp_path / "b", noises=["gaussian-15+jpeg-30"], **options)
    found = {s["noise"]: s for s in again["scores"] if s["denoiser"] == "median"}
    assert set(found) == {"gaussian-25", "jpeg-20", "gaussian-15+jpeg-30"}
    assert found["jpeg-20"] in first["scores"]
    with pytest.raises(ConfigError, match=r"Unknown noise fog; choose of gaussian-low"):
        evaluate(data, cache=tmp_path / "b", noises=["fog"], **options)


def test_models_of_the_hub_are_not_scored_as_those_in_weights(monkeypatch, capsys):
    monkeypatch.setenv("DENOISER_HUB_NAMESPACE", "somebody")
    assert main(["evaluate", "--data", "nowhere"]) == 1
    assert "unset DENOISER_HUB_NAMESPACE" in capsys.readouterr().err


def test_evaluation_without_data_ends_in_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("train.__main__.find_fer2013", lambda: None)
    assert main(["evaluate", "--cache", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("train: ")
    assert len(error.splitlines()) == 1


def test_scores_of_the_same_weights_are_kept(tmp_path):
    path = tmp_path / "benchmark.json"
    noises = ("gaussian-low", "jpeg-20")
    denoisers = [{"id": "residual-unet", "weights": "old"}, {"id": "patchgan", "weights": "same"}]
    denoisers += [{"id": "median", "weights": "filter"}, {"id": "tv"}]  # the last of an older file
    ids = [NOISY, *(denoiser["id"] for denoiser in denoisers)]
    scores = [made_score(denoiser, noise, 30.0) for denoiser in ids for noise in noises]
    path.write_text(json.dumps({"denoisers": denoisers, "scores": scores}))
    versions = {NOISY: "filter", "residual-unet": "new", "patchgan": "same", "median": "filter"}
    all_of = dict.fromkeys(ids, 3573)
    kept = kept_scores(path, Score, versions | {"tv": "filter"}, all_of)
    assert set(kept) == {(d, noise) for d in (NOISY, "patchgan", "median") for noise in noises}
    assert kept["median", "jpeg-20"] == Score(**made_score("median", "jpeg-20", 30.0))
    fewer = kept_scores(path, Score, versions | {"tv": "filter"}, all_of | {"patchgan": 1000})
    assert {denoiser for denoiser, _ in fewer} == {NOISY, "median"}
    assert kept_scores(path, Score, versions, dict.fromkeys(ids, 3589)) == {}
    assert kept_scores(tmp_path / "missing.json", Score, versions, all_of) == {}


def test_flows_are_scored_on_the_first_pictures_and_all_others_on_all():
    ids = [NOISY, "attention-unet", "residual-unet-flow", "median"]
    assert list(count_pictures(ids, 3573).values()) == [3573, 3573, FLOW_PICTURES, 3573]
    assert set(count_pictures(ids, 7).values()) == {7}
    assert [limit_of(name, 0) for name in ids] == [0, 0, FLOW_PICTURES, 0]
    assert {limit_of(name, 7) for name in ids} == {7}


# The tables of the README and of docs/results.md


def made_score(denoiser, noise, psnr, ssim=0.9, **changes):
    return {
        "denoiser": denoiser,
        "noise": noise,
        "psnr": psnr,
        "psnr_std": 0.5,
        "ssim": ssim,
        "ssim_std": 0.01,
        "sharpness": 0.8,
        "spectral_distance": 1.25,
        "pictures": 3573,
    } | changes


BENCHMARK = {
    "denoisers": [
        {"id": "attention-unet", "milliseconds": 4.125},
        {"id": "attention-unet.gaussian-low", "milliseconds": 4.0},
        {"id": "patchgan", "milliseconds": 5.0},
        {"id": "median", "milliseconds": 0.034},
        {"id": "unscored", "milliseconds": 1.0},
    ],
    "scores": [
        made_score("noisy", "gaussian-low", 34.07),
        made_score("attention-unet", "gaussian-low", 37.456, 0.9714),
        made_score("attention-unet.gaussian-low", "gaussian-low", 37.6),
        made_score("patchgan", "gaussian-low", 36.9, sharpness=1.02),
        made_score("median", "gaussian-low", 28.0),
        made_score("noisy", "salt-and-pepper-10", 15.0),
        made_score("attention-unet", "salt-and-pepper-10", 40.0),
        made_score("median", "salt-and-pepper-10", 27.0),
        made_score("noisy", "jpeg-20", 30.0),  # not one of the main noises
    ],
}


SYSTEMS = {
    "denoisers": [
        {"id": "residual-unet", "parameters": 3_496_832},
        {"id": "dual-autoencoder", "parameters": 88_000},
        {"id": "median-unet", "parameters": 1_984_420},
        {"id": "trimmed-median", "parameters": 0},
    ],
    "scores": [
        made_score("residual-unet", "gaussian-25", 26.5),
        made_score("dual-autoencoder", "gaussian-25", 25.5),
        made_score("residual-unet", "salt-and-pepper-30", 30.0),
        made_score("median-unet", "salt-and-pepper-30", 32.0),
        made_score("trimmed-median", "salt-and-pepper-30", 29.0),
    ],
}


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_results_table():
    header, rule, *rows = cells(report.results_table(BENCHMARK))
    assert header == ["denoiser", "ms", "gaussian-low", "salt-and-pepper-10"]
    assert set(rule) == {"---"}
    assert [row[0] for row in rows[:5]] == [
        "`noisy`",
        "`attention-unet`",
        "`attention-unet.gaussian-low`",
        "`patchgan`",
        "`median`",
    ]
    assert rows[0] == ["`noisy`", "", "34.07 / 0.900", "15.00 / 0.900"]
    assert rows[1][2] == "37.46 / 0.971"
    assert rows[2] == ["`attention-unet.gaussian-low`", "4.00", "**37.60 / 0.900**", "-"]
    assert rows[1][3] == "**40.00 / 0.900**"
    assert rows[4][1] == "0.03"
    assert sum(cell.startswith("**") for row in rows for cell in row) == 2  # one best for a noise
    assert rows[5][0] == "*95 % interval, at most*"


def test_intervals_shrink_with_the_root_of_the_number_of_pictures():
    score = {"psnr_std": 2.0, "ssim_std": 0.1, "pictures": 400}
    assert report.half_widths(score) == pytest.approx((0.196, 0.0098))
    assert report.half_widths(score | {"pictures": 1600}) == pytest.approx((0.098, 0.0049))


def test_published_denoisers_stand_beside_ours():
    _, _, *rows = cells(report.published_table(BENCHMARK))
    assert [row[0] for row in rows[-3:]] == ["`attention-unet`", "`autoencoder`", "`residual-unet`"]
    assert rows[-3][3] == "37.46"
    assert all(len(row) == 7 and row[1] for row in rows)


def test_chains_and_damages_have_tables():
    scores = [made_score(m, n, 30.0) for m in ("noisy", "residual-unet") for n in report.CHAINS[:1]]
    header, _, *rows = cells(report.tables(BENCHMARK | {"scores": scores})["chains"])
    assert header == ["denoiser", "gaussian-15+salt-and-pepper-10"]
    assert [row[0] for row in rows] == ["`noisy`", "`residual-unet`"]


def test_sharpness_table():
    header, _, *rows = cells(report.sharpness_table(BENCHMARK))
    assert len(header) == 5
    assert ["gaussian-low", "`patchgan`", "36.90", "1.020", "1.25"] in rows
    assert [row[1] for row in rows] == ["`attention-unet`", "`patchgan`"]


def test_reference_table():
    _, _, *rows = cells(report.reference_table(BENCHMARK))
    assert len(rows) == len(report.REFERENCE)
    assert rows[0] == [
        "Attention U-Net",
        "gaussian-low",
        "30.15",
        "36.1",
        "37.60 (`attention-unet.gaussian-low`), 37.46 (`attention-unet`)",
    ]
    assert rows[1] == ["PatchGAN", "gaussian-low", "21.97", "34.0", "36.90 (`patchgan`)"]
    assert rows[2][-1] == "-"  # nothing of ours is scored there


def test_true_psnr():
    """Published losses are mean squared errors on a scale of width 4."""
    assert report.true_psnr(0.0039) == pytest.approx(36.13, abs=0.005)
    assert report.true_psnr(16 * 0.01) == pytest.approx(20)


TABLES = (
    "results",
    "reference",
    "sharpness",
    "generalisation",
    "restoration",
    "chains",
    "published",
)


def page(*names):
    marked = (f"<!-- {name}:start -->\nold\n<!-- {name}:end -->" for name in names)
    return "\nbetween\n".join(["# Title", *marked, "last\n"])


@pytest.fixture
def pages(tmp_path):
    """A folder with both pages; by their paths."""
    made = {tmp_path / report.README: page("summary"), tmp_path / report.RESULTS: page(*TABLES)}
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return made


def test_small_autoencoders_table():
    _, _, *rows = cells(report.small_autoencoders_table(SYSTEMS))
    assert rows == [["`dual-autoencoder`", "88,000 (87,812)", "25.50 (25.01)", "-", "-", "-"]]


def test_systems_that_are_scored_have_tables():
    assert set(report.tables(BENCHMARK)) == set(TABLES)
    assert set(report.tables(SYSTEMS)) == {*TABLES, "hybrid", "small-autoencoders"}


def test_hybrid_table_has_both_its_parts():
    header, _, *rows = cells(report.hybrid_table(SYSTEMS))
    assert header == ["denoiser", "gaussian-25", "salt-and-pepper-30"]
    assert rows == [
        ["`trimmed-median`", "-", "29.00"],
        ["`residual-unet`", "26.50", "30.00"],
        ["`median-unet`", "-", "32.00"],
    ]


def test_generalisation_table_has_the_specialists():
    header, _, *rows = cells(report.generalisation_table(BENCHMARK))
    assert header == ["denoiser", "gaussian-low", "salt-and-pepper-10"]
    assert rows == [
        ["`noisy`", "34.07", "15.00"],
        ["`attention-unet`", "37.46", "40.00"],
        ["`attention-unet.gaussian-low`", "37.60", "-"],
    ]


def test_tables_go_between_the_markers(tmp_path, pages):
    report.update_pages(BENCHMARK, tmp_path)
    readme, results = pages
    assert readme.read_text() == page("summary").replace("old", report.summary_table(BENCHMARK))
    text = results.read_text()
    for table in report.tables(BENCHMARK).values():
        assert text.count(table) == 1
    assert "\nold\n" not in text
    assert text.startswith("# Title\nbetween\n<!-- results:start -->\n| denoiser")
    assert "|\n<!-- results:end -->\nbetween\n<!-- reference:start -->\n" in text
    assert text.endswith("<!-- published:end -->\nbetween\nlast\n")
    report.update_pages(BENCHMARK, tmp_path)
    assert results.read_text() == text  # once more changes nothing


def test_content_is_not_taken_for_a_pattern():
    marked = "<!-- a:start -->\n<!-- a:end -->"
    replaced = report.replace_between(marked, "a", r"\1 \g<0> $1")
    assert replaced == "<!-- a:start -->\n\\1 \\g<0> $1\n<!-- a:end -->"


@pytest.mark.parametrize("name", ["summary", *TABLES])
def test_missing_markers(tmp_path, pages, name):
    texts = {path: text.replace(f"<!-- {name}:end -->", "") for path, text in pages.items()}
    for path, text in texts.items():
        path.write_text(text)
    with pytest.raises(ValueError, match=f"no markers <!-- {name}:start -->"):
        report.update_pages(BENCHMARK, tmp_path)
    assert {path: path.read_text() for path in pages} == texts  # nothing half done


def test_the_pages_hold_the_tables_of_the_committed_results(tmp_path):
    (tmp_path / "docs").mkdir()
    for page in (report.README, report.RESULTS):
        shutil.copyfile(report.ROOT / page, tmp_path / page)
    weights = report.ROOT / "weights"
    report.update_pages(json.loads((weights / "benchmark.json").read_text()), tmp_path)
    report.update_emotion(json.loads((weights / "emotion" / "metrics.json").read_text()), tmp_path)
    report.update_realism(json.loads((weights / "realism.json").read_text()), tmp_path)
    for page in (report.README, report.RESULTS):
        assert (tmp_path / page).read_text(encoding="utf-8") == (report.ROOT / page).read_text(
            encoding="utf-8"
        )


def test_summary_table():
    header, _, *rows = cells(report.summary_table(BENCHMARK))
    assert header == ["denoiser", "ms", "gaussian-low", "salt-and-pepper-10"]
    assert [row[0] for row in rows] == ["`noisy`", "`attention-unet`", "`patchgan`", "`median`"]
    assert rows[1][2] == "**37.46 / 0.971**"  # the specialist, which is better, is not among these


# Model cards


@pytest.fixture
def weights(tmp_path):
    """A folder with one model and the files that an evaluation writes beside it."""
    settings = {"widths": [4, 8]}
    network = build_network("attention-unet", settings)
    described = ModelConfig(
        "patchgan", "PatchGAN", "GAN", "attention-unet", settings, "a mixture", 12_345, "Isola 2017"
    )
    folder = save_model(network, described, tmp_path)
    wanted = ("patchgan", "noisy")
    metrics = {
        "command": "python -m train evaluate --data PATH",
        "pictures": 3573,
        "weights_sha256": file_hash(folder / "model.safetensors"),
        "scores": [score for score in BENCHMARK["scores"] if score["denoiser"] in wanted]
        + [made_score("patchgan", "salt-and-pepper-10", 39.5, 0.98)],
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with (folder / "history.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["epoch", "step", "val_psnr", "train_loss"],
                ["", "0", "", ""],
                ["0", "10", "28.5", ""],
                ["0", "20", "29.75", "-5"],
                ["1", "40", "29.25", "-6"],
            ]
        )
    return tmp_path


def test_card_can_be_loaded_and_holds_the_scores(weights):
    file = write_card("patchgan", weights)
    assert file == weights / "patchgan" / "README.md"
    card = ModelCard.load(file)
    assert card.data.license == "mit"
    assert card.data.library_name == "pytorch"
    assert card.data.pipeline_tag == "image-to-image"
    results = card.data.eval_results
    found = {(r.dataset_config, r.metric_type): r.metric_value for r in results}
    assert found == {
        ("gaussian-low", "psnr"): 36.9,
        ("gaussian-low", "ssim"): 0.9,
        ("salt-and-pepper-10", "psnr"): 39.5,
        ("salt-and-pepper-10", "ssim"): 0.98,
    }
    assert all(isinstance(value, float) for value in found.values())
    assert {r.dataset_split for r in results} == {"test"}
    data = card.data.to_dict()
    (index,) = data["model-index"]
    assert index["name"] == "fer2013-patchgan"
    assert {result["task"]["type"] for result in index["results"]} == {"image-to-image"}


def test_card_says_what_the_files_say(weights):
    text = write_card("patchgan", weights).read_text(encoding="utf-8")
    assert "12,345 weights" in text
    assert "3,573 pictures" in text
    assert 'create_denoiser("patchgan")' in text
    assert "2 epochs" in text
    assert "29.75 dB" in text  # the best
    assert "29.25 dB" in text  # the last
    assert "| gaussian-low | 34.07 | 36.90 ± 0.50 | 0.900 ± 0.010 | 1.020 |" in text
    assert "PatchGAN discriminator" in text
    assert '{"widths": [4, 8]}' in text
    assert f"`{file_hash(weights / 'patchgan' / 'model.safetensors')}`" in text
    written = re.sub("```python.*?```", "", text, flags=re.DOTALL).replace('{"widths": [4, 8]}', "")
    assert "{" not in written  # nothing was left to fill in


def test_a_card_of_other_weights_is_not_written(weights):
    torch.manual_seed(1)
    described = read_config("patchgan", weights)
    save_model(build_network("attention-unet", described.settings), described, weights)
    with pytest.raises(FiguresError, match="of other weights"):
        write_card("patchgan", weights)
    assert not (weights / "patchgan" / "README.md").exists()


def test_writing_a_card_twice_changes_nothing(weights):
    first = write_card("patchgan", weights).read_bytes()
    assert write_card("patchgan", weights).read_bytes() == first
