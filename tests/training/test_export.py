"""Models as ONNX files, and the code in their cards, in ONNX Runtime."""

import copy
import logging
import subprocess
import sys
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from denoiser.architectures import FlowUNet, build_network
from denoiser.architectures.loading import load_network
from denoiser.denoisers.network import from_config
from denoiser.denoisers.registry import COLOUR_MODELS, MODELS, create_denoiser
from denoiser.images import from_uint8, to_gray
from denoiser.noise import GaussianNoise, ImpulseNoise, SaltAndPepperNoise
from denoiser.pipeline import corrupt
from denoiser.weights.checkpoint import MODEL_NAME, WEIGHTS, ModelConfig, hub_repo_id, read_config
from tests.conftest import ROOT, sentence
from tests.weights import save_model
from train import export as exporting
from train.__main__ import main
from train.export import ExportError, draw_noise, export_onnx, load_for_strangers
from train.files import WEIGHTS_HASH, file_hash
from train.publish.cards import ONNX_NAME, first_code
from train.publish.sample import NOISY_NAME, SAMPLE_NAME, make_sample, sample_noise

UNET = {"widths": [4, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1], "impulse_map": True}
EXPERTS = UNET | {"experts": ["general", "faint", "salt-and-pepper"]}
SMALL = {
    "attention-unet": ("attention-unet", {"widths": [4, 8, 8], "impulse_map": True}),
    "colour": ("residual-unet", UNET | {"channels": 3}),
    "autoencoder": ("autoencoder", {"widths": [4, 8]}),
    "dual-autoencoder": ("dual-autoencoder", {"skips": True, "separable": True}),
    "experts": ("expert-unet", EXPERTS),
    "median": ("median-unet", EXPERTS),
    "flow": ("flow-unet", UNET | {"mean_widths": [4, 8]}),
}
SMALL["flow"][1].pop("impulse_map")

SIZES = [(48, 48), (45, 53), (3, 5), (1, 1)]
NOISES = (GaussianNoise(0.02), GaussianNoise(0.2), SaltAndPepperNoise(0.5), ImpulseNoise(0.2))


def save_small(name, folder, clipped_input=True):
    """Write a small network of this kind, whose weights nothing has trained."""
    torch.manual_seed(0)
    architecture, settings = SMALL[name]
    network = build_network(architecture, settings)
    family = "flow" if name == "flow" else "network"
    config = ModelConfig(name, "Small", family, architecture, settings, "Noise", 1, "-", clipped_input)
    save_model(network, config, folder)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Where the small networks are."""
    folder = tmp_path_factory.mktemp("weights")
    for name in SMALL:
        save_small(name, folder)
    return folder


@pytest.fixture(scope="module")
def exported(small):
    """Exports one of them; once, as that takes seconds."""
    return cache(lambda name: export_onnx(name, small))


def pictures(size, channels, unclipped=False):
    """A part of a face, of this size, with each of NOISES, as a batch."""
    height, width = size
    face = from_uint8(astronaut()[80 : 80 + height, 200 : 200 + width])
    face = to_gray(face) if channels == 1 else face
    noisy = [corrupt(face, noise, seed, clip=not unclipped).noisy for seed, noise in enumerate(NOISES)]
    batch = np.stack(noisy).reshape(len(NOISES), *size, channels).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(batch, np.float32)


def run(data, **inputs):
    session = onnxruntime.InferenceSession(data)
    return session.run(["denoised"], inputs)[0]


def as_on_the_page(denoiser, batch):
    """What the page makes of a batch, picture by picture."""
    denoised = [denoiser(picture.transpose(1, 2, 0).squeeze()) for picture in batch]
    return np.stack(denoised).reshape(len(batch), *batch.shape[2:], -1).transpose(0, 3, 1, 2)


def check_parity(data, model, denoiser):
    """Compare a file, and what the page does, with the model in double precision, at several sizes.

    Single precision alone takes some networks, the GANs above all, 8e-6 from there.
    """
    network = model.network
    exact = copy.deepcopy(model).double()
    for size in SIZES:
        batch = pictures(size, network.channels)
        inputs = {"noisy": batch}
        if isinstance(network, FlowUNet):
            inputs["noise"] = draw_noise(batch.shape)
        denoised = run(data, **inputs)
        assert denoised.dtype == np.float32
        with torch.inference_mode():
            wanted = exact(*(torch.from_numpy(value).double() for value in inputs.values())).numpy()
        np.testing.assert_allclose(denoised, wanted, atol=1e-5, rtol=0)
        if min(size) > 1 and not isinstance(network, FlowUNet):
            np.testing.assert_allclose(as_on_the_page(denoiser, batch), wanted, atol=1e-5, rtol=0)
    if isinstance(network, FlowUNet):  # the page's draw begins from noise of its own
        batch = pictures((48, 48), 1)
        noise = network.start(batch.shape, 0).numpy() / network.config.start_sigma
        denoised = run(data, noisy=batch, noise=noise)
        np.testing.assert_allclose(denoised, as_on_the_page(denoiser, batch), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SMALL)
def test_parity(name, small, exported):
    model = load_for_strangers(name, small)
    check_parity(exported(name), model, from_config(read_config(name, small), model.network))


@pytest.mark.slow
@pytest.mark.parametrize("model_id", [m for m in (*MODELS, *COLOUR_MODELS) if (WEIGHTS / m).is_dir()])
@pytest.mark.timeout(900)
def test_parity_of_what_ships(model_id):
    check_parity(export_onnx(model_id), load_for_strangers(model_id), create_denoiser(model_id))


@pytest.mark.parametrize("clipped_input", [True, False])
def test_values_beyond_the_range_are_clipped_where_the_page_clips_them(tmp_path, clipped_input):
    save_small("autoencoder", tmp_path, clipped_input)
    batch = pictures((16, 16), 1, unclipped=True)
    assert batch.max() > 1.1
    data = export_onnx("autoencoder", tmp_path)
    denoised = run(data, noisy=batch)
    same = np.allclose(denoised, run(data, noisy=batch.clip(0, 1)), atol=1e-6)
    assert same == clipped_input
    assert denoised.min() >= 0
    assert denoised.max() <= 1


def test_each_picture_of_a_batch_goes_through_its_own_expert(tmp_path):
    save_small("experts", tmp_path)
    network = load_network("experts", tmp_path)
    batch = torch.from_numpy(pictures((48, 48), 1))
    with torch.no_grad():
        network.router.scores[2].weight.mul_(100)
        network.router.scores[2].bias.sub_(network.score_experts(batch).mean(dim=0))
    save_model(network, read_config("experts", tmp_path), tmp_path)
    network = load_network("experts", tmp_path)
    with torch.inference_mode():
        choice = network.score_experts(batch).argmax(dim=1)
        wanted = torch.cat([network(picture[None]) for picture in batch]).clamp(0, 1)
        others = network.denoise_with(batch, (choice + 1) % 3).clamp(0, 1)
    assert len(choice.unique()) > 1
    assert all((wanted - others).abs().amax(dim=(1, 2, 3)) > 1e-3)
    denoised = run(export_onnx("experts", tmp_path), noisy=batch.numpy())
    np.testing.assert_allclose(denoised, wanted, atol=1e-5, rtol=0)


def test_a_file_says_what_it_takes_and_where_it_is_from(small, exported):
    data = exported("flow")
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    wanted = ["batch", 1, "height", "width"]
    assert shapes == {"noisy": wanted, "noise": wanted, "denoised": wanted}
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata == {"id": "flow", WEIGHTS_HASH: file_hash(small / "flow" / MODEL_NAME)}
    assert str(ROOT).encode() not in data  # the exporter notes the lines of code that each part is of
    assert b"site-packages" not in data


def test_the_same_weights_give_the_same_file(small, exported):
    assert export_onnx("autoencoder", small) == exported("autoencoder")


def test_a_file_that_does_something_else_is_not_written(small, monkeypatch):
    monkeypatch.setattr(exporting, "_difference", lambda *_: float("nan"))
    with pytest.raises(ExportError, match="'autoencoder' is nan off its network"):
        export_onnx("autoencoder", small)


# The command


def test_command(small, exported, tmp_path, capsys, caplog):
    folder = tmp_path / "new"
    with caplog.at_level(logging.WARNING):
        command = ["export", "autoencoder", "--format", "onnx", "-o", str(folder)]
        assert main([*command, "--weights", str(small)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{folder / 'autoencoder.onnx'}\n"
    assert err == ""
    assert not caplog.records
    assert [file.name for file in folder.iterdir()] == ["autoencoder.onnx"]
    assert (folder / "autoencoder.onnx").read_bytes() == exported("autoencoder")


def test_command_without_a_model(tmp_path, capsys):
    command = ["export", "nothing", "--format", "onnx", "-o", str(tmp_path / "new")]
    assert main([*command, "--weights", str(tmp_path)]) == 1
    assert "'nothing' has no weights here" in sentence(capsys.readouterr().err)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("package", ["onnxruntime", "onnxscript"])
def test_command_without_onnx(small, tmp_path, capsys, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    command = ["export", "autoencoder", "--format", "onnx", "-o", str(tmp_path / "new")]
    assert main([*command, "--weights", str(small)]) == 1
    assert "pip install -r requirements-onnx.txt" in sentence(capsys.readouterr().err)
    assert not (tmp_path / "new").exists()


# The card's first code


@pytest.mark.parametrize("name", ["autoencoder", "colour", "flow"])
def test_the_first_code_in_a_card_works_in_an_empty_folder(
    loopback_hub, small, exported, tmp_path, name
):
    sample = make_sample(name, small)
    repo_id = hub_repo_id("tester", name)
    loopback_hub.add_repo("model", repo_id, {**sample, ONNX_NAME: exported(name)})
    code = first_code(read_config(name, small), repo_id)
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = loopback_hub.environment(tmp_path / "home")
    ran = [
        sys.executable,
        "-I",
        "-c",
        code,
    ]  # -I: nothing of this folder or of anybody's can be imported
    done = subprocess.run(ran, cwd=empty, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in empty.iterdir()] == ["denoised.png"]
    denoised = np.asarray(Image.open(empty / "denoised.png")).astype(int)
    for file, content in sample.items():
        (tmp_path / file).write_bytes(content)
    shown = np.asarray(Image.open(tmp_path / SAMPLE_NAME)).astype(int)
    factor = shown.shape[0] // denoised.shape[0]
    assert np.abs(shown[::factor, -192::factor] - denoised).max() <= 1
    noisy = np.asarray(Image.open(tmp_path / NOISY_NAME)).astype(int)
    assert noisy.shape == denoised.shape
    assert (shown[::factor, 200:392:factor] == noisy).all()


@pytest.mark.parametrize(
    ("model_id", "noise"),
    [
        ("attention-unet.salt-and-pepper-10", SaltAndPepperNoise(0.1)),
        ("attention-unet.gaussian-low", GaussianNoise(0.02)),
        ("residual-unet", GaussianNoise(25 / 255)),
    ],
)
def test_the_sample_has_the_noise_that_a_model_is_for(model_id, noise):
    assert sample_noise(read_config(model_id)) == noise
