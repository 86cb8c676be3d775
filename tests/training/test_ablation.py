"""Sweeps: what a file may say, that each variant is trained once, and that the figures are right."""

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import PIL.Image
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import train
from denoiser.architectures import build_network
from denoiser.architectures.loading import load_network
from denoiser.faces.fer2013 import read_fer2013
from denoiser.faces.samples import bundled_faces
from denoiser.images import from_uint8
from denoiser.metrics import psnr, ssim
from denoiser.noise import create_noise
from denoiser.weights.checkpoint import MAX_PARAMETERS, WeightsError
from tests.tiny import write_config, write_fer2013
from train.__main__ import main
from train.ablation import run as sweep_module
from train.ablation.faces import corrupt_faces, draw_faces
from train.ablation.plot import svg
from train.ablation.run import markdown, read_sweep, run_sweep
from train.config import ConfigError, read_config
from train.fit import fit

SWEEPS = sorted((Path(train.__file__).parent / "ablation/studies").glob("*.toml"))
CONFIGS = Path(train.__file__).parent / "configs"
BUDGET = {"base": "base.toml", "epochs": 1, "limit": 16, "pictures": 5}
VARIANTS = [{"name": "as it is"}, {"name": "wider", "settings": {"widths": [8, 8]}}]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_fer2013(tmp_path_factory.mktemp("fer2013"))


def write_sweep(folder, base_changes=None, **changes):
    """Write a base config and a sweep over it; a change to None leaves the key out."""
    write_config(folder / "base.toml", validations_per_epoch=1, **base_changes or {})
    values = {**BUDGET, "variant": VARIANTS, **changes}
    values = {key: value for key, value in values.items() if value is not None}
    text = [f"{key} = {toml(value)}" for key, value in values.items()]
    file = folder / "widths.toml"
    file.write_text("\n".join(text), encoding="utf-8")
    return file


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@pytest.fixture
def run(tmp_path, data):
    """Run a sweep on the made-up faces; what it trains is in ``cache``."""

    def run(file, **options):
        places = {"cache": tmp_path / "cache", "weights": tmp_path / "weights"}
        return run_sweep(file, data, **places, accelerator="cpu", **options)

    return run


@pytest.fixture
def trained(monkeypatch):
    """The configs that were trained, in order."""
    seen = []

    def watched(config, *args, **options):
        seen.append(config)
        return fit(config, *args, **options)

    monkeypatch.setattr(sweep_module, "fit", watched)
    return seen


# What a file says


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_every_sweep_file_can_be_read(file):
    sweep = read_sweep(file)
    assert len(sweep.variants) >= 2
    assert sweep.note
    assert all(variant.config.epochs == sweep.epochs for variant in sweep.variants)


def shipped(name):
    return next(read_sweep(file) for file in SWEEPS if file.stem == name)


def test_the_autoencoder_sweep_is_over_reference_c_s_seven_variants():
    settings = [variant.config.settings for variant in shipped("autoencoder").variants]
    assert len(settings) == 7
    assert {len(s["widths"]) for s in settings} == {2, 3, 4}
    assert {s.get("kernel", 3) for s in settings} == {3, 5}
    assert {s.get("skips", True) for s in settings} == {True, False}
    assert any(s.get("dropout") for s in settings)


def test_the_pixel_shuffle_sweep_is_reference_b_s_ablation():
    sweep = shipped("pixel-shuffle")
    variants = {v.name: (v.config.loss, v.config.adversarial is not None) for v in sweep.variants}
    assert variants == {
        "L1 + adversarial": ("l1", True),
        "L1 + MS-SSIM + adversarial": ("l1+ms-ssim", True),
        "L1 + MS-SSIM, no adversarial": ("l1+ms-ssim", False),
        "specialist: log MSE with Muon, no adversarial": ("psnr", False),
    }
    assert sweep.variants[3].config.optimizer == "muon"
    assert {v.config.start_from for v in sweep.variants} == {"attention-unet"}
    assert {v.config.batch_size for v in sweep.variants} == {128}  # equally many steps
    low, high = (f"pixel-shuffle_{amount}_2" for amount in (0.15, 0.5))
    published = {row.name: (row.psnr[high], row.psnr[low]) for row in sweep.published}
    assert published["L1 + adversarial"] == (31.66, 34.93)
    assert published["L1 + MS-SSIM + adversarial"] == (34.30, 37.47)
    assert len(published) == 4
    assert "colour" in sweep.published_note
    assert "gray" in sweep.note


def test_the_unet_sweep_is_over_all_four_forms():
    settings = [variant.config.settings for variant in shipped("unet-form").variants]
    assert {(s["residual"], s["batch_norm"]) for s in settings} == {
        (residual, batch_norm) for residual in (True, False) for batch_norm in (True, False)
    }
    assert all(not variant.config.start_from for variant in shipped("unet-form").variants)


def test_the_size_sweep_grows_weights_and_operations_alike():
    sweep = shipped("size")
    assert {s.kind for part in sweep.base.noise for s in part.stages} == {"gaussian"}
    assert sweep.base.noise[0].unclipped == 0
    ours = read_config(CONFIGS / "residual-unet-start.toml").settings
    assert sweep.base.settings == ours

    def cost(settings):
        network = build_network("residual-unet", settings)
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 1, 48, 48))
        return np.array([sum(p.numel() for p in network.parameters()), counter.get_total_flops()])

    for variant, factor in zip(sweep.variants, (1, 2, 4, 10), strict=True):
        assert cost(variant.config.settings) / cost(ours) == pytest.approx([factor] * 2, rel=0.06)
        assert cost(variant.config.settings)[0] < MAX_PARAMETERS


@pytest.mark.parametrize("name", ["pixel-shuffle", "size"])
def test_what_is_reported_is_reported_on_the_whole_test_split(name):
    assert shipped(name).scored == {"validation": 1000, "test": 3573}


def test_the_dual_autoencoder_sweep_is_over_losses():
    variants = shipped("dual-autoencoder-loss").variants
    assert [v.config.loss for v in variants] == ["bce", "mse", "psnr", "psnr"]
    assert variants[3].config.learning_rate > variants[2].config.learning_rate


def test_tables_are_changed_key_by_key_and_false_takes_them_out(tmp_path):
    adversarial = {"weight": 0.3, "discriminator": {"width": 4, "stages": 1}}
    base = {"settings": {"widths": [4, 8], "residual": False}, "adversarial": adversarial}
    variants = [
        {"name": "deeper", "settings": {"widths": [4, 8, 8]}},
        {"name": "wider judge", "adversarial": {"discriminator": {"width": 8}}, "loss": "l1"},
        {"name": "no judge", "adversarial": False},
    ]
    sweep = read_sweep(write_sweep(tmp_path, base, variant=variants, epochs=7))
    deeper, judge, none = (variant.config for variant in sweep.variants)
    assert deeper.settings == {"widths": [4, 8, 8], "residual": False}
    assert deeper.adversarial.weight == 0.3
    assert judge.adversarial.discriminator == {"width": 8, "stages": 1}
    assert (judge.adversarial.weight, judge.loss, deeper.loss) == (0.3, "l1", "psnr")
    assert none.adversarial is None
    assert none.settings == base["settings"]
    assert {variant.config.epochs for variant in sweep.variants} == {7}
    assert sweep.scored == {"validation": 5}


WRONG = {
    "unknown key": ({"epoch": 3}, "Unknown setting epoch"),
    "unknown key of a variant": ({"variant": [{"name": "a", "wdths": 3}]}, "variant 'a': Unknown"),
    "impossible variant": (
        {"variant": [{"name": "a", "settings": {"depth": 3}}]},
        "variant 'a': attention-unet has no setting depth",
    ),
    "another noise": (
        {"variant": [{"name": "a", "mixture": "blind", "seed": 2}]},
        "variant 'a' changes mixture, which must be the same in all",
    ),
    "another budget": ({"variant": [{"name": "a", "epochs": 2}]}, "changes epochs"),
    "no variants": ({"variant": None}, "[[variant]]"),
    "no name": ({"variant": [{"seed": 2}]}, "there is no name"),
    "same name": ({"variant": [{"name": "a"}, {"name": "a", "seed": 2}]}, "'a' and 'a' are the same"),
    "same model": ({"variant": [{"name": "a"}, {"name": "b"}]}, "'a' and 'b' are the same"),
    "no base": ({"base": None}, "there is no base"),
    "a base that is not there": ({"base": "nowhere.toml"}, "There is no config file"),
    "no limit": ({"limit": None}, "limit"),
    "no pictures": ({"pictures": 0}, "pictures must be a number from 1"),
    "no epochs": ({"epochs": None}, "there is no epochs"),
    "a split of one's own choice": ({"score": "test"}, "Unknown setting score"),
    "no number": ({"test_pictures": -1}, "test_pictures must be a number from 0"),
    "figures of another noise": (
        {"published": [{"name": "a", "psnr": {"gaussian": 30.0}}]},
        "published 'a': gaussian is none of the noises scored on, gaussian-low, gaussian_0.2",
    ),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=list(WRONG))
def test_wrong_sweeps_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError) as caught:
        read_sweep(write_sweep(tmp_path, **changes))
    assert message in str(caught.value)
    assert "widths.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_unchanged_sweep_is_right(tmp_path):
    """So that the wrong ones above are wrong for what they change."""
    assert [variant.name for variant in read_sweep(write_sweep(tmp_path)).variants] == [
        "as it is",
        "wider",
    ]


# What a run does


def test_figures_are_those_of_the_public_api(tmp_path, run, data):
    report = run(write_sweep(tmp_path, test_pictures=7, variant=VARIANTS[:1]))
    (variant,) = report["variants"]
    check_figures(tmp_path, data, "validation", 5, report, report["noisy"], variant["scores"])
    test = report["test"]
    check_figures(tmp_path, data, "test", 7, test, test["noisy"], variant["test_scores"])


def check_figures(tmp_path, data, split, count, of, noisy_scores, scores):
    faces = read_fer2013(data, split)
    clean = from_uint8(faces.images[:count])
    noise = create_noise("gaussian", sigma=0.2)
    noisy = [noise(face, seed=int(row)) for face, row in zip(clean, faces.rows, strict=False)]

    def means(pictures):
        pairs = list(zip(pictures, clean, strict=True))
        return [np.mean([metric(a, b) for a, b in pairs]) for metric in (psnr, ssim)]

    figures = noisy_scores["gaussian_0.2"]
    assert [figures["psnr"], figures["ssim"]] == pytest.approx(means(noisy), abs=1e-4)

    (weights,) = (tmp_path / "cache").glob("widths/*/weights")
    network = load_network("tiny", weights)
    denoised = [
        network(torch.from_numpy(picture)[None, None])[0, 0].numpy().clip(0, 1) for picture in noisy
    ]
    figures = scores["gaussian_0.2"]
    assert [figures["psnr"], figures["ssim"]] == pytest.approx(means(denoised), abs=1e-3)
    assert split in of["split"]
    assert of["pictures"] == figures["pictures"] == count


def test_the_choice_is_by_validation_and_the_test_is_only_reported(tmp_path, run):
    report = run(write_sweep(tmp_path, test_pictures=8))
    for variant, chosen in zip(report["variants"], (True, False), strict=True):
        for split, better in (("scores", chosen), ("test_scores", not chosen)):
            for figures in variant[split].values():
                figures["psnr"] = 30.0 if better else 20.0
    page = markdown(report)
    header, _, *rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line[:1] == "|"]
    assert header[4:] == [
        "validation: mean PSNR",
        "test: gaussian_0.2",
        "test: gaussian-low",
        "test: mean PSNR",
    ]
    cells = {row[0]: (row[-4], row[-1]) for row in rows}
    assert cells["as it is"] == ("**30.00**", "**20.00**")
    assert cells["wider"] == ("20.00", "30.00")
    assert "the first 5 pictures of FER2013 validation (PublicTest)" in page
    assert "the first 8 of FER2013 test (PrivateTest)" in page
    assert "best on validation, by which one chooses, is bold" in page
    drawn = svg(report | {"variants": [v | {"scores": {}} for v in report["variants"]]})
    assert drawn == svg(report)  # what is reported


def test_without_test_pictures_the_test_split_is_not_looked_at(tmp_path, run, monkeypatch):
    splits = []

    def watched(data, split):
        splits.append(split)
        return read_fer2013(data, split)

    monkeypatch.setattr(sweep_module, "read_fer2013", watched)
    report = run(write_sweep(tmp_path, variant=VARIANTS[:1]))
    assert set(splits) == {"validation"}
    assert "test" not in report
    assert "test" not in markdown(report).replace(str(tmp_path), "")


def test_results_are_written_beside_the_file(tmp_path, run, capsys):
    report = run(write_sweep(tmp_path, note="A note.", epochs=2))
    assert json.loads((tmp_path / "widths.json").read_text()) == report
    page = (tmp_path / "widths.md").read_text()
    assert page in capsys.readouterr().out
    assert page == markdown(report)
    assert "(widths.svg)" in page
    assert "(widths.png)" in page

    assert [v["name"] for v in report["variants"]] == ["as it is", "wider"]
    plain, wider = report["variants"]
    assert plain["changes"] == {}
    assert wider["changes"] == {"settings": {"widths": [8, 8]}}
    assert plain["parameters"] < wider["parameters"]
    assert plain["epochs"] == wider["epochs"] == 2
    assert plain["training_pictures"] == 16
    assert plain["seed"] == 0
    assert plain["seconds"] > 0
    assert set(plain["scores"]) == set(report["noisy"]) == {"gaussian_0.2", "gaussian-low"}
    assert report["noises"]["gaussian_0.2"] == create_noise("gaussian", sigma=0.2).describe()

    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| noisy", "| as it is", "| wider"]
    assert "`settings.widths = [8, 8]`" in page
    assert f"{wider['scores']['gaussian-low']['psnr']:.2f} / " in rows[-1]
    assert "A note." in page
    assert page.count("**") == 2  # one best
    assert "published" not in page


@pytest.mark.slow
def test_a_finished_variant_is_not_trained_again(tmp_path, run, trained):
    first = run(write_sweep(tmp_path))
    assert len(trained) == 2
    new = {"name": "another seed", "seed": 3}
    second = run(write_sweep(tmp_path, variant=[*VARIANTS, new]))
    assert [config.seed for config in trained[2:]] == [3]
    assert second["variants"][:2] == first["variants"]

    # A name and a note are no part of the training; the pictures scored and the settings are.
    renamed = [{"name": "plain"}, *VARIANTS[1:], new]
    third = run(write_sweep(tmp_path, variant=renamed, note="Other words."))
    assert third["variants"][0]["name"] == "plain"
    assert len(trained) == 3
    run(write_sweep(tmp_path, base_changes={"learning_rate": 1e-4}, variant=VARIANTS[:1]))
    run(write_sweep(tmp_path, limit=8, variant=VARIANTS[:1]))
    assert len(trained) == 5
    run(write_sweep(tmp_path, pictures=4, variant=VARIANTS[:1]))
    run(write_sweep(tmp_path, test_pictures=4, variant=VARIANTS[:1]))
    assert len(trained) == 7


def test_a_stopped_sweep_goes_on(tmp_path, run, trained, monkeypatch):
    file = write_sweep(tmp_path)
    scored = sweep_module.score

    def pull_the_plug(method, *rest):
        if method is not None and len(trained) == 2:
            raise InterruptedError("the machine was taken away")
        return scored(method, *rest)

    monkeypatch.setattr(sweep_module, "score", pull_the_plug)
    with pytest.raises(InterruptedError):
        run(file)
    assert not (tmp_path / "widths.json").exists()
    monkeypatch.setattr(sweep_module, "score", scored)
    report = run(file)
    assert [config.settings["widths"] for config in trained] == [[4, 8], [8, 8], [8, 8]]
    assert report["variants"][0]["seconds"] > 0
    assert report["variants"][1]["seconds"] is None  # nobody knows what the first part took
    assert "| - |" in (tmp_path / "widths.md").read_text()


def test_variants_start_from_a_shipped_model_and_leave_it_alone(tmp_path, run, data):
    write_config(tmp_path / "start.toml", id="start")
    start = read_config(tmp_path / "start.toml")
    places = {"runs": tmp_path / "runs", "weights": tmp_path / "weights"}
    fit(start, data, **places, accelerator="cpu", devices=1)
    before = {path: path.read_bytes() for path in (tmp_path / "weights").rglob("*.*")}
    base = {"start_from": "start", "learning_rate": 1e-9}
    run(write_sweep(tmp_path, base, variant=VARIANTS[:1]))
    (folder,) = (tmp_path / "cache").glob("widths/*/weights")
    ours, theirs = load_network("tiny", folder), load_network("start", tmp_path / "weights")
    for name, tensor in theirs.state_dict().items():
        assert np.allclose(tensor, ours.state_dict()[name], atol=1e-3)
    assert {path: path.read_bytes() for path in (tmp_path / "weights").rglob("*.*")} == before


def test_variants_can_go_without_the_discriminator(tmp_path, run):
    base = {"adversarial": {"discriminator": {"width": 4}}, "family": "GAN", "select": "last"}
    variants = [{"name": "with"}, {"name": "without", "adversarial": False}]
    report = run(write_sweep(tmp_path, base, variant=variants))
    with_it, without = (variant["scores"]["gaussian_0.2"]["psnr"] for variant in report["variants"])
    assert with_it != without
    logs = (tmp_path / "cache").glob("widths/*/weights/tiny/history.csv")
    assert sorted("discriminator_loss" in log.read_text() for log in logs) == [False, True]


def test_published_figures_stand_beside_ours(tmp_path, run):
    published = [
        {"name": "wider", "psnr": {"gaussian_0.2": 31.5}},
        {"name": "with colour", "psnr": {"gaussian_0.2": 33.25, "gaussian-low": 40.0}},
    ]
    report = run(write_sweep(tmp_path, published=published, published_note="On other faces."))
    page = markdown(report)
    header, _, *rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line[:1] == "|"]
    assert header[-2:] == ["published: gaussian_0.2", "published: gaussian-low"]
    assert {row[0]: row[-2:] for row in rows} == {
        "noisy": ["-", "-"],
        "as it is": ["-", "-"],
        "wider": ["31.50", "-"],
        "with colour": ["33.25", "40.00"],
    }
    assert len({len(row) for row in [header, *rows[1:3]]}) == 1
    assert page.rstrip().endswith("On other faces.")

    plot = (tmp_path / "widths.svg").read_text()
    assert plot == svg(report)  # the same figures give the same file
    names = [element.text for element in ElementTree.fromstring(plot).iter() if element.text]
    for name in ("as it is", "wider", "with colour", "gaussian_0.2", "mean"):
        assert name in names
    without = svg(report | {"published": []})
    assert plot.count("PathCollection") == 2 + without.count("PathCollection")  # one in each panel


def test_faces_are_drawn_clean_noisy_and_as_each_variant_denoises_them():
    """On the bundled faces only: one row for each, one column for each face."""
    methods = {"dark": lambda noisy: 0 * noisy, "a long name of a variant": lambda noisy: 0 * noisy + 1}
    noises = {name: create_noise("gaussian", sigma=sigma) for name, sigma in (("a", 0.1), ("b", 0.2))}
    columns = corrupt_faces(noises)
    assert [name for name, _, _ in columns] == ["a"] * 3 + ["b"] * 3
    bundled = [from_uint8(image) for image in bundled_faces().images]
    for name, clean, noisy in columns:
        assert any(np.array_equal(clean, face) for face in bundled)
        assert np.std(noisy - clean) == pytest.approx(noises[name].sigma, rel=0.2)
    picture = draw_faces(methods, noises)
    assert draw_faces(methods, noises) == picture  # the same faces and noise every time
    pixels = np.asarray(PIL.Image.open(io.BytesIO(picture)))
    pitch = 2 * (48 + 2)  # a face, enlarged, and the gap to the next
    grid = pixels[-(4 * pitch - 4) :, -(6 * pitch - 4) :]

    def cell(row, column):
        return grid[row * pitch :, column * pitch :][:96:2, :96:2] / 255

    for index, (_, clean, noisy) in enumerate(columns):
        assert cell(0, index) == pytest.approx(clean, abs=4 / 255)
        assert cell(1, index) == pytest.approx(noisy, abs=4 / 255)
        assert cell(2, index).max() == 0
        assert cell(3, index).min() == 1


def test_nine_noises_and_seven_variants_fit_a_small_picture():
    noises = shipped("autoencoder").noises
    unchanged = {f"variant {number}": lambda noisy: noisy for number in range(7)}
    assert len(noises) == len(corrupt_faces(noises)) == 9
    assert len(draw_faces(unchanged, noises)) < 300_000  # of nothing but noise; denoised ones are half


def test_fewer_pictures_than_the_file_asks_for_are_no_sweep(tmp_path, run, trained):
    file = write_sweep(tmp_path, pictures=9)  # and there are 8
    with pytest.raises(ConfigError, match="on 9 validation pictures, and this copy of them has 8"):
        run(file)
    with pytest.raises(ConfigError, match="scores on 9 test pictures, and this copy of them has 8"):
        run(write_sweep(tmp_path, test_pictures=9))
    assert trained == []
    assert not file.with_suffix(".json").exists()


def test_a_trial_writes_nothing_beside_the_file(tmp_path, data, capsys):
    file = write_sweep(tmp_path, epochs=50, pictures=8)
    options = ["--cache", tmp_path / "cache", "--weights", tmp_path, "--accelerator", "cpu"]
    assert main(list(map(str, ["sweep", file, "--data", data, "--limit", 8, *options]))) == 0
    assert "at most 1 epochs of 8 training pictures" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"base.toml", "cache", "widths.toml"}


def test_results_go_where_they_are_wanted_and_options_to_training(tmp_path, data, monkeypatch):
    seen = {}

    def watched(config, *args, **options):
        seen.update(options)
        return fit(config, *args, **options)

    monkeypatch.setattr(sweep_module, "fit", watched)
    file = write_sweep(tmp_path, {"batch_size": 32}, test_pictures=8, variant=VARIANTS[:1])
    options = ["--cache", tmp_path / "cache", "--weights", tmp_path, "--output", tmp_path / "results"]
    options += ["--precision", "bf16-mixed", "--engine", "plain", "--accelerator", "cpu", "--limit", 4]
    assert main(list(map(str, ["sweep", file, "--data", data, *options]))) == 0
    assert seen["precision"] == "bf16-mixed"
    assert seen["engine"] == "plain"
    written = {path.name for path in (tmp_path / "results").iterdir()}
    assert written == {"widths.json", "widths.md", "widths.png", "widths.svg"}
    assert not file.with_suffix(".json").exists()
    report = json.loads((tmp_path / "results/widths.json").read_text())
    assert report["pictures"] == report["test"]["pictures"] == 4
    assert "cores" in report["machine"]


def test_failures_end_in_one_sentence(tmp_path, data, run, capsys):
    options = ["--cache", str(tmp_path / "cache"), "--accelerator", "cpu", "--data", str(data)]
    assert main(["sweep", str(tmp_path / "nowhere.toml"), *options]) == 1
    assert "train: There is no config file" in capsys.readouterr().err
    with pytest.raises(WeightsError, match="'nothing' has no weights here"):
        run(write_sweep(tmp_path, {"start_from": "nothing"}))
    with pytest.raises(SystemExit):
        main(["sweep", str(tmp_path / "nowhere.toml"), "--workers", "0"])


@pytest.mark.slow
def test_two_at_once_find_the_same(tmp_path, run, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file = write_sweep(tmp_path)
    together = run(file, workers=2)
    (tmp_path / "cache").rename(tmp_path / "first")
    in_turn = run(file)
    for one, other in zip(together["variants"], in_turn["variants"], strict=True):
        for noise, figures in one["scores"].items():
            assert figures == pytest.approx(other["scores"][noise], abs=2e-3)
