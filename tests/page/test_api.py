"""The endpoints as their users meet them: over HTTP, through gradio_client, against the real app."""

import base64
import contextlib
import io
import json
import math
import urllib.error
import urllib.request
from dataclasses import dataclass

import gradio as gr
import httpx
import numpy as np
import PIL.Image
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from skimage.data import astronaut
from starlette.middleware import Middleware

import denoiser
from denoiser import noise as noises
from denoiser.architectures import build_network
from denoiser.denoisers.base import DenoiserInfo
from denoiser.denoisers.network import NetworkDenoiser
from denoiser.denoisers.registry import find_available
from denoiser.faces.samples import bundled_faces, face_at, get_sample
from denoiser.images import load_face, to_uint8
from denoiser.noise import GaussianNoise, NoiseChain, NoiseModel, Parameter, SaltAndPepperNoise
from denoiser.pipeline import compare
from denoiser.ui.api import endpoints as api
from denoiser.ui.api.endpoints import describe
from denoiser.ui.experiment.face_source import FaceSource, Offer
from denoiser.ui.server.uploads import UploadDoor
from denoiser.weights.checkpoint import WeightsError
from tests.doubles import Fixed

SAMPLE = "lfw-7"
QUICK = ["median", "gaussian-filter"]


@pytest.fixture(scope="module")
def client(server):
    return Client(server, verbose=False)


@pytest.fixture(scope="module")
def sample():
    return get_sample(bundled_faces(), SAMPLE).image


@pytest.fixture
def astronaut_file(tmp_path):
    file = tmp_path / "astronaut.png"
    PIL.Image.fromarray(astronaut()).save(file)
    return file


def ask(client, **arguments):
    arguments = {"sample": SAMPLE, "denoisers": QUICK} | arguments
    return client.predict(**arguments, api_name="/compare")


def pixels(encoded):
    return np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(encoded))))


def assert_same_scores(answer, comparison):
    assert list(answer["methods"]) == list(comparison)
    for name, result in comparison.items():
        method = answer["methods"][name]
        assert method["psnr"] == pytest.approx(result.psnr, abs=1e-4)
        assert method["ssim"] == pytest.approx(result.ssim, abs=1e-6)
        assert method["gain"] == pytest.approx(comparison.gain(name), abs=1e-4)
        assert method["sigma_source"] == result.sigma.source
        np.testing.assert_array_equal(pixels(method["image"]), to_uint8(result.image))
    # Infinite, with no gain, where the noise changes nothing.
    assert float(answer["noisy"]["psnr"]) == pytest.approx(comparison.noisy.psnr, abs=1e-4)
    assert answer["noisy"]["gain"] == comparison.gain("noisy")


class TestCompare:
    def test_a_sample_gives_what_the_library_gives(self, client, sample):
        answer = ask(client, noise="gaussian", sigma=0.1, seed=3)
        comparison = compare(sample, GaussianNoise(0.1), 3, QUICK)
        assert_same_scores(answer, comparison)
        np.testing.assert_array_equal(pixels(answer["clean"]), to_uint8(sample))
        noisy = to_uint8(comparison.corruption.noisy)
        np.testing.assert_array_equal(pixels(answer["noisy"]["image"]), noisy)
        assert answer["methods"]["gaussian-filter"]["sigma"] == pytest.approx(0.1)
        assert answer["methods"]["median"]["sigma"] is None

    def test_numbers_are_numbers(self, client):
        for result in ask(client)["methods"].values():
            for key in ("psnr", "ssim", "gain", "milliseconds"):
                assert isinstance(result[key], float), key

    def test_an_uploaded_picture(self, client, astronaut_file):
        loaded = load_face(astronaut_file)
        assert loaded.face_found
        answer = ask(client, sample=None, face=handle_file(astronaut_file), seed=1)
        assert_same_scores(answer, compare(loaded.image, GaussianNoise(), 1, QUICK))

    def test_without_cropping(self, client, astronaut_file):
        image = load_face(astronaut_file, crop_face=False).image
        answer = ask(client, sample=None, face=handle_file(astronaut_file), crop_face=False)
        np.testing.assert_array_equal(pixels(answer["clean"]), to_uint8(image))

    def test_options_reach_the_noise(self, client, sample):
        noise = SaltAndPepperNoise(0.3, 0.9)
        answer = ask(client, noise="salt-and-pepper", amount=0.3, salt_ratio=0.9, round_8bit=True)
        assert_same_scores(answer, compare(sample, noise, 0, QUICK, round_8bit=True))
        answer = ask(client, sigma=0.3, clip=False)
        assert_same_scores(answer, compare(sample, GaussianNoise(0.3), 0, QUICK, clip=False))

    @pytest.mark.parametrize("noise", [*denoiser.list_noises(), "gaussian-low"])
    def test_every_noise_has_defaults(self, client, sample, noise):
        answer = ask(client, noise=noise, denoisers=["median"])
        assert_same_scores(answer, compare(sample, denoiser.create_noise(noise), 0, ["median"]))

    @pytest.mark.parametrize(
        "more",
        [
            [{"noise": "jpeg", "quality": 20}],
            [{"noise": "gaussian-low"}, {"noise": "blur"}, {"noise": "jpeg"}],
        ],
    )
    def test_noises_on_top(self, client, sample, more):
        stages = (GaussianNoise(0.1), *(denoiser.create_noise(s["noise"]) for s in more))
        answer = ask(client, sigma=0.1, seed=3, more_noises=more)
        assert_same_scores(answer, compare(sample, NoiseChain(stages), 3, QUICK))
        assert answer["noise"] == NoiseChain(stages).describe()

    @pytest.mark.parametrize(("size", "colour"), [(48, True), (96, False), (128, True)])
    def test_larger_and_in_colour(self, client, astronaut_file, size, colour):
        sample = get_sample(bundled_faces(), "astronaut")
        clean = face_at(sample.image, sample.detail, size, colour)
        assert clean.shape == ((size, size, 3) if colour else (size, size))
        answer = ask(client, sample="astronaut", face_size=size, colour=colour, seed=2)
        assert_same_scores(answer, compare(clean, GaussianNoise(), 2, QUICK))
        np.testing.assert_array_equal(pixels(answer["clean"]), to_uint8(clean))
        own = load_face(astronaut_file, size, gray=not colour).image
        picture = handle_file(astronaut_file)
        answer = ask(client, sample=None, face=picture, face_size=size, colour=colour)
        assert_same_scores(answer, compare(own, GaussianNoise(), 0, QUICK))

    def test_what_would_take_too_long_is_refused(self, client):
        methods = ["flow-unet", "median"]
        answer = ask(client, sample="astronaut", face_size=128, colour=True, denoisers=methods)
        assert answer["failures"]["flow-unet"].startswith("Takes too long at 128x128 in colour")
        assert list(answer["methods"]) == ["median"]

    def test_default_denoisers(self, client):
        answer = ask(client, denoisers=None)
        assert list(answer["methods"]) == ["attention-unet", "patchgan", "autoencoder", "median"]

    def test_a_posted_list_may_end_early(self, client, server):
        whole = ask(client)
        posted = httpx.post(
            f"{server}/gradio_api/run/compare",
            json={"data": [None, SAMPLE, "gaussian", *[None] * 8, 0, QUICK]},
            timeout=60,
        ).json()["data"][0]
        assert posted["noise"] == whole["noise"]
        for name in QUICK:
            assert posted["methods"][name]["image"] == whole["methods"][name]["image"]

    def test_hyperparameters_reach_their_method(self, client, sample):
        answer = ask(client, noise="gaussian", sigma=0.2, hyperparameters={"median": {"radius": 3}})
        wide = denoiser.create_denoiser("median").with_hyperparameters(radius=3)
        comparison = compare(sample, GaussianNoise(0.2), 0, [wide, "gaussian-filter"])
        assert_same_scores(answer, comparison)
        assert answer["methods"] != ask(client, noise="gaussian", sigma=0.2)["methods"]

    def test_largest_seed(self, client):
        assert ask(client, seed=2**63 - 1)["seed"] == 2**63 - 1

    def test_infinity_is_text(self, client):
        assert ask(client, sigma=0)["noisy"]["psnr"] == "inf"


@pytest.fixture(scope="module")
def dual():
    """A small dual autoencoder that was never trained."""
    info = DenoiserInfo("dual-autoencoder", "Dual", "autoencoder", False, "nothing", 0, "-")
    settings = {
        "first_encoder": [6, 8],
        "first_decoder": [8, 6],
        "second_encoder": [8],
        "second_decoder": [8],
    }
    return NetworkDenoiser(info, build_network("dual-autoencoder", settings).eval())


@contextlib.contextmanager
def served():
    """Yield a client of a server in this process."""
    with gr.Blocks(analytics_enabled=False) as page:
        api.register_api(FaceSource(Offer(bundled_faces(), "")))
    door = Middleware(UploadDoor, max_bytes=10**6)
    _, url, _ = page.launch(
        prevent_thread_lock=True,
        quiet=True,
        server_name="127.0.0.1",
        app_kwargs={"middleware": [door]},
    )
    try:
        yield Client(url, verbose=False)
    finally:
        page.close()


@pytest.fixture(scope="module")
def client_of_dual(dual):
    """A server in this process, whose ``dual-autoencoder`` is the small one."""
    methods = {"dual-autoencoder": dual, "median": denoiser.create_denoiser("median")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "list_denoisers", lambda colour=False: list(methods))
        patch.setattr(api, "create_denoiser", methods.__getitem__)
        with served() as client:
            yield client


@dataclass(frozen=True)
class StripeNoise(NoiseModel):
    """Every ``period``-th row is lighter by ``sigma`` and darker by ``offset``."""

    sigma: float = 0.5
    period: int = 4
    offset: float = 0.0

    id = "stripes"
    label = "Stripes"
    parameters = (
        Parameter("sigma", "Strength", 0, 1, 0.5, 1, 1, "of 255", scale=255),
        Parameter("period", "Rows", 2, 8, 4, 8, 1, "rows", integer=True),
        Parameter("offset", "Offset", 0, 0.25, 0, 1, 1, "of 255", scale=255),
    )

    def apply(self, clean, generator):
        noisy = clean.clone()
        noisy[:, :, :: self.period] += self.sigma - self.offset
        return noisy


@pytest.fixture(scope="class")
def client_of_stripes():
    """A server in this process with one more noise, the first in the list."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noises, "NOISES", (StripeNoise, *noises.NOISES))
        patch.setattr(api, "NOISES", noises.NOISES)
        with served() as client:
            yield client


BEFORE = ["face", "sample", "noise", "sigma", "amount", "salt_ratio", "peak", "radius", "size", "count"]
AFTER = ["clip", "round_8bit", "crop_face", "level", "grain"]
NEWER = ["more_noises", "face_size", "colour"]
POSTED = {
    "/compare": [*BEFORE, "quality", "seed", "denoisers", *AFTER, "hyperparameters", *NEWER],
    "/intermediate": [*BEFORE, "quality", "seed", "denoiser", *AFTER, "more_noises"],
}
"""What programs that post a list count on: nothing here ever moves, what is new comes after it."""


def read_api(client, endpoint):
    return client.view_api(return_format="dict", print_info=False)["named_endpoints"][endpoint]


def parameters(client, endpoint):
    return {p["parameter_name"]: p for p in read_api(client, endpoint)["parameters"]}


class TestStrengths:
    @pytest.mark.parametrize("endpoint", POSTED)
    def test_no_parameter_ever_moves(self, client, endpoint):
        assert list(parameters(client, endpoint))[: len(POSTED[endpoint])] == POSTED[endpoint]

    @pytest.mark.parametrize("endpoint", POSTED)
    def test_every_strength_of_every_noise_is_there(self, client, endpoint):
        listed = parameters(client, endpoint)
        for parameter in (p for kind in noises.NOISES for p in kind.parameters):
            is_whole = all(
                p.integer for k in noises.NOISES for p in k.parameters if p.name == parameter.name
            )
            wanted = "None | int" if is_whole else "None | float"
            assert listed[parameter.name]["python_type"]["type"] == wanted
            assert listed[parameter.name]["parameter_default"] is None
            assert listed[parameter.name]["parameter_has_default"]


class TestANewNoise:
    @pytest.mark.parametrize("endpoint", POSTED)
    def test_its_parameters_come_last(self, client_of_stripes, endpoint):
        listed = parameters(client_of_stripes, endpoint)
        assert list(listed) == [*POSTED[endpoint], "period", "offset"]
        assert listed["period"]["python_type"]["type"] == "None | int"
        assert listed["offset"]["python_type"]["type"] == "None | float"
        described = client_of_stripes.view_api(return_format="dict", print_info=False)[
            "named_endpoints"
        ][endpoint]
        ranges = "stripes (sigma 0 to 1, period 2 to 8, offset 0 to 0.25)"
        assert ranges in described["description"]

    def test_its_parameters_reach_it(self, client_of_stripes, sample):
        expected = compare(sample, StripeNoise(0.4, 3, 0.1), 0, QUICK)
        strengths = {"sigma": 0.4, "period": 3, "offset": 0.1}
        answer = ask(client_of_stripes, noise="stripes", **strengths)
        assert answer["noise"] == expected.corruption.noise.describe()
        assert_same_scores(answer, expected)
        posted = [None, SAMPLE, "stripes", 0.4, *[None] * 7, 0, QUICK, True, False, True]
        posted = httpx.post(
            f"{client_of_stripes.src.rstrip('/')}/gradio_api/run/compare",
            json={"data": [*posted, None, None, None, None, 48, False, 3, 0.1]},
            timeout=60,
        ).json()["data"][0]
        assert_same_scores(posted, expected)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"noise": "stripes", "period": 9}, "period must be a whole number from 2 to 8"),
            ({"noise": "stripes", "period": 2.5}, "period must be a whole number from 2 to 8"),
            ({"noise": "stripes", "period": "3"}, "period must be a number"),
            ({"noise": "stripes", "offset": 0.3}, "offset must be a number from 0 to 0.25"),
            ({"period": 3}, "gaussian has no parameter 'period'; it takes sigma"),
            ({"noise": "stripes", "peak": 3}, "no parameter 'peak'; it takes sigma, period, offset"),
        ],
    )
    def test_a_sentence_says_what_they_may_be(self, client_of_stripes, arguments, sentence):
        for endpoint, given in (("/compare", {"denoisers": QUICK}), ("/intermediate", {})):
            with pytest.raises(AppError) as refusal:
                client_of_stripes.predict(sample=SAMPLE, **given, **arguments, api_name=endpoint)
            assert sentence in refusal.value.args[0]


def ask_between(client, **arguments):
    return client.predict(**{"sample": SAMPLE} | arguments, api_name="/intermediate")


class TestIntermediate:
    def test_it_gives_what_the_library_gives(self, client_of_dual, dual, sample):
        answer = ask_between(client_of_dual, noise="salt-and-pepper", amount=0.2, seed=3)
        comparison = compare(sample, SaltAndPepperNoise(0.2), 3, [api.FirstHalf(dual), dual])
        assert_same_scores(answer, comparison)
        assert list(answer["methods"]) == ["intermediate", "dual-autoencoder"]
        between = dual.intermediate(comparison.corruption.noisy)
        shown = pixels(answer["methods"]["intermediate"]["image"])
        np.testing.assert_array_equal(shown, to_uint8(between))
        score = answer["methods"]["intermediate"]["psnr"]
        assert score == pytest.approx(denoiser.psnr(between, sample), abs=1e-4)
        assert not np.array_equal(shown, pixels(answer["methods"]["dual-autoencoder"]["image"]))
        np.testing.assert_array_equal(pixels(answer["clean"]), to_uint8(sample))

    def test_options_reach_the_noise(self, client_of_dual, dual, sample):
        answer = ask_between(client_of_dual, sigma=0.3, clip=False, round_8bit=True)
        methods = [api.FirstHalf(dual), dual]
        expected = compare(sample, GaussianNoise(0.3), 0, methods, clip=False, round_8bit=True)
        assert_same_scores(answer, expected)

    def test_an_uploaded_picture(self, client_of_dual, dual, astronaut_file):
        loaded = load_face(astronaut_file)
        answer = ask_between(client_of_dual, sample=None, face=handle_file(astronaut_file))
        expected = compare(loaded.image, GaussianNoise(), 0, [api.FirstHalf(dual), dual])
        assert_same_scores(answer, expected)
        assert answer["note"] == loaded.note

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"denoiser": "median"}, "median makes no intermediate image"),
            ({"denoiser": "magic"}, "Unknown denoiser 'magic'; choose one of"),
            ({"denoiser": None}, "denoiser must be the id of a denoiser"),
            ({"denoiser": ["median"]}, "denoiser must be the id of a denoiser"),
            ({"sigma": 1.5}, "sigma must be a number from 0 to 1"),
            ({"noise": "fog"}, "Unknown noise 'fog'; choose one of gaussian"),
            ({"noise": "gaussian-low", "sigma": 0.1}, "a preset takes no strengths"),
            ({"seed": -1}, "seed must be a whole number from 0"),
            ({"sample": None}, "Give either face"),
            ({"clip": "yes"}, "clip must be true or false"),
            ({"sample": None, "face": {"path": "/etc/hostname"}}, "must be an uploaded picture"),
        ],
    )
    def test_a_sentence_says_what_is_allowed(self, client_of_dual, arguments, sentence):
        with pytest.raises(AppError) as refusal:
            ask_between(client_of_dual, **arguments)
        assert sentence in refusal.value.args[0]
        assert "Traceback" not in refusal.value.args[0]

    def test_the_app_has_it_and_refuses_a_filter(self, client):
        with pytest.raises(AppError, match="median makes no intermediate image"):
            ask_between(client, denoiser="median")


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"sigma": 1.5}, "sigma must be a number from 0 to 1"),
            ({"sigma": -0.1}, "sigma must be a number from 0 to 1"),
            ({"sigma": "0.1"}, "sigma must be a number"),
            ({"sigma": True}, "sigma must be a number"),
            ({"noise": "poisson", "peak": 0}, "peak must be a number from 1 to 100000"),
            ({"noise": "jpeg", "quality": 101}, "quality must be a whole number from 1 to 100"),
            ({"face_size": 47}, "face_size must be one of 48, 96, 128"),
            ({"face_size": 128.0}, "face_size must be one of 48, 96, 128"),
            ({"face_size": [96]}, "face_size must be one of 48, 96, 128"),
            ({"colour": "yes"}, "colour must be true or false"),
            ({"face_size": 96}, "This sample is 48x48 and gray: face_size must be 48"),
            ({"colour": True}, "This sample is 48x48 and gray: face_size must be 48"),
            ({"more_noises": "jpeg"}, "more_noises must be a list"),
            ({"more_noises": ["jpeg"]}, "more_noises must be a list"),
            ({"more_noises": [{"quality": 20}]}, "more_noises must be a list"),
            ({"more_noises": [{"noise": "jpeg"}] * 4}, "more_noises must hold 3 noises at most"),
            ({"more_noises": [{"noise": "fog"}]}, "Unknown noise"),
            ({"more_noises": [{"noise": ["jpeg"]}]}, "noise must be the id of a noise"),
            ({"more_noises": [{"noise": "jpeg", "noise_id": 1}]}, "a strength that no noise has"),
            ({"more_noises": [{"noise": "jpeg", "sigma": 0.1}]}, "has no parameter 'sigma'"),
            ({"more_noises": [{"noise": "jpeg", "quality": [20]}]}, "quality must be a number"),
            ({"noise": "occlusion", "size": 2.5}, "size must be a whole number from 0 to 512"),
            ({"noise": "occlusion", "count": 10**9}, "count must be a whole number from 0 to 64"),
            ({"amount": 0.1}, "no parameter 'amount'; it takes sigma"),
            ({"noise": "gaussian-low", "sigma": 0.1}, "a preset takes no strengths"),
            ({"noise": "fog"}, "Unknown noise 'fog'; choose one of gaussian"),
            ({"noise": None}, "noise must be the id"),
            ({"denoisers": ["magic"]}, "Unknown denoiser 'magic'; choose one of"),
            ({"denoisers": []}, "at least one"),
            ({"denoisers": "median"}, "list of ids"),
            ({"seed": -1}, "seed must be a whole number from 0"),
            ({"seed": 1.5}, "seed must be a whole number from 0"),
            ({"seed": 2**63}, "seed must be a whole number from 0"),
            ({"sample": None}, "Give either face"),
            ({"sample": "lfw-1000"}, "no sample face with this id"),
            ({"sample": 7}, "sample must be the id"),
            ({"hyperparameters": [1]}, "hyperparameters must be numbers by name, by id"),
            ({"hyperparameters": {"median": 2}}, "hyperparameters must be numbers by name, by id"),
            ({"hyperparameters": {"median": {"radius": "2"}}}, "must be numbers by name, by id"),
            ({"hyperparameters": {"median": {"radius": True}}}, "must be numbers by name, by id"),
            (
                {"hyperparameters": {"median": {"radius": 8}}},
                "radius must be a whole number from 1 to 7",
            ),
            ({"hyperparameters": {"median": {"radius": 1.5}}}, "radius must be a whole number"),
            ({"hyperparameters": {"median": {"steps": 1}}}, "no hyperparameter 'steps'"),
            ({"hyperparameters": {"wavelet": {}}}, "of 'wavelet', which is not in denoisers"),
            ({"clip": "yes"}, "clip must be true or false"),
            ({"sample": None, "face": "face.jpg"}, "face must be an uploaded picture"),
            ({"sample": None, "face": {"path": "/etc/hostname"}}, "must be an uploaded picture"),
            ({"sample": None, "face": {"path": "\0"}}, "must be an uploaded picture"),
        ],
    )
    def test_a_sentence_says_what_is_allowed(self, client, arguments, sentence):
        with pytest.raises(AppError) as refusal:
            ask(client, **arguments)
        message = refusal.value.args[0]
        assert sentence in message
        assert "Traceback" not in message
        assert "site-packages" not in message

    @pytest.mark.parametrize("sigma", [math.nan, math.inf])
    def test_not_a_number_never_gets_an_answer(self, client, sigma):
        # JSON has neither; what the client makes of them must not reach a noise.
        with pytest.raises((AppError, ValueError)):
            ask(client, sigma=sigma)

    def test_both_face_and_sample(self, client, astronaut_file):
        with pytest.raises(AppError, match="Give either face"):
            ask(client, face=handle_file(astronaut_file))

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n and no more"])
    def test_a_file_that_is_no_picture(self, client, tmp_path, content):
        file = tmp_path / "secret-name.png"
        file.write_bytes(content)
        with pytest.raises(AppError) as refusal:
            ask(client, sample=None, face=handle_file(file))
        assert "secret-name" not in refusal.value.args[0]
        assert "/" not in refusal.value.args[0]
        assert len(refusal.value.args[0]) > 10

    def test_files_of_the_server_stay_where_they_are(self, client):
        stolen = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}
        body = json.dumps({"data": [stolen], "session_hash": "x"}).encode()
        request = urllib.request.Request(
            f"{client.src.rstrip('/')}/gradio_api/call/compare",
            body,
            {"Content-Type": "application/json"},
        )
        try:
            event = json.load(urllib.request.urlopen(request, timeout=30))["event_id"]
            url = f"{client.src.rstrip('/')}/gradio_api/call/compare/{event}"
            answer = urllib.request.urlopen(url, timeout=30).read().decode()
        except urllib.error.HTTPError as error:
            answer = f"event: error {error.read().decode()}"
        assert "event: error" in answer
        assert "hostname" not in answer

    def test_it_goes_on_working_afterwards(self, client):
        with pytest.raises(AppError):
            ask(client, sigma=2)
        assert ask(client)["methods"]


class TestLists:
    def test_noises(self, client):
        answer = client.predict(api_name="/noises")
        assert [noise["id"] for noise in answer["noises"]] == denoiser.list_noises()
        sigma = answer["noises"][0]["parameters"][0]
        assert sigma["name"] == "sigma"
        assert (sigma["minimum"], sigma["maximum"]) == (0, 1)
        assert {preset["id"] for preset in answer["presets"]} == {
            "gaussian-low",
            "gaussian-high",
            "salt-and-pepper-10",
        }

    def test_every_listed_end_of_a_range_is_accepted(self, client):
        for noise in client.predict(api_name="/noises")["noises"]:
            for parameter in noise["parameters"]:
                for end in ("minimum", "maximum"):
                    strength = {parameter["name"]: parameter[end]}
                    ask(client, noise=noise["id"], denoisers=["median"], **strength)

    def test_denoisers(self, client):
        answer = client.predict(api_name="/denoisers")
        listed = {method["id"]: method for method in answer["denoisers"]}
        assert list(listed) == denoiser.list_denoisers(colour=True)
        assert set(answer["default"]) <= set(listed)
        assert listed["median"]["family"] == "classical"
        assert listed["median"]["available"] is True
        (radius,) = listed["median"]["hyperparameters"]
        assert radius == {
            "name": "radius",
            "minimum": 1,
            "maximum": 7,
            "default": 1,
            "integer": True,
            "meaning": "Radius of the window",
        }
        assert listed["wavelet"]["hyperparameters"] == []

    def test_samples(self, client):
        faces = bundled_faces()
        answer = client.predict(count=5, seed=2, api_name="/samples")
        assert answer["total"] == len(faces)
        assert len({s["id"] for s in answer["samples"]}) == 5
        assert answer == client.predict(count=5, seed=2, api_name="/samples")
        assert answer != client.predict(count=5, seed=3, api_name="/samples")
        for listed in answer["samples"]:
            assert ask(client, sample=listed["id"], denoisers=["median"])["methods"]

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"count": -1}, "count must be a whole number from 0 to 101"),
            ({"count": 10**6}, "count must be a whole number from 0 to 101"),
            ({"seed": -1}, "seed must be"),
            ({"emotion": "hunger"}, "No face shows this emotion"),
        ],
    )
    def test_samples_refuses(self, client, arguments, sentence):
        with pytest.raises(AppError, match=sentence):
            client.predict(**arguments, api_name="/samples")

    def test_milliseconds(self, client):
        answer = client.predict(denoiser="autoencoder", faces=2, api_name="/milliseconds")
        assert (answer["denoiser"], answer["faces"]) == ("autoencoder", 2)
        assert answer["cpu"]["device"]
        assert answer["cpu"]["milliseconds"] > 0
        assert (answer["gpu"] is None) == (answer["lending"] is None)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"faces": 0}, "faces must be a whole number from 1 to 64"),
            ({"faces": 65}, "faces must be a whole number from 1 to 64"),
            ({"denoiser": "median"}, "median is a filter"),
            ({"denoiser": "magic"}, "Unknown denoiser 'magic'"),
            ({"denoiser": None}, "denoiser must be the id"),
        ],
    )
    def test_milliseconds_refuses(self, client, arguments, sentence):
        with pytest.raises(AppError, match=sentence):
            client.predict(**arguments, api_name="/milliseconds")

    def test_endpoints_are_named_and_typed(self, client):
        endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
        named = {"/compare", "/intermediate", "/milliseconds", "/noises", "/denoisers", "/samples"}
        assert named <= set(endpoints)
        types = {
            parameter["parameter_name"]: parameter["python_type"]["type"]
            for parameter in endpoints["/compare"]["parameters"]
        }
        assert "float" in types["sigma"]
        assert "int" in types["seed"]
        assert "list[str]" in types["denoisers"]
        assert all(
            parameter["parameter_has_default"] for parameter in endpoints["/compare"]["parameters"]
        )


class TestDescribe:
    def test_whatever_the_scores_it_is_json(self, face):
        perfect = describe(compare(face, GaussianNoise(0.1), 0, [Fixed(face)]))
        assert perfect["methods"]["fixed"]["psnr"] == "inf"
        assert perfect["methods"]["fixed"]["gain"] == "inf"
        spoilt = describe(compare(face, GaussianNoise(0), 0, [Fixed(1 - face)]))
        assert spoilt["methods"]["fixed"]["gain"] is None
        small = np.full((5, 5), 0.5, np.float32)
        tiny = describe(compare(small, GaussianNoise(0.1), 0, ["median"]))
        assert tiny["methods"]["median"]["ssim"] is None
        for answer in (perfect, spoilt, tiny):
            json.dumps(answer, allow_nan=False)


def test_missing_weights_stop_no_other_method(monkeypatch):
    def create(denoiser_id):
        if denoiser_id == "attention-unet":
            raise WeightsError("The weight file of the model 'attention-unet' is missing")
        return denoiser.create_denoiser(denoiser_id)

    monkeypatch.setattr("denoiser.denoisers.registry.create_denoiser", create)
    available = find_available(["attention-unet", *QUICK])
    assert list(available.denoisers) == QUICK
    assert available.refusals == {
        "attention-unet": "The weight file of the model 'attention-unet' is missing"
    }
