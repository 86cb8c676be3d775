"""Opening checkpoints: what was saved comes back, and whatever is wrong is said in one sentence."""

import ast
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import denoiser
from denoiser.architectures import AttentionUNet, Autoencoder, build_network
from denoiser.architectures.loading import (
    DISCRIMINATOR_CONFIG_NAME,
    DISCRIMINATOR_NAME,
    load_discriminator,
    load_network,
)
from denoiser.architectures.patchgan import PatchDiscriminator, PatchDiscriminatorConfig
from denoiser.weights.checkpoint import (
    CONFIG_NAME,
    MODEL_NAME,
    ModelConfig,
    WeightsError,
    hub_repo_id,
    read_config,
)
from tests.weights import save_discriminator, save_model

ROOT = Path(denoiser.__file__).parent.parent


def model_config(**changes):
    values = {
        "id": "tiny",
        "label": "Tiny",
        "family": "autoencoder",
        "architecture": "attention-unet",
        "settings": {"widths": [4, 8], "batch_norm": True},
        "trained_on": "nothing",
        "parameters": 0,
        "reference": "-",
    }
    return ModelConfig(**values | changes)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build_network("attention-unet", {"widths": [4, 8], "batch_norm": True})
    network(torch.rand(8, 1, 16, 16))  # moves the batch statistics away from where they start
    return network.eval()


@pytest.fixture
def folder(tmp_path, network):
    """A folder of models with one good model in it."""
    save_model(network, model_config(), tmp_path)
    return tmp_path


def problem(folder, model_id="tiny"):
    """Return the message of the WeightsError, after checking that it is fit to be shown."""
    with pytest.raises(WeightsError) as caught:
        load_network(model_id, folder)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert ". " not in message  # one sentence
    assert str(folder) not in message
    assert "/" not in message
    assert "\\" not in message
    assert model_id in message
    # No other error's traceback, paths in it, is shown before it.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return message


def rewrite(folder, change):
    """Apply a change to the dictionary of saved tensors."""
    file = folder / "tiny" / MODEL_NAME
    state = load_file(file)
    change(state)
    save_file(state, file)


def test_what_is_saved_comes_back(folder, network):
    loaded = load_network("tiny", folder)
    batch = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        expected = network(batch)
        torch.testing.assert_close(loaded(batch), expected, atol=5e-3, rtol=0)
    state = network.state_dict()
    for name, tensor in loaded.state_dict().items():
        expected_tensor = state[name].half().float() if tensor.is_floating_point() else state[name]
        assert torch.equal(tensor, expected_tensor), name
    assert not torch.allclose(expected[0], expected[1])


def test_a_loaded_network_is_ready_to_run(folder):
    loaded = load_network("tiny", folder)
    assert not loaded.training
    tensors = [t for t in loaded.state_dict().values() if t.is_floating_point()]
    assert {t.dtype for t in tensors} == {torch.float32}
    assert not any(p.requires_grad for p in loaded.parameters())


def test_the_file_is_safetensors_in_half_precision(folder, network):
    with safe_open(folder / "tiny" / MODEL_NAME, "pt") as file:
        names = list(file.keys())
        dtypes = {file.get_tensor(name).dtype for name in names}
    assert set(names) == set(
        build_network("attention-unet", {"widths": [4, 8], "batch_norm": True}).state_dict()
    )
    assert dtypes == {torch.float16, torch.int64}  # batch norm counts its batches in whole numbers


def test_saving_returns_the_folder_and_its_config_can_be_read(tmp_path, network):
    config = model_config(id="another", parameters=12, trained_on="Gaussian Gauß")
    assert save_model(network, config, tmp_path / "new") == tmp_path / "new" / "another"
    assert read_config("another", tmp_path / "new") == config


def test_a_config_that_says_nothing_of_clipping_is_of_a_network_of_clipped_pictures(folder):
    file = folder / "tiny" / CONFIG_NAME
    values = json.loads(file.read_text())
    del values["clipped_input"]
    file.write_text(json.dumps(values))
    assert read_config("tiny", folder).clipped_input


def test_saving_leaves_the_network_alone(tmp_path, network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    save_model(network, model_config(), tmp_path)
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


def test_weights_of_a_channels_last_network_can_be_saved(tmp_path, network):
    save_model(network.to(memory_format=torch.channels_last), model_config(), tmp_path)
    load_network("tiny", tmp_path)


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("attention-unet", "fer2013-attention-unet"),
        ("attention-unet.gaussian-low", "fer2013-attention-unet.gaussian-low"),
        ("attention-unet-colour", "colour-faces-attention-unet-colour"),
        ("patchgan-colour.pixel-shuffle", "colour-faces-patchgan-colour.pixel-shuffle"),
    ],
)
def test_a_repository_names_the_faces_behind_its_model(model_id, name):
    assert hub_repo_id("somebody", model_id) == f"somebody/{name}"


def test_missing_folder(tmp_path):
    assert "no weights here" in problem(tmp_path)
    assert "no weights here" in problem(tmp_path / "nowhere")


def test_missing_file(folder):
    (folder / "tiny" / MODEL_NAME).unlink()
    assert "missing" in problem(folder)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_truncated_file(folder, share):
    file = folder / "tiny" / MODEL_NAME
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    assert "damaged" in problem(folder)


@pytest.mark.parametrize(
    "content",
    [b"no weights " * 1000, b"\x00" * 4096, b"\xff" * 4096, b"PK\x03\x04" + b"\x80\x02" * 999],
    ids=["text", "zeros", "ones", "a torch.save file"],
)
def test_garbage(folder, content):
    (folder / "tiny" / MODEL_NAME).write_bytes(content)
    assert "damaged" in problem(folder)


def test_folder_in_the_file_s_place(folder):
    (folder / "tiny" / MODEL_NAME).unlink()
    (folder / "tiny" / MODEL_NAME).mkdir()
    assert "damaged" in problem(folder)


def test_weights_of_another_architecture(folder):
    other = build_network("autoencoder", {"widths": [4, 8]})
    save_model(other, model_config(id="other"), folder)  # its config still says attention-unet
    assert "doesn't fit" in problem(folder, "other")


def test_config_of_another_model(folder):
    """Its results would be looked for under another name: a HTTP 500 for every comparison."""
    (folder / "tiny").rename(folder / "renamed")
    assert problem(folder, "renamed") == "The config.json of the model 'renamed' is another model's."
    with pytest.raises(WeightsError, match="another model's"):
        read_config("renamed", folder)


def test_missing_tensor(folder):
    rewrite(folder, lambda state: state.pop("output.bias"))
    assert "doesn't fit" in problem(folder)


def test_extra_tensor(folder):
    rewrite(folder, lambda state: state.update(more=torch.zeros(1)))
    assert "doesn't fit" in problem(folder)


def test_wrong_shape(folder):
    rewrite(folder, lambda state: state.update({"output.bias": torch.zeros(2)}))
    assert "doesn't fit" in problem(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["output.bias", "encoder.0.2.running_var"])
def test_weights_that_are_no_numbers(folder, name, value):
    rewrite(folder, lambda state: state[name].fill_(value))
    assert "NaN or infinity" in problem(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "3", '"tiny"', "{}", '{"id": "tiny"}', "\x00"],
    ids=["empty", "cut", "null", "list", "number", "word", "no keys", "one key", "zero byte"],
)
def test_broken_config(folder, text):
    (folder / "tiny" / CONFIG_NAME).write_text(text)
    assert "config.json" in problem(folder)
    with pytest.raises(WeightsError):
        read_config("tiny", folder)


def test_config_that_is_no_text(folder):
    (folder / "tiny" / CONFIG_NAME).write_bytes(b"\xff\xfe\x80")
    assert "config.json" in problem(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "u-net-of-tomorrow"},
        {"architecture": 3},
        {"architecture": ["autoencoder"]},
        {"settings": {"heads": 8}},
        {"settings": {"widths": []}},
        {"settings": {"widths": [-4, 8]}},
        {"settings": {"widths": "wide"}},
        {"settings": None},
        {"settings": 8},
    ],
    ids=str,
)
def test_config_of_an_unknown_architecture(folder, changes):
    file = folder / "tiny" / CONFIG_NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert "architecture" in problem(folder)


def test_config_of_other_settings_than_the_weights(folder):
    file = folder / "tiny" / CONFIG_NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | {"settings": {"widths": [4, 16]}}))
    assert "doesn't fit" in problem(folder)


def test_a_config_that_asks_for_more_memory_than_there_is(folder):
    file = folder / "tiny" / CONFIG_NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | {"settings": {"widths": [2**20, 2**21]}}))
    assert "asks for too much: widths may be 4096 at most" in problem(folder)


@pytest.mark.parametrize(
    ("architecture", "settings", "said"),
    [
        ("autoencoder", {"widths": [4] * 9}, "widths may have 8 entries"),  # pads to 512 pixels
        ("attention-unet", {"widths": [4] * 30_000}, "widths may have 8 entries"),
        ("attention-unet", {"widths": [4096, 4096]}, "at most 50,000,000 are allowed"),
        ("residual-unet", {"encoder_blocks": [10**9, 1, 1, 1]}, "encoder_blocks may be 16 at most"),
        ("expert-unet", {"experts": [str(n) for n in range(10_000)]}, "experts may have 16 entries"),
        ("median-unet", {"inputs": 10**12}, "inputs may be 4096 at most"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_absurd_sizes_are_refused_before_anything_is_built(
    folder, monkeypatch, architecture, settings, said
):
    file = folder / "tiny" / CONFIG_NAME
    changes = {"architecture": architecture, "settings": settings}
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    def allocate(*arguments, **options):
        raise AssertionError("it was allocated")

    monkeypatch.setattr("denoiser.weights.checkpoint.load_file", allocate)
    assert said in problem(folder)
    with pytest.raises(ValueError, match=said):  # as a training config, which is built for real
        build_network(architecture, settings)


def test_files_larger_than_a_model_s_are_not_read(folder, monkeypatch):
    monkeypatch.setattr("denoiser.weights.checkpoint.MAX_MODEL_BYTES", 100)
    assert "larger than a model's may be" in problem(folder)
    monkeypatch.setattr("denoiser.weights.checkpoint.MAX_CONFIG_BYTES", 100)
    assert "config.json" in problem(folder)


@pytest.mark.parametrize(
    "changes",
    [{"id": 3}, {"label": None}, {"parameters": "many"}, {"clipped_input": 1}, {"family": "x"}],
    ids=str,
)
def test_config_with_values_of_another_kind(folder, changes):
    file = folder / "tiny" / CONFIG_NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert "config.json" in problem(folder)


def test_a_class_loads_its_own_kind_from_a_folder(folder, network):
    batch = torch.rand(2, 1, 16, 16)
    loaded = AttentionUNet.from_pretrained(folder / "tiny")
    with torch.inference_mode():
        torch.testing.assert_close(loaded(batch), network(batch), atol=5e-3, rtol=0)
    with pytest.raises(WeightsError, match="architecture 'attention-unet', not 'autoencoder'"):
        Autoencoder.from_pretrained(folder / "tiny")


def test_unknown_key_in_the_config(folder):
    file = folder / "tiny" / CONFIG_NAME
    file.write_text(json.dumps(json.loads(file.read_text()) | {"code": "import os"}))
    assert "config.json" in problem(folder)


# Discriminators


@pytest.fixture
def discriminator():
    torch.manual_seed(0)
    return PatchDiscriminator(PatchDiscriminatorConfig(width=4)).eval()


@pytest.fixture
def judged(folder, discriminator):
    """The folder of models, whose model now has a discriminator."""
    save_discriminator(discriminator, folder / "tiny")
    return folder


def discriminator_problem(folder):
    with pytest.raises(WeightsError) as caught:
        load_discriminator("tiny", folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) not in message
    return message


def test_a_discriminator_comes_back(judged, discriminator):
    pair = torch.rand(2, 2, 1, 24, 24)
    loaded = load_discriminator("tiny", judged)
    assert loaded.config == discriminator.config
    assert not loaded.training
    with torch.inference_mode():
        torch.testing.assert_close(loaded(*pair), discriminator(*pair), atol=2e-2, rtol=0)
    assert (judged / "tiny" / DISCRIMINATOR_NAME).stat().st_size < 3 * sum(
        p.numel() for p in discriminator.parameters()
    )  # in half precision
    load_network("tiny", judged)  # and the model is none the worse for it


def test_a_model_without_a_discriminator(folder):
    assert "comes without the discriminator" in discriminator_problem(folder)


def test_a_discriminator_can_be_taken_away(judged):
    save_discriminator(None, judged / "tiny")
    assert "comes without the discriminator" in discriminator_problem(judged)
    load_network("tiny", judged)


def test_missing_and_damaged_weights_of_a_discriminator(judged):
    file = judged / "tiny" / DISCRIMINATOR_NAME
    file.write_bytes(file.read_bytes()[:-10])
    assert "damaged" in discriminator_problem(judged)
    file.unlink()
    assert "missing" in discriminator_problem(judged)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"depth": 3}', '{"width": 0}', '{"stages": 99}', '{"width": "4"}']
)
def test_broken_config_of_a_discriminator(judged, text):
    (judged / "tiny" / DISCRIMINATOR_CONFIG_NAME).write_text(text)
    assert DISCRIMINATOR_CONFIG_NAME in discriminator_problem(judged)


def test_a_discriminator_of_another_shape(judged):
    (judged / "tiny" / DISCRIMINATOR_CONFIG_NAME).write_text('{"width": 8, "stages": 2}')
    assert f"doesn't fit its {DISCRIMINATOR_CONFIG_NAME}" in discriminator_problem(judged)


def test_a_discriminator_that_is_no_numbers(judged):
    file = judged / "tiny" / DISCRIMINATOR_NAME
    state = load_file(file)
    state["first.0.bias"].fill_(float("nan"))
    save_file(state, file)
    assert "NaN" in discriminator_problem(judged)


UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@pytest.mark.parametrize("package", ["denoiser", "train"])
def test_nothing_unpickles(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert len(files) >= 8
    for file in files:
        source = file.read_text(encoding="utf-8")
        assert not re.search(r"\btorch\.(jit\.)?load\b|allow_pickle|weights_only=False", source), file
        for node in ast.walk(ast.parse(source)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(alias.name for alias in node.names)]
            assert not {name.split(".")[0] for name in names} & UNPICKLERS, file
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
                assert "load" not in names, file


def test_safetensors_are_opened_in_one_place():
    users = set()
    for package in ("denoiser", "train"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.split(".")[0] == "safetensors" for name in names):
                    users.add(file.relative_to(ROOT).as_posix())
    assert users == {"denoiser/weights/checkpoint.py"}
