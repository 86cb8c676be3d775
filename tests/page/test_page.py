"""The page without a browser: what the controls mean, what the grid is sent, how it is wired."""

import base64
import itertools
import json
import math
import re
import time
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

import denoiser.ui
from denoiser.analysis.gain_labels import gain_flag, write_loss
from denoiser.denoisers import registry
from denoiser.denoisers.base import Denoiser, DenoiserInfo
from denoiser.denoisers.own_model import OWN_MODEL
from denoiser.denoisers.registry import (
    COLOUR_MODELS,
    DEFAULT_DENOISERS,
    MODELS,
    create_denoiser,
    describe_denoiser,
    list_denoisers,
)
from denoiser.faces.fer2013 import FaceSet
from denoiser.faces.samples import bundled_faces, get_sample
from denoiser.images import to_uint8
from denoiser.noise import NOISES, PRESETS, GaussianNoise, NoiseChain, create_noise
from denoiser.pipeline import Comparison, Experiment, compare
from denoiser.ui.common.payload import encode_picture, error_payload, new_version, write_payload
from denoiser.ui.compare.payload import live_payload, slow_payload
from denoiser.ui.experiment.costs import LIVE_MS, LONGEST_MS, cost, plan, plan_methods
from denoiser.ui.experiment.face_source import FaceSource, Offer, first_face, sample_face
from denoiser.ui.experiment.parsing import (
    MAX_SEED,
    MAX_STAGES,
    ExperimentError,
    parse_experiment,
    write_stages,
)
from denoiser.ui.experiment.run import Face, describe_methods, run_methods
from denoiser.ui.page import build_app, warm_up
from denoiser.weights.checkpoint import WeightsError

DEFAULTS = {(kind.id, p.name): p.displayed(p.default) for kind in NOISES for p in kind.parameters}


def parse(first="gaussian", *more, values=None, **others) -> Experiment:
    further = write_stages(create_noise(kind) for kind in more)
    given = {"more": further, "seed": 0, "methods": ["median"], **others}
    return parse_experiment(first, DEFAULTS | (values or {}), **given)


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return bundled_faces()


@pytest.fixture(scope="module")
def face(faces) -> Face:
    return first_face(faces)


@pytest.fixture(scope="module")
def app(faces) -> gr.Blocks:
    return build_app(FaceSource(Offer(faces, "Faces for tests")))


def decode(text: str, dtype: str = "u1") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


# What the controls mean


def test_settings_have_physical_units():
    settings = parse(values={("gaussian", "sigma"): 51}, seed=3, clip=False, round_8bit=True)
    assert settings.noise.sigma == pytest.approx(0.2)
    assert (settings.seed, settings.clip, settings.round_8bit) == (3, False, True)


@pytest.mark.parametrize("more", [["salt-and-pepper"], ["gaussian", "jpeg", "gaussian"]])
def test_more_noises_come_on_top(more):
    settings = parse("jpeg", *more)
    assert isinstance(settings.noise, NoiseChain)
    assert [stage.id for stage in settings.noise.stages] == ["jpeg", *more]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (None, "can't be read"),
        (3, "can't be read"),
        ("", "can't be read"),
        ("[" * 100_000, "can't be read"),
        ('{"gaussian": {}}', "can't be read"),
        ('["gaussian"]', "can't be read"),
        ('[["gaussian", {}, 3]]', "can't be read"),
        ('[["gaussian", [25]]]', "can't be read"),
        ('[["fog", {}]]', "kind of noise is unknown"),
        ('[[["gaussian"], {}]]', "kind of noise is unknown"),
        ('[["gaussian", {}]]', "has to be a number from 0 to 100"),
        ('[["gaussian", {"sigma": 101}]]', "has to be a number from 0 to 100"),
        ('[["gaussian", {"sigma": NaN}]]', "has to be a number from 0 to 100"),
        ('[["gaussian", {"sigma": "25"}]]', "has to be a number from 0 to 100"),
        (json.dumps([["jpeg", {"quality": 20}]] * MAX_STAGES), "4 noises at most"),
    ],
    ids=str,
)
def test_more_noises_that_are_none(more, said):
    with pytest.raises(ExperimentError, match=said) as caught:
        parse(more=more)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("kind", NOISES, ids=lambda kind: kind.id)
def test_every_slider_position_is_accepted(kind):
    for parameter in kind.parameters:
        for end in parameter.slider_range:
            parse(kind.id, values={(kind.id, parameter.name): end})


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_fit_the_sliders(preset):
    values = {(preset.id, p.name): p.displayed(getattr(preset, p.name)) for p in preset.parameters}
    noise = parse(preset.id, values=values).noise
    for parameter in preset.parameters:
        assert getattr(noise, parameter.name) == pytest.approx(getattr(preset, parameter.name))


@pytest.mark.parametrize("shown", [None, -1, 101, 1e30, math.nan, math.inf, "25", True, [25]])
def test_bad_number_is_one_sentence(shown):
    with pytest.raises(ExperimentError, match=r"^Standard deviation .* from 0 to 100\.$"):
        parse(values={("gaussian", "sigma"): shown})


def test_fraction_where_a_whole_number_is_needed():
    with pytest.raises(ExperimentError, match="whole number from 0 to 24"):
        parse("occlusion", values={("occlusion", "size"): 2.5})


def test_bad_number_of_a_noise_that_is_not_used_is_no_error():
    parse(values={("jpeg", "quality"): None})


@pytest.mark.parametrize("seed", [None, -1, 1.5, 1e30, 10**400, MAX_SEED + 1, math.nan, "1", False])
def test_bad_seed_is_one_sentence(seed):
    with pytest.raises(ExperimentError, match=r"^The seed has to be a whole number from 0 to \d+\.$"):
        parse(seed=seed)


@pytest.mark.parametrize(
    "others",
    [{"first": "fog"}, {"first": ["gaussian"]}, {"more": '[["fog", {}]]'}, {"methods": ["magic"]}],
)
def test_unknown_ids_are_one_sentence(others):
    with pytest.raises(ExperimentError, match="unknown"):
        parse(**others)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (None, "can't be read"),
        (7, "can't be read"),
        ("[" * 100_000, "can't be read"),
        ("[48]", "can't be read"),
        ("48", "can't be read"),
        ("[64, false]", "one of 48, 96, 128"),
        ('["48", false]', "one of 48, 96, 128"),
        ("[true, false]", "one of 48, 96, 128"),
        ("[NaN, false]", "one of 48, 96, 128"),
        ("[1e999, false]", "one of 48, 96, 128"),
        ("[[48], false]", "one of 48, 96, 128"),
    ],
)
def test_a_form_that_is_none_is_one_sentence(form, said):
    with pytest.raises(ExperimentError, match=said):
        parse(form=form)


# What the grid is sent


@pytest.fixture(scope="module")
def astronaut(faces) -> Face:
    return sample_face(get_sample(faces, "astronaut"))


@pytest.mark.parametrize(("size", "colour"), [(48, True), (96, False), (128, True)])
def test_pictures_travel_in_their_size_and_colour(astronaut, size, colour):
    settings = parse(form=json.dumps([size, colour]))
    payload = json.loads(write_payload(live_payload(astronaut, settings, describe_methods(), 1)))
    clean = astronaut.at(size, colour)
    assert (payload["width"], payload["height"]) == (size, size)
    assert payload["caption"].endswith(f", {size}x{size} in {'colour' if colour else 'gray'}")
    expected = compare(clean, GaussianNoise(), 0, ["median"])
    pictures = [clean, expected.corruption.noisy, expected["median"].image]
    for card, picture in zip(payload["cards"], pictures, strict=True):
        np.testing.assert_array_equal(decode(card["pixels"]).reshape(clean.shape), to_uint8(picture))
    fine = decode(payload["fine"], "<i2") / 8192
    np.testing.assert_allclose(fine.reshape(clean.shape), expected.corruption.noisy, atol=1e-4)


def test_colour_has_something_to_lose(astronaut):
    settings = parse("desaturation", form="[48, true]")
    payload = live_payload(astronaut, settings, describe_methods(), 1)
    assert "notice" not in payload
    assert payload["cards"][1]["psnr"] != "∞ dB"


def test_what_a_face_can_be_had_in_is_said(face, astronaut):
    def form(shown, written):
        settings = shown.fit(parse(form=written))
        return live_payload(shown, settings, describe_methods(), 1)["form"]

    small = form(face, "[128, true]")
    assert (small["size"], small["colour"], small["sizes"], small["colours"]) == (
        48,
        False,
        False,
        False,
    )
    assert small["why"].startswith("This sample is 48x48 and gray")
    assert small["other"] == "astronaut"
    large = form(astronaut, "[128, true]")
    assert (large["size"], large["colour"], large["sizes"], large["colours"]) == (128, True, True, True)
    assert (large["why"], large["other"]) == ("", "")
    own = Face("upload-1", "Your picture", face.image, detail=np.zeros((60, 60), np.uint8))
    gray = form(own, "[96, true]")
    assert (gray["size"], gray["colour"], gray["sizes"], gray["colours"]) == (96, False, True, False)
    assert (gray["why"], gray["other"]) == ("Your picture is gray.", "")


@pytest.mark.parametrize("shape", [(48, 48, 3), (96, 96), (96, 96, 3), (128, 128), (128, 128, 3)])
def test_larger_pictures_leave_fewer_methods_live(shape):
    methods = describe_methods()
    small, large = (plan(DEFAULT_DENOISERS, methods, s) for s in ((48, 48), shape))
    assert small.live == DEFAULT_DENOISERS
    assert "median" in large.live
    assert sum(cost(methods[m], shape) for m in large.live) <= LIVE_MS
    assert sorted((*large.live, *large.later)) == sorted(DEFAULT_DENOISERS)
    assert not large.refused


def test_what_takes_too_long_says_so_and_is_not_run(astronaut):
    settings = parse(methods=["flow-unet", "median"], form="[128, true]")
    methods = describe_methods()
    assert cost(methods["flow-unet"], (128, 128, 3)) > LONGEST_MS > cost(methods["flow-unet"], (48, 48))
    flow = live_payload(astronaut, settings, methods, 1)["cards"][2]
    assert flow["error"] == "Takes too long at 128x128 in colour; choose a smaller size."
    assert "pending" not in flow
    assert slow_payload(astronaut, settings, methods, 2)["cards"] == []


def test_a_network_for_colour_takes_three_channels_as_one():
    info = describe_methods()["attention-unet"]
    assert cost(replace(info, colour=True), (96, 96, 3)) == cost(info, (96, 96))
    assert cost(info, (96, 96, 3)) > 2 * cost(info, (96, 96))


def test_live_payload_is_json_with_the_model_s_pixels(face):
    settings = parse(methods=["median", "nl-means"], seed=5)
    payload = json.loads(write_payload(live_payload(face, settings, describe_methods(), 7)))
    comparison = run_methods(face, settings, settings.methods).comparison
    clean, noisy, median, nl_means = payload["cards"]
    assert [clean["id"], noisy["id"], median["id"]] == ["clean", "noisy", "median"]
    assert (decode(clean["pixels"]) == to_uint8(face.image).ravel()).all()
    assert (decode(noisy["pixels"]) == to_uint8(comparison.corruption.noisy).ravel()).all()
    assert (decode(median["pixels"]) == to_uint8(comparison["median"].image).ravel()).all()
    assert median["psnr"] == f"{comparison['median'].psnr:.2f} dB"
    assert "strength" not in median or median["strength"] == ""
    assert (nl_means["strength"], nl_means["strengthFrom"]) == ("25.0/255", "known")
    assert (payload["version"], payload["seed"], payload["sigma"]) == (7, 5, "25")


def test_residual_survives_without_clipping(face):
    settings = parse(values={("gaussian", "sigma"): 100}, clip=False)
    payload = live_payload(face, settings, describe_methods(), 1)
    noisy = run_methods(face, settings, []).comparison.corruption.noisy
    assert noisy.max() > 1
    assert decode(payload["fine"], "<i2") / 8192 == pytest.approx(noisy.ravel(), abs=1e-4)


def test_no_noise_gives_infinity_as_text(face):
    payload = live_payload(
        face, parse(values={("gaussian", "sigma"): 0}), describe_methods(), new_version()
    )
    json.dumps(payload, allow_nan=False)
    noisy, median = payload["cards"][1:]
    assert noisy["psnr"] == "∞ dB"
    assert noisy["flag"] == "nothing to remove"
    assert re.fullmatch(r"destroys \d+\.\d of 255", median["gain"])
    assert median["flag"] == "worse than doing nothing"
    assert not any(median["beats"].values())


@pytest.mark.parametrize(
    ("gain", "text", "flag", "beats"),
    [
        (-0.06, "\N{MINUS SIGN}0.1 dB", "worse than doing nothing", False),
        (-0.04, "±0.0 dB", "no better than doing nothing", False),
        (0.04, "±0.0 dB", "no better than doing nothing", False),
        (0.06, "+0.1 dB", "", True),
    ],
)
def test_what_cannot_be_seen_in_the_numbers_is_a_tie(monkeypatch, face, gain, text, flag, beats):
    monkeypatch.setattr(Comparison, "gain", lambda comparison, method: gain)
    card = live_payload(face, parse(), describe_methods(), new_version())["cards"][2]
    assert (card["gain"], card["flag"], card["beats"]["psnr"]) == (text, flag, beats)


@pytest.mark.parametrize(
    ("psnr", "text", "flag"),
    [
        (math.inf, "changes nothing", ""),
        (80.0, "destroys < 0.1 of 255", "no better than doing nothing"),
        (48.13, "destroys 1.0 of 255", "worse than doing nothing"),
    ],
)
def test_where_there_is_nothing_to_remove_harm_is_told(psnr, text, flag):
    assert (write_loss(psnr), gain_flag(None, psnr)) == (text, flag)


def test_many_networks_do_not_keep_the_first_ones_waiting(face):
    methods = describe_methods()
    settings = parse(methods=list_denoisers())
    planned = plan_methods(face, settings, methods)
    later = list(planned.later)
    flows = {m for m in settings.methods if methods[m].family == "flow"}
    assert flows  # they run a network many times
    assert flows < set(later)
    assert not any(methods[m].family == "classical" for m in later)
    assert set(DEFAULT_DENOISERS) < set(planned.live)
    assert sum(cost(methods[m], (48, 48)) for m in planned.live) <= LIVE_MS
    assert not planned.refused
    live = live_payload(face, settings, methods, 1)
    slow = slow_payload(face, settings, methods, 2)
    assert [card["id"] for card in live["cards"] if card.get("pending")] == later
    assert not any("psnr" in card for card in live["cards"] if card["id"] in later)
    assert slow["key"] == live["key"]
    assert [card["id"] for card in slow["cards"] if "psnr" in card] == later


def test_a_card_says_how_its_method_is_set(face):
    median = describe_denoiser("median")
    (radius,) = median.hyperparameters
    plain, wide = (
        live_payload(face, parse(hyperparameters=[("median", radius, value)]), describe_methods(), 1)
        for value in (1, 3)
    )
    assert plain["cards"][2]["kind"] == "Classical"
    assert wide["cards"][2]["kind"] == "Classical · radius 3 pixels"
    assert plain["key"] != wide["key"]
    expected = create_denoiser("median").with_hyperparameters(radius=3)
    comparison = compare(face.image, GaussianNoise(), 0, [expected])
    assert wide["cards"][2]["pixels"] == encode_picture(comparison["median"].image)


@pytest.mark.parametrize(
    "others",
    [{"seed": 1}, {"values": {("gaussian", "sigma"): 26}}, {"clip": False}, {"form": "[96, false]"}],
)
def test_key_changes_with_what_the_methods_are_given(face, others):
    methods = describe_methods()
    before = live_payload(face, parse(), methods, 1)["key"]
    assert live_payload(face, parse(**others), methods, 2)["key"] != before


def test_key_does_not_depend_on_the_methods_shown(face):
    methods = describe_methods()
    keys = {live_payload(face, parse(methods=m), methods, 1)["key"] for m in ([], ["median"])}
    assert len(keys) == 1


def test_versions_grow():
    versions = []
    for _ in range(5):
        versions.append(new_version())
        time.sleep(1e-5)
    assert versions == sorted(set(versions))
    assert versions[-1] < 2**53  # exact in JavaScript


@pytest.mark.parametrize("noises", [["desaturation"], ["jpeg", "gaussian", "desaturation"]])
def test_a_gray_face_says_that_it_has_no_colour_to_lose(face, noises):
    methods = describe_methods()
    payload = live_payload(face, parse(*noises), methods, 1)
    assert payload["notice"].startswith("Desaturation changes nothing here: this face is gray")
    assert "notice" not in live_payload(face, parse("jpeg"), methods, 1)


def test_error_payload_has_no_pictures():
    assert error_payload("No.", 3) == {"version": 3, "error": "No."}


def test_missing_weights_stop_only_their_own_method(face, monkeypatch):
    def fail(method_id):
        if method_id == "patchgan":
            raise WeightsError("The weight file of the model 'patchgan' is missing.")
        return create(method_id)

    create = registry.create_denoiser
    monkeypatch.setattr(registry, "create_denoiser", fail)
    settings = parse(methods=["patchgan", "median"])
    cards = live_payload(face, settings, describe_methods(), 1)["cards"]
    assert cards[2]["error"] == "The weight file of the model 'patchgan' is missing."
    assert "pixels" not in cards[2]
    assert cards[3]["gain"]


def test_every_method_is_described_without_its_weights(monkeypatch):
    def fail(model_id):
        raise WeightsError("nothing here")

    monkeypatch.setattr(registry, "read_info", fail)
    assert list(describe_methods()) == list_denoisers()


def test_results_do_not_depend_on_order_or_company(face):
    alone = run_methods(face, parse(), ["median"]).comparison["median"].image
    among = run_methods(face, parse(), ["bilateral", "median"]).comparison["median"].image
    assert (alone == among).all()


# How the page is wired


def test_config_can_be_built(app):
    assert app.get_config_file()["components"]


def test_image_components_are_lossless(app):
    images = [block for block in app.blocks.values() if isinstance(block, gr.Image | gr.Gallery)]
    assert images
    assert all(image.format == "png" for image in images)


def is_headings(value):
    return isinstance(value, list) and bool(value) and all(len(entry) == 4 for entry in value)


def test_default_methods_are_chosen_and_all_stand_in_groups(app):
    groups = [b for b in app.blocks.values() if isinstance(b, gr.CheckboxGroup)]
    [methods] = [group for group in groups if group.elem_id == "methods"]
    listed = [choice[1] for choice in methods.choices]
    assert sorted(listed) == sorted([*list_denoisers(colour=True), OWN_MODEL])
    [headings] = [b for b in app.blocks.values() if isinstance(b, gr.HTML) and is_headings(b.value)]
    ends = list(itertools.accumulate(count for *_, count in headings.value))
    groups = [listed[end - count : end] for end, (*_, count) in zip(ends, headings.value, strict=True)]
    assert ends[-1] == len(listed)
    offered = [when for _, _, when, _ in headings.value]
    assert offered == ["always"] * (len(groups) - 2) + ["colour", "own"]
    *_, filters, specialists, colour, own = groups
    assert own == [OWN_MODEL]
    assert colour == list(COLOUR_MODELS)
    assert specialists == [m for m in list_denoisers() if "." in m]
    assert filters == [m for m in list_denoisers() if describe_denoiser(m).family == "classical"]
    assert methods.value == list(DEFAULT_DENOISERS)


def test_live_event_is_unqueued_and_keeps_the_last_position(app):
    [live] = [fn for fn in app.fns.values() if fn.name == "update"]
    assert not live.queue
    assert live.trigger_mode == "always_last"
    assert live.show_progress == "hidden"
    assert not live.preprocess


def test_hidden_events_leave_no_status_behind(app):
    """The page goes through every status it keeps with each move of a slider."""
    hidden = [
        event
        for event in app.fns.values()
        if event.show_progress == "hidden" and event.api_visibility == "private"
    ]
    assert len(hidden) > 30
    # What is to be done once a page is closed takes no such argument, and writes to nothing.
    assert not [event.name for event in hidden if event.show_progress_on != [] and event.outputs]


def test_only_the_browser_looks_at_all_controls(app):
    """An event costs the page time for each of its inputs, and each of its triggers."""
    [slider] = [b for b in app.blocks.values() if b.elem_id == "noise-gaussian-sigma"]
    readers = [event for event in app.fns.values() if slider in event.inputs]
    assert len(readers) > 30
    assert all(event.fn is None and len(event.targets) <= 1 for event in readers)


def test_only_the_public_api_is_public(app):
    public = {fn.api_name for fn in app.fns.values() if fn.api_visibility == "public"}
    assert public == {"compare", "intermediate", "milliseconds", "noises", "denoisers", "samples"}


def test_sessions_do_not_share_a_face(app, faces):
    from gradio.state_holder import SessionState

    [state] = [b for b in app.blocks.values() if isinstance(b, gr.State) and isinstance(b.value, Face)]
    first, second = SessionState(app), SessionState(app)
    first[state._id] = Face("upload-1", "Your picture", np.zeros((48, 48), np.float32))
    assert second[state._id].caption != "Your picture"


def test_templates_name_no_value():
    page = Path(denoiser.ui.__file__).parent
    for file in page.glob("**/*.html"):
        assert "${" not in file.read_text(encoding="utf-8")
        assert "{{" not in file.read_text(encoding="utf-8")
    for file in page.glob("**/*.js"):
        assert "innerHTML" not in file.read_text(encoding="utf-8")


def test_warm_up_survives_missing_weights(monkeypatch):
    def fail(denoiser_id):
        raise WeightsError("nothing here")

    monkeypatch.setattr("denoiser.denoisers.registry.create_denoiser", fail)
    warm_up()


class Itself(Denoiser):
    info = DenoiserInfo("itself", "Itself", "classical", False, None, 0, "-")

    def _denoise(self, noisy, sigma):
        return noisy


def test_models_are_loaded_when_they_are_first_shown(monkeypatch):
    used = []

    def create(denoiser_id):
        used.append(denoiser_id)
        return Itself()

    monkeypatch.setattr("denoiser.denoisers.registry.create_denoiser", create)
    warm_up()
    assert used[:4] == list(DEFAULT_DENOISERS)
    assert set(used) & set(MODELS) == set(DEFAULT_DENOISERS) & set(MODELS)
