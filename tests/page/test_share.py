"""An experiment put into the controls, and its link, without a browser."""

import json
import re
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest

from denoiser.denoisers.registry import COLOUR_MODELS, list_denoisers, list_hyperparameters
from denoiser.faces.fer2013 import FaceDataError, FaceSet
from denoiser.faces.samples import bundled_faces, get_sample
from denoiser.lessons import LESSONS
from denoiser.noise import (
    NOISES,
    GaussianNoise,
    JpegArtifacts,
    NoiseChain,
    OcclusionNoise,
    create_noise,
)
from denoiser.pipeline import Experiment
from denoiser.ui.compare.tab import create_compare_tab
from denoiser.ui.experiment.controls import Controls
from denoiser.ui.experiment.face_source import FaceSource, Offer
from denoiser.ui.experiment.link_components import _find_face, describe_link
from denoiser.ui.experiment.link_format import Link, describe_problems, link_keys, read_link, write_link
from denoiser.ui.experiment.parsing import MAX_SEED, MAX_STAGES, ExperimentError, parse_value
from denoiser.ui.experiment.run import Face
from denoiser.weights.hub import WEIGHTS_VERSION
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def faces() -> FaceSource:
    return FaceSource(Offer(bundled_faces(), "Faces for tests"))


@pytest.fixture(scope="module")
def controls(faces) -> Controls:
    with gr.Blocks() as app:
        return create_compare_tab(faces, gr.Tabs(), gr.Markdown(), app.load, app.unload)


def settings_after(controls: Controls, updates: list) -> tuple[Face, Experiment]:
    """What the controls say once these updates have reached them."""
    values = {id(part): part.value for part in [controls.faces.face, *controls.settings]}
    assert len(updates) == len(controls.outputs)
    for component, update in zip(controls.outputs, updates, strict=True):
        if update != gr.skip():
            values[id(component)] = update
    written = json.dumps([values[id(component)] for component in controls.settings])
    return controls.read([values[id(controls.faces.face)], None, written])


# Into the controls


@pytest.mark.parametrize("kind", NOISES, ids=lambda kind: kind.id)
def test_every_noise_can_be_shown_alone_and_on_top(controls, faces, kind):
    noise = kind(**{p.name: p.slider_maximum for p in kind.parameters})
    jpeg = create_noise("jpeg", quality=7)
    for shown in (noise, NoiseChain((jpeg, noise)), NoiseChain((noise, jpeg, noise, noise))):
        experiment = Experiment(shown, 5, False, True, ("median", "nl-means"), "lfw-9")
        face, settings = settings_after(controls, controls.show(experiment, faces))
        assert (face.id, settings.noise, settings.seed) == ("lfw-9", shown, 5)
        assert (settings.clip, settings.round_8bit) == (False, True)
        assert set(settings.methods) == {"median", "nl-means"}


def test_every_hyperparameter_can_be_shown(controls, faces):
    methods = tuple(list_denoisers())
    values = {}
    for method_id, parameter in list_hyperparameters(methods):
        if parameter.maximum != parameter.default:
            values.setdefault(method_id, {})[parameter.name] = parameter.maximum
    shown = values
    assert {"median", "residual-unet-flow"} <= set(shown)
    _, settings = settings_after(
        controls, controls.show(Experiment(methods=methods, hyperparameters=shown), faces)
    )
    assert settings.hyperparameters == shown
    # Of methods that are not shown nothing counts, and the default is not written down.
    _, settings = settings_after(
        controls, controls.show(Experiment(methods=("wavelet",), hyperparameters=shown), faces)
    )
    assert settings.hyperparameters == {}


def test_hyperparameters_are_in_the_link_of_what_is_shown():
    own = {"median": {"radius": 2}, "nl-means": {"strength": 1.25}}
    experiment = Experiment(methods=("median", "wavelet"), hyperparameters=own)
    link = write_link(experiment)
    assert "&median:radius=2&" in link
    assert "strength" not in link
    # Like all that the app's defaults decide, so that a link means the same when they change.
    assert "&median:radius=1&" in write_link(Experiment(methods=("median",)))
    assert read_link(link).experiment.hyperparameters == {"median": {"radius": 2}}
    assert read_link("methods=wavelet&median:radius=2").experiment.hyperparameters == {}


def test_no_sample_leaves_the_face(controls, faces):
    face, _ = settings_after(controls, controls.show(Experiment(), faces))
    assert face is controls.faces.face.value


def test_unknown_sample_leaves_the_face_and_says_so(controls, faces):
    updates = controls.show(Experiment(seed=8, sample="<b>nobody</b>"), faces)
    face, settings = settings_after(controls, updates)
    assert face is controls.faces.face.value
    assert settings.seed == 8
    note = updates[controls.outputs.index(controls.faces.note)]
    assert note.endswith("stays as it is.")
    assert "nobody" not in note


def test_a_sample_that_is_not_in_the_strip_comes_with_its_picture(controls, faces):
    update = controls.faces.show("astronaut", faces)[1]
    assert update["chosen"] == update["face"]["id"] == "astronaut"
    assert get_sample(faces.offer.faces, "astronaut").image.shape[0] == update["face"]["side"]


@pytest.mark.parametrize(
    "noise",
    [
        create_noise("gaussian", sigma=0.9),
        NoiseChain((create_noise("jpeg"), create_noise("gaussian", sigma=0.9))),
        NoiseChain(()),
        NoiseChain((create_noise("jpeg"),) * 5),
    ],
)
def test_noise_that_the_controls_cannot_hold(controls, faces, noise):
    with pytest.raises(ValueError, match="page"):
        controls.show(Experiment(noise), faces)


def astronaut_in(controls, faces, size, colour, methods=("median",), **others):
    experiment = Experiment(methods=methods, face_size=size, colour=colour, **others)
    return settings_after(controls, controls.show(replace(experiment, sample="astronaut"), faces))


@pytest.mark.parametrize(("size", "colour"), [(48, True), (96, False), (128, True)])
def test_size_and_colour_can_be_shown(controls, faces, size, colour):
    face, settings = astronaut_in(controls, faces, size, colour)
    assert (settings.face_size, settings.colour) == (size, colour)
    assert face.at(size, colour).shape[:2] == (size, size)
    told = describe_link(face, settings)["link"]
    assert read_link(told).experiment == replace(settings, sample="astronaut")


def test_a_face_that_has_no_more_stays_small_and_gray(controls, faces):
    updates = controls.show(Experiment(sample="lfw-7", face_size=128, colour=True), faces)
    face, settings = settings_after(controls, updates)
    assert (settings.face_size, settings.colour) == (48, False)
    link = describe_link(face, settings)["link"]
    assert not re.search("colour|face-size", link)


def test_networks_for_colour_are_for_colour(controls, faces):
    both = (*COLOUR_MODELS, "median")
    _, settings = astronaut_in(controls, faces, 48, True, both)
    assert set(settings.methods) == set(both)
    _, settings = astronaut_in(controls, faces, 48, False, both)
    assert settings.methods == ("median",)


def test_other_tabs_have_the_small_gray_face(controls, faces):
    experiment = Experiment(
        sample="astronaut", face_size=128, colour=True, methods=(*COLOUR_MODELS, "median")
    )
    updates = controls.show(experiment, faces)
    values = {id(part): part.value for part in [controls.faces.face, *controls.settings]}
    for component, update in zip(controls.outputs, updates, strict=True):
        if update != gr.skip():
            values[id(component)] = update
    written = json.dumps([values[id(component)] for component in controls.settings])
    face, small = controls.read_small([values[id(controls.faces.face)], None, written])
    assert (small.face_size, small.colour, small.methods) == (48, False, ("median",))
    assert face.at(small.face_size, small.colour) is face.image


# What the browser writes down


@pytest.mark.parametrize(
    "written",
    [
        None,
        5,
        "",
        "null",
        "{}",
        "[1, 2",
        "[]",
        '["gaussian", "none", 0, true, false, [], 1]',
        "[" * 9999,
    ],
)
def test_controls_that_were_not_written_by_the_page_are_one_sentence(controls, written):
    with pytest.raises(ExperimentError, match="load the page anew"):
        controls.read([controls.faces.face.value, None, written])


def test_what_is_written_at_first_is_what_the_controls_show(controls):
    shown = [component.value for component in controls.settings]
    assert json.loads(controls.written.value) == shown
    _, settings = controls.read([controls.faces.face.value, None, controls.written.value])
    assert settings.noise == GaussianNoise()


# The link


def test_a_link_reads_like_this():
    noise = NoiseChain((create_noise("salt-and-pepper", amount=0.1, salt_ratio=0.25), JpegArtifacts(20)))
    link = write_link(Experiment(noise, 3, False, True, ("attention-unet", "median"), "lfw-7"))
    assert link == (
        "face=lfw-7&noise=salt-and-pepper&amount=10&salt-ratio=25&second=jpeg&second-quality=20"
        f"&seed=3&clip=no&round=yes&methods=attention-unet,median&median:radius=1&weights={WEIGHTS_VERSION}"
    )


def test_noises_of_a_link_are_in_their_order():
    link = read_link("sigma=25&fourth=jpeg&fourth-quality=7&second=impulse&second-amount=50&fifth=blur")
    stages = (GaussianNoise(25 / 255), create_noise("impulse", amount=0.5), JpegArtifacts(7))
    assert (link.experiment.noise, link.problems) == (NoiseChain(stages), ())
    assert "&second=impulse&second-amount=50&third=jpeg&third-quality=7&" in write_link(link.experiment)


def test_a_link_of_today_means_the_same_when_defaults_have_changed():
    # What a link leaves out belongs to its format: this is what it says, written out.
    link = read_link("face=astronaut&noise=gaussian&sigma=25&seed=0&methods=median")
    assert link.experiment == Experiment(
        GaussianNoise(25 / 255), 0, True, False, ("median",), "astronaut"
    )
    assert (link.view, link.tab, link.own_face, link.problems) == ("picture", None, False, ())


@pytest.mark.parametrize("kind", NOISES, ids=lambda kind: kind.id)
def test_every_number_survives_exactly(kind):
    random = np.random.default_rng(0)
    for digits in (0, 1, 3, 9, 17):
        strengths = {}
        for parameter in kind.parameters:
            low, high = parameter.slider_range
            shown = np.clip(
                round(random.uniform(low, high), 0 if parameter.integer else digits), low, high
            )
            strengths[parameter.name] = parse_value(parameter, float(shown))
        noise = kind(**strengths)
        for chain in (noise, NoiseChain((noise, noise)), NoiseChain((noise,) * MAX_STAGES)):
            experiment = Experiment(chain, seed=MAX_SEED, methods=(), sample="lfw-0")
            assert read_link(write_link(experiment)).experiment == experiment


def test_short_numbers_stay_short():
    for shown in (0, 1, 15.3, 25, 99.9):
        assert f"&sigma={shown:g}&" in write_link(Experiment(GaussianNoise(shown / 255)))


@pytest.mark.parametrize("query", ["", "?", "?__theme=dark&__sign=abc", "utm_source=mail", "&&&=&"])
def test_an_address_without_a_link(query):
    assert read_link(query) is None


def test_an_uploaded_face_is_in_no_link():
    face = Face("upload-0123456789abcdef", "Your picture", np.zeros((48, 48), np.float32))
    settings = Experiment(GaussianNoise(), methods=("median",))
    told = describe_link(face, settings)
    assert told["ownFace"]
    assert told["link"].startswith("face=own&")
    assert "0123456789abcdef" not in told["link"]
    link = read_link(told["link"])
    assert link.own_face
    assert link.experiment.sample is None
    assert not describe_link(replace(face, id="lfw-3"), settings)["ownFace"]


NOISE_IS_25 = Experiment(GaussianNoise(25 / 255))


@pytest.mark.parametrize(
    ("query", "expected", "problem"),
    [
        ("noise=fog&seed=4", Experiment(seed=4), "its noise is unknown"),
        ("noise=&seed=4", Experiment(seed=4), "its noise is unknown"),
        ("face-size=64&sigma=25", NOISE_IS_25, "the face's size has to be one of 48, 96, 128"),
        ("face-size=1e999&sigma=25", NOISE_IS_25, "the face's size has to be one of 48, 96, 128"),
        ("colour=red", NOISE_IS_25, "colour has to be yes or no"),
        ("second=fog", NOISE_IS_25, "its second noise is unknown"),
        ("third=fog&third-sigma=3", NOISE_IS_25, "its third noise is unknown"),
        ("sigma=101", NOISE_IS_25, r"standard deviation \(of 255\) .* from 0 to 100"),
        ("sigma=-1", NOISE_IS_25, "from 0 to 100"),
        ("sigma=nan", NOISE_IS_25, "from 0 to 100"),
        ("sigma=1e999", NOISE_IS_25, "from 0 to 100"),
        ("sigma=1_0", NOISE_IS_25, "from 0 to 100"),
        ("sigma=%D9%A3", NOISE_IS_25, "from 0 to 100"),
        ("noise=occlusion&size=2.5", Experiment(OcclusionNoise()), "a whole number from 0 to 24"),
        ("seed=1.5&sigma=10", Experiment(GaussianNoise(10 / 255)), "the seed has to be"),
        ("seed=" + "9" * 3000, NOISE_IS_25, "the seed has to be"),
        ("clip=perhaps", NOISE_IS_25, "clip has to be yes or no"),
        ("methods=magic,median", Experiment(methods=("median",)), "one of its methods is unknown"),
        ("methods=magic,wand,median", Experiment(methods=("median",)), "some methods are unknown"),
        (
            "methods=median,nl-means&median:radius=9&nl-means:strength=1.2",
            Experiment(methods=("median", "nl-means"), hyperparameters={"nl-means": {"strength": 1.2}}),
            r"radius of the window \(pixels\) has to be a whole number from 1 to 7",
        ),
        (
            "methods=median&median:radius=1.5",
            Experiment(methods=("median",)),
            "a whole number from 1 to 7",
        ),
        ("lesson=no-such-lesson", NOISE_IS_25, "its lesson is unknown"),
        ("embed=yes", NOISE_IS_25, "embed has to be true or false"),
        ("embed=true&tab=blind", NOISE_IS_25, "only the stage and the lessons can be embedded"),
        ("show=nothing", NOISE_IS_25, "what its pictures show is unknown"),
        ("weights=v0", NOISE_IS_25, "other weights"),
        ("x=" + "y" * 5000, NOISE_IS_25, "too long"),
        ("seed=%00%FF", NOISE_IS_25, "the seed has to be"),
    ],
)
def test_what_cannot_be_used_is_said_and_the_rest_is_used(query, expected, problem):
    link = read_link(query)
    assert link.experiment == expected
    assert len(link.problems) == 1
    sentence = describe_problems(link.problems)
    assert re.fullmatch(rf"The link is shown as far as it can be: .*{problem}.*\.", sentence)


@pytest.mark.parametrize(
    ("query", "tab", "lesson"),
    [
        ("lesson=gan", "lessons", "gan"),
        ("tab=lessons&lesson=gan", "lessons", "gan"),
        ("tab=compare&lesson=gan", "compare", "gan"),  # its task, above the comparison
        ("tab=sweep&lesson=gan", "sweep", None),
        ("tab=lessons", "lessons", None),
        ("embed=true", None, None),
        ("embed=true&lesson=gan", "lessons", "gan"),
        ("embed=false&tab=sweep", "sweep", None),
    ],
)
def test_which_tab_and_lesson_a_link_opens(query, tab, lesson):
    link = read_link(query)
    assert (link.tab, link.lesson, link.problems) == (tab, lesson, ())


def test_the_docs_have_every_lesson_s_id():
    text = (ROOT / "docs" / "api.md").read_text()
    assert all(f"| {lesson.title} | `{lesson.id}` |" in text for lesson in LESSONS)


@pytest.mark.parametrize("key", [*link_keys(), "nonsense"])
def test_nothing_of_the_link_is_repeated(key):
    link = read_link(f"noise=fog&{key}=<img src=x onerror=alert(1)>${{alert(2)}}&{key}=again")
    sentence = describe_problems(link.problems)
    assert "fog" not in sentence
    assert not re.search("img|alert|again|nonsense", sentence)
    assert link.problems


def test_methods_may_be_none_and_are_never_twice():
    assert read_link(write_link(Experiment(methods=()))).experiment.methods == ()
    assert read_link("methods=median,median,").experiment.methods == ("median",)


def test_strengths_have_names_of_their_own():
    kinds = [[p.name.replace("_", "-") for p in kind.parameters] for kind in NOISES]
    assert len(set(link_keys())) == len(link_keys())
    assert all(
        prefix + name in link_keys()
        for names in kinds
        for name in names
        for prefix in ("", "second-", "third-", "fourth-")
    )


# The face that a link names


def test_bundled_faces_are_everywhere(faces):
    fer2013 = FaceSet(np.zeros((1, 48, 48), np.uint8), np.array([40_000]), ("",), "test", "Made up")
    source = FaceSource(Offer(fer2013, ""))
    assert source.get("fer2013-test-40000").id == "fer2013-test-40000"
    wanted = get_sample(faces.offer.faces, "lfw-7").image
    np.testing.assert_array_equal(source.get("lfw-7").image, wanted)
    with pytest.raises(FaceDataError, match="fer2013-test-40000"):
        source.get("lfw-700")


@pytest.mark.parametrize(
    ("face", "coming", "expected"),
    [
        ("lfw-7", False, ("", False)),
        ("lfw-700", True, ("its face is not among the sample faces here", False)),
        ("fer2013-test-1", False, ("its face is one of FER2013, which is not here", False)),
        ("fer2013-test-1", True, ("", True)),
        ("fer2013-train-1", True, ("its face is not among the sample faces here", False)),
        ("", False, ("its face is not among the sample faces here", False)),
    ],
)
def test_a_face_that_is_missing_or_coming(faces, face, coming, expected):
    source = FaceSource(replace(faces.offer, coming=coming))
    assert _find_face(Link(Experiment(sample=face)), source) == expected
