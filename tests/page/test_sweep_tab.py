"""The tab "Sweep" without a browser: what is asked for, what is computed, what the pictures are sent."""

import base64
import json
import math

import numpy as np
import pytest

from denoiser.analysis.results import NOISY
from denoiser.analysis.sweeps import SEED
from denoiser.images import to_uint8
from denoiser.noise import Desaturation, GaussianBlur, GaussianNoise, NoiseChain, SaltAndPepperNoise
from denoiser.pipeline import Experiment, compare
from denoiser.ui.experiment.parsing import ExperimentError
from denoiser.ui.experiment.run import Face
from denoiser.ui.sweep import job as sweep_job
from denoiser.ui.sweep import tab as sweep_module
from denoiser.ui.sweep.job import axis_choices, create_job, parse_choice
from denoiser.ui.sweep.payload import Shown, judge, pictures_payload
from denoiser.ui.sweep.tab import compute
from denoiser.weights.checkpoint import WeightsError

METHODS = ("median", "bilateral")


@pytest.fixture(scope="module")
def shown_face(face):
    return Face("f", "A face", face)


def experiment(noise=None, methods=METHODS, **changes):
    values = {"seed": 3} | changes
    return Experiment(noise=noise or GaussianNoise(25 / 255), methods=methods, **values)


def own(view="sweep", methods=METHODS, axis="0:sigma", places=9, draws=1, seeds=8):
    return view, list(methods), axis, places, draws, seeds


def finish(face, settings, controls, shown=None):
    """Everything that a computation says."""
    return list(compute(face, settings, controls, shown or Shown(settings.methods)))


class TestChoice:
    def test_methods_are_in_the_listed_order(self):
        choice = parse_choice(*own(methods=["bilateral", "median"]), experiment())
        assert choice.methods == METHODS

    @pytest.mark.parametrize(
        "changes",
        [
            {"view": "other"},
            {"view": ["sweep"]},
            {"methods": ["magic"]},
            {"methods": [["median"]]},
            {"places": 1_000_000},
            {"places": None},
            {"draws": {}},
            {"seeds": "16"},
            {"seeds": math.nan},
        ],
        ids=str,
    )
    def test_what_is_not_offered(self, changes):
        values = dict(zip(("view", "methods", "axis", "places", "draws", "seeds"), own(), strict=True))
        with pytest.raises(ExperimentError, match="unknown"):
            parse_choice(**values | changes, experiment=experiment())

    @pytest.mark.parametrize("axis", ["0:peak", None, [], "1:amount"])
    def test_an_axis_that_this_noise_lacks_becomes_its_first(self, axis):
        assert parse_choice(*own(axis=axis), experiment()).axis == "0:sigma"

    def test_axes_follow_the_noise(self):
        chain = NoiseChain((GaussianNoise(), SaltAndPepperNoise()))
        ids = [axis_id for _, axis_id in axis_choices(experiment(chain))]
        assert ids[:4] == ["0:sigma", "1:amount", "1:salt_ratio", SEED]
        assert {"median:radius", "nl-means:strength", "residual-unet-flow:steps"} <= set(ids[4:])


class TestCompute:
    @pytest.mark.parametrize(
        ("chosen", "total", "places"),
        [
            (own(), 9, 9),
            (own(draws=4), 36, 9),
            (own(axis="median:radius"), 7, 7),
            (own(axis=SEED), 8, 8),
            (own("assumed"), 12, 12),
            (own("redraw"), 8, 1),
        ],
        ids=["strength", "draws", "setting", "seeds", "assumed", "redraw"],
    )
    def test_every_view_ends_with_all_of_it(self, shown_face, chosen, total, places):
        updates = finish(shown_face, experiment(), chosen)
        first, last = updates[0], updates[-1]
        assert (first["progress"]["state"], first["progress"]["done"]) == ("running", 0)
        assert (last["progress"]["state"], last["progress"]["done"]) == ("done", total)
        assert last["shown"].complete
        assert len(last["shown"].points) == total
        assert all(point.comparison is None for point in last["shown"].points)
        assert len(last["frames"]) == places
        payload = pictures_payload(last["frames"], last["shown"].job, shown_face.image)
        json.dumps(payload, allow_nan=False)

    def test_the_present_strength_is_the_comparison_itself(self, shown_face):
        (last,) = finish(shown_face, experiment(round_8bit=True), own())[-1:]
        expected = compare(shown_face.image, GaussianNoise(25 / 255), 3, list(METHODS), round_8bit=True)
        (frame,) = (frame for frame in last["frames"] if frame["place"] == 25)
        images = {"clean": shown_face.image, NOISY: expected.noisy.image}
        images |= {name: result.image for name, result in expected.items()}
        assert [card["id"] for card in frame["cards"]] == list(images)
        for card in frame["cards"]:
            (picture,) = card["pictures"]
            pixels = np.frombuffer(base64.b64decode(picture["pixels"]), np.uint8).reshape(48, 48)
            np.testing.assert_array_equal(pixels, to_uint8(images[card["id"]]))
        assert f"{expected['median'].psnr:.2f} dB" in frame["cards"][2]["lines"]

    def test_what_is_on_show_is_not_computed_again(self, shown_face):
        shown = finish(shown_face, experiment(), own())[-1]["shown"]
        assert finish(shown_face, experiment(), own(), shown) == []
        for settings, controls in (
            (experiment(seed=4), own()),
            (experiment(clip=False), own()),
            (experiment(), own(places=17)),
            (experiment(), own(methods=["median"])),
        ):
            assert finish(shown_face, settings, controls, shown)
        cut = Shown(shown.offered, shown.job, shown.points[:3])  # cancelled
        assert finish(shown_face, experiment(), own(), cut)

    def test_methods_come_from_compare_when_they_change_there(self, shown_face):
        updates = finish(shown_face, experiment(), own(methods=["wavelet"]), Shown())
        assert updates[0]["taken"] == METHODS
        shown = updates[-1]["shown"]
        updates = finish(shown_face, experiment(), own(methods=["wavelet"]), shown)
        assert updates[0]["taken"] is None  # what was chosen here stays
        assert list(updates[0]["shown"].job.labels) == [NOISY, "wavelet"]

    def test_it_computes_no_more_than_is_taken(self, shown_face, monkeypatch):
        asked = []
        original = sweep_job.sweep_noises

        def spy(*arguments, **options):
            for point in original(*arguments, **options):
                asked.append(point)
                yield point

        monkeypatch.setattr(sweep_job, "sweep_noises", spy)
        running = compute(shown_face, experiment(), own(places=33), Shown(METHODS))
        next(running)
        assert asked == []
        running.close()
        assert asked == []

    def test_a_model_without_weights_is_a_note(self, shown_face, monkeypatch):
        def create(name):
            raise WeightsError(f"There are no weights of {name}.")

        monkeypatch.setattr("denoiser.denoisers.registry.create_denoiser", create)
        job = create_job(
            shown_face, experiment(), parse_choice(*own(methods=["patchgan"]), experiment())
        )
        assert list(job.labels) == [NOISY]
        assert "There are no weights of patchgan." in job.notes


class TestViews:
    def test_a_setting_adds_its_method_and_keeps_what_is_set(self, shown_face):
        set_so = experiment(hyperparameters={"median": {"radius": 3}})
        choice = parse_choice(*own(axis="median:radius", methods=["wavelet"]), set_so)
        job = create_job(shown_face, set_so, choice)
        assert list(job.labels) == [NOISY, "median", "wavelet"]
        assert job.labels["median"] == "Median 3x3"  # its radius is on the axis
        assert job.flat == ("wavelet",)
        assert job.axis.marks == ((3, "Compare: 3"),)

    @pytest.mark.parametrize("view", ["sweep", "redraw"])
    def test_legends_say_how_methods_are_set(self, shown_face, view):
        set_so = experiment(hyperparameters={"median": {"radius": 3}})
        job = create_job(
            shown_face, set_so, parse_choice(*own(view, methods=["median", "wavelet"]), set_so)
        )
        assert job.labels["median"] == "Median 3x3, radius 3 pixels"
        assert job.labels["wavelet"] == "Wavelet shrinkage"

    def test_a_setting_of_a_method_without_weights(self, shown_face, monkeypatch):
        def create(name):
            raise WeightsError(f"There are no weights of {name}.")

        monkeypatch.setattr("denoiser.denoisers.registry.create_denoiser", create)
        choice = parse_choice(*own(axis="residual-unet-flow:steps"), experiment())
        with pytest.raises(ExperimentError, match="no weights of residual-unet-flow"):
            create_job(shown_face, experiment(), choice)

    def test_assumed_adds_filters_where_nothing_takes_a_strength(self, shown_face):
        choice = parse_choice(*own("assumed", methods=["median"]), experiment())
        job = create_job(shown_face, experiment(), choice)
        assert {"nl-means", "bilateral"} <= set(job.labels)
        assert job.flat == ("median",)
        assert any("Flat lines" in note and "Median 3x3" in note for note in job.notes)

    @pytest.mark.parametrize("noise", [SaltAndPepperNoise(), GaussianBlur(), GaussianNoise(0)])
    def test_assumed_needs_a_strength(self, shown_face, noise):
        choice = parse_choice(*own("assumed"), experiment(noise))
        with pytest.raises(ExperimentError, match="no standard deviation"):
            create_job(shown_face, experiment(noise), choice)

    def test_noise_that_a_gray_face_is_without(self, shown_face):
        for chosen in (own(axis="0:amount"), own("redraw")):
            last = finish(shown_face, experiment(Desaturation()), chosen)[-1]
            assert last["shown"].complete
            payload = pictures_payload(last["frames"], last["shown"].job, shown_face.image)
            json.dumps(payload, allow_nan=False)

    @pytest.mark.parametrize(("axis", "told"), [("0:amount", True), ("0:salt_ratio", False)])
    def test_only_an_axis_with_a_place_without_noise_says_what_is_infinite_there(
        self, shown_face, axis, told
    ):
        given = experiment(SaltAndPepperNoise())
        job = create_job(shown_face, given, parse_choice(*own(axis=axis), given))
        assert any("nothing to remove" in note for note in job.notes) == told

    def test_worse_than_nothing_is_flagged(self, shown_face):
        (last,) = finish(shown_face, experiment(), own(methods=["median"]))[-1:]
        faint, strong = last["frames"][0], last["frames"][-1]
        assert faint["place"] == 0
        assert faint["cards"][-1]["flag"] == "worse than doing nothing"
        assert any(line.startswith("destroys ") for line in faint["cards"][-1]["lines"])
        assert faint["cards"][1]["flag"] == "nothing to remove"
        assert "flag" not in strong["cards"][-1]

    def test_gap(self, shown_face):
        updates = finish(shown_face, experiment(), own("redraw"))
        shown = updates[-1]["shown"]
        assert "the gap is real" in judge(shown, "bilateral", NOISY, "psnr")
        assert "dB" not in judge(shown, "bilateral", NOISY, "ssim")
        assert "two different" in judge(shown, NOISY, NOISY, "psnr")
        for bad in (None, [], "magic", 3):
            assert "Choose two methods" in judge(shown, bad, NOISY, "psnr")
        assert judge(updates[0]["shown"], "bilateral", NOISY, "psnr") == ""
        assert judge(Shown(), "bilateral", NOISY, "psnr") == ""

    def test_gap_without_damage(self, shown_face):
        shown = finish(shown_face, experiment(GaussianNoise(0)), own("redraw"))[-1]["shown"]
        assert "Nothing was damaged" in judge(shown, "median", NOISY, "psnr")

    def test_an_even_face_has_no_sharpness_to_judge(self):
        even = Face("even", "Even", np.full((48, 48), 0.5, np.float32))
        (last,) = finish(even, experiment(), own("redraw"))[-1:]
        assert "is even" in judge(last["shown"], "median", NOISY, "sharpness")
        json.dumps(last["frames"], allow_nan=False)

    def test_sharpness_is_judged_without_a_unit(self, shown_face):
        (last,) = finish(shown_face, experiment(), own("redraw"))[-1:]
        assert "dB" not in judge(last["shown"], "median", "bilateral", "sharpness")


def test_beside_others_it_is_drawn_no_more_often(shown_face, monkeypatch):
    """Time that others take counts for no drawing; the progress is told meanwhile."""
    now = [0.0]
    original = sweep_job.sweep_noises

    def slow(*arguments, **options):
        for point in original(*arguments, **options):
            now[0] += 0.125  # its own; exact in binary
            yield point

    monkeypatch.setattr(sweep_job, "sweep_noises", slow)
    monkeypatch.setattr(sweep_module.time, "monotonic", lambda: now[0])
    drawn = {}
    for others in (0.0, 4.0):
        updates = []
        for update in compute(shown_face, experiment(), own(draws=4), Shown(METHODS)):
            updates.append(update)
            now[0] += others
        drawn[others] = sum(update is not None and "shown" in update for update in updates)
        told = sum(update is not None and "shown" not in update for update in updates)
        assert (told > 0) == (others > 0)
    assert drawn[4.0] == drawn[0.0]
