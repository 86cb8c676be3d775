"""The list of denoisers: complete, unique, and each made once."""

import json
import re
from typing import get_args

import pytest

import denoiser
from denoiser.analysis.results import read_benchmark
from denoiser.architectures import build_network
from denoiser.denoisers import network as networks
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.filters import CLASSICAL_DENOISERS
from denoiser.denoisers.registry import (
    COLOUR_MODELS,
    DEFAULT_DENOISERS,
    MODELS,
    PRIORS,
    REGISTRY,
    Registry,
    create_denoiser,
)
from denoiser.weights import checkpoint as weights
from denoiser.weights.checkpoint import Family, ModelConfig, WeightsError
from tests.weights import save_model

CLASSICAL = [method.info.id for method in CLASSICAL_DENOISERS]


class Doubler(Denoiser):
    def __init__(self, denoiser_id="doubler"):
        self.info = DenoiserInfo(denoiser_id, "Doubler", "classical", False, None, 0, "-")

    def _denoise(self, noisy, sigma):
        return 2 * noisy


@pytest.fixture
def tiny_model(tmp_path, monkeypatch):
    """A model "attention-unet" of a few weights in place of the shipped one."""
    network = build_network("attention-unet", {"widths": [4, 8]})
    settings = {"widths": [4, 8]}
    config = ModelConfig(
        "attention-unet", "Tiny", "network", "attention-unet", settings, "a mixture", 1643, "-"
    )
    save_model(network, config, tmp_path)
    for function in (networks.read_config, networks.load_network):
        monkeypatch.setattr(
            networks, function.__name__, lambda id, function=function: function(id, tmp_path)
        )
    create_denoiser.cache_clear()
    yield tmp_path
    create_denoiser.cache_clear()


def test_ids_are_in_the_order_they_were_added():
    ids = ["c", "a", "b"]
    assert Registry([(id, Doubler) for id in ids]).ids() == ids


def test_a_duplicate_id_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="two denoisers with the id 'a'"):
        Registry([("a", Doubler), ("b", Doubler), ("a", Doubler)])


def test_an_unknown_id_lists_the_choices():
    with pytest.raises(ValueError, match="Unknown denoiser 'c'; choose one of a, b"):
        Registry([("a", Doubler), ("b", Doubler)]).create("c")


def test_only_what_is_asked_for_is_made():
    made = []

    def factory(id):
        return lambda: made.append(id) or Doubler(id)

    few = Registry([(id, factory(id)) for id in "abc"])
    assert made == []
    assert few.create("b").info.id == "b"
    assert made == ["b"]


def test_changing_the_list_of_ids_changes_nothing():
    few = Registry([("a", Doubler)])
    few.ids().append("b")
    assert few.ids() == ["a"]


def test_models_come_first_then_filters():
    assert denoiser.list_denoisers() == [*MODELS, *PRIORS, *CLASSICAL]
    assert REGISTRY.ids() == [*denoiser.list_denoisers(), *COLOUR_MODELS]
    assert denoiser.list_denoisers(colour=True) == REGISTRY.ids()


def test_no_method_goes():
    """Shared links, and the committed results, name them."""
    assert {method.id for method in read_benchmark().methods} <= set(denoiser.list_denoisers())


def test_the_four_that_the_app_shows_first():
    assert DEFAULT_DENOISERS == ("attention-unet", "patchgan", "autoencoder", "median")
    assert set(DEFAULT_DENOISERS) <= set(denoiser.list_denoisers())


def test_the_unknown_id_of_the_public_function_lists_every_id():
    with pytest.raises(ValueError, match="Unknown denoiser 'medain'") as caught:
        create_denoiser("medain")
    listed = re.split(r"[ ,]+", str(caught.value).split("choose one of ")[1])
    assert listed == denoiser.list_denoisers(colour=True)


@pytest.mark.parametrize("id", CLASSICAL)
def test_what_is_said_of_a_filter(id):
    info = create_denoiser(id).info
    assert info.id == id
    assert info.family == "classical"
    assert info.trained_on is None
    assert info.parameters == 0
    assert info.label
    assert re.search(r"\d{4}", info.reference)  # a year


@pytest.mark.parametrize("id", [*MODELS, *COLOUR_MODELS])
def test_what_is_said_of_a_model(id):
    if not (weights.WEIGHTS / id).is_dir():
        pytest.skip(f"weights/{id} is not there")
    method = create_denoiser(id)
    info = method.info
    assert info.id == id
    assert info.family in get_args(Family)
    assert info.family != "classical"
    assert info.label
    assert info.trained_on
    assert not info.uses_sigma
    assert info.parameters == sum(p.numel() for p in method.network.parameters())
    assert info.colour == (id in COLOUR_MODELS)
    assert create_denoiser(id) is method


def test_labels_tell_all_denoisers_apart(tiny_model):
    ids = [*CLASSICAL, "attention-unet"]
    assert len({create_denoiser(id).info.label for id in ids}) == len(ids)


def test_weights_are_loaded_once_and_shared(tiny_model, monkeypatch):
    loads = []
    load = networks.load_network
    monkeypatch.setattr(networks, "load_network", lambda id: loads.append(id) or load(id))
    first = create_denoiser("attention-unet")
    assert create_denoiser("attention-unet") is first
    assert denoiser.create_denoiser("attention-unet") is first
    assert loads == ["attention-unet"]


def test_what_a_model_says_of_itself_is_its_config(tiny_model):
    info = create_denoiser("attention-unet").info
    assert (info.label, info.family, info.trained_on) == ("Tiny", "network", "a mixture")
    assert (info.parameters, info.uses_sigma) == (1643, False)


def test_missing_weights_stop_one_model_and_no_other(tiny_model, face):
    with pytest.raises(WeightsError, match="'patchgan' has no weights here"):
        create_denoiser("patchgan")
    assert create_denoiser("median")(face).shape == face.shape
    assert create_denoiser("attention-unet")(face).shape == face.shape


def test_a_failure_is_not_remembered(tiny_model):
    with pytest.raises(WeightsError):
        create_denoiser("patchgan")
    (tiny_model / "attention-unet").rename(tiny_model / "patchgan")
    file = tiny_model / "patchgan" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"id": "patchgan"}))
    assert create_denoiser("patchgan").info.label == "Tiny"


def test_another_model_s_folder_stops_only_its_own_method(tiny_model):
    """Its result had another id than was asked for: every comparison with it was a HTTP 500."""
    (tiny_model / "attention-unet").rename(tiny_model / "patchgan")
    for function in (networks.read_info, create_denoiser):
        with pytest.raises(WeightsError, match="is another model's"):
            function("patchgan")


@pytest.mark.parametrize("clipped_input", [True, False])
def test_a_model_gets_the_input_that_its_config_names(tiny_model, clipped_input):
    file = tiny_model / "attention-unet" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"clipped_input": clipped_input}))
    assert create_denoiser("attention-unet").clipped_input is clipped_input
