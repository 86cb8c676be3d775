"""Training configs: the shipped ones say what they should, wrong ones are refused."""

import itertools
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import train
from denoiser.architectures import build_network
from denoiser.architectures.patchgan import PatchDiscriminator, PatchDiscriminatorConfig
from denoiser.denoisers.registry import MODELS
from denoiser.noise import PRESETS, create_noise
from denoiser.weights.training_noise import describe_trained_on
from tests.tiny import ADVERSARIAL, CONFIG, write_config
from train.config import (
    MIXTURES,
    AdversarialConfig,
    ConfigError,
    TrainConfig,
    noise_name,
    read_config,
    trained_on,
    validation_noise,
)

CONFIGS = Path(train.__file__).parent / "configs"
FILES = sorted(CONFIGS.glob("*.toml"))
BLIND = ("attention-unet", "autoencoder", "patchgan")
SPECIALISTS = tuple(f"attention-unet.{preset}" for preset in PRESETS)

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def shipped(config_id):
    return read_config(CONFIGS / f"{config_id}.toml")


def ranges(config, kind):
    """Return the ranges of a kind's parameters where it is alone in its part of the mixture."""
    parts = [part for part in config.noise if [s.kind for s in part.stages] == [kind]]
    assert parts, f"the mixture has no {kind} on its own"
    names = {name for part in parts for name in part.stages[0].ranges}
    found = {}
    for name in names:
        lows, highs = zip(*(part.stages[0].ranges[name] for part in parts), strict=True)
        found[name] = (min(lows), max(highs))
    return found


def written(tmp_path, **changes):
    return read_config(write_config(tmp_path / "config.toml", **changes))


@each_file
def test_every_config_can_be_read_and_built(file):
    config = read_config(file)
    assert config.id == file.stem
    assert config.label
    assert config.reference
    build_network(config.architecture, config.settings)


def test_every_model_has_a_config():
    assert {*MODELS, *BLIND, *SPECIALISTS} <= {file.stem for file in FILES}


def test_labels_and_families():
    configs = {file.stem: read_config(file) for file in FILES}
    assert len({config.label for config in configs.values()}) == len(configs)
    families = {name: configs[name].family for name in BLIND}
    assert families == {"attention-unet": "network", "autoencoder": "autoencoder", "patchgan": "GAN"}
    assert all(configs[name].family == "network" for name in SPECIALISTS)


@each_file
def test_validation_noises_can_be_created_and_have_names_of_their_own(file):
    config = read_config(file)
    noises = [validation_noise(noise) for noise in config.validation]
    assert noises
    assert len(set(noises)) == len(noises)
    names = set(map(noise_name, config.validation))
    assert len(names) == len(noises)


@each_file
def test_what_it_starts_from_fits_and_comes_before_it(file):
    config = read_config(file)
    before = [config.id]
    while config.start_from:
        start = shipped(config.start_from)
        network = build_network(config.architecture, config.settings)
        network.start_from(build_network(start.architecture, start.settings).state_dict())
        assert start.id not in before
        before.append(start.id)
        config = start


def test_every_expert_has_noise_of_its_own():
    config = shipped("residual-unet")
    named = {part.expert for part in config.noise}
    assert named == {"", *config.settings["experts"][1:]}  # the first takes what names none


def test_experts_hold_the_blind_mixture_and_more():
    """Between them they see what every other blind model sees, and are validated on the same."""
    experts, blind = shipped("residual-unet"), shipped("attention-unet")
    assert experts.validation == blind.validation
    kinds = [{tuple(s.kind for s in part.stages) for part in c.noise} for c in (experts, blind)]
    assert kinds[0] > kinds[1]
    for kind in ("gaussian", "salt-and-pepper", "impulse", "poisson", "speckle", "pixel-shuffle"):
        wider, narrower = ranges(experts, kind), ranges(blind, kind)
        assert wider.keys() == narrower.keys()
        for name, (low, high) in narrower.items():
            assert wider[name][0] <= low
            assert high <= wider[name][1]
    # What only experts undo, which the other networks are too small for.
    assert {kind[0] for kind in kinds[0] - kinds[1]} >= {"blur", "jpeg", "occlusion"}
    assert {"blur", "jpeg", "occlusion"}.isdisjoint(s.kind for p in blind.noise for s in p.stages)


@pytest.mark.parametrize("mixture", ["blind", "experts"])
def test_what_is_additive_is_now_and_then_not_clipped(mixture):
    """The page lets one switch clipping off; impulses are black or white whether clipped or not."""
    for part in shipped({"blind": "attention-unet", "experts": "residual-unet"}[mixture]).noise:
        additive = [s.kind for s in part.stages][-1:] in (["gaussian"], ["poisson"], ["speckle"])
        if len(part.stages) == 1:
            assert (part.unclipped > 0) == additive
        assert part.unclipped < 0.5


def test_the_specialist_for_unclipped_noise_sees_no_other():
    config = shipped("residual-unet.gaussian-unclipped")
    assert {part.unclipped for part in config.noise} == {1.0}
    assert {s.kind for part in config.noise for s in part.stages} == {"gaussian"}
    spans = sorted(part.stages[0].ranges["sigma"] for part in config.noise)
    assert all(lower[1] == upper[0] for lower, upper in itertools.pairwise(spans))


def test_neighbouring_experts_for_gaussian_noise_overlap():
    """The router's doubts are about neighbours: either of two must have seen what lies between them."""
    config = shipped("residual-unet")
    spans: dict[str, list[tuple[float, float]]] = {}
    for part in config.noise:
        if part.expert and [s.kind for s in part.stages] == ["gaussian"]:
            spans.setdefault(part.expert, []).append(part.stages[0].ranges["sigma"])
    whole = []
    for own in map(sorted, spans.values()):
        assert all(upper[0] <= lower[1] for lower, upper in itertools.pairwise(own))  # no gap in it
        whole.append((own[0][0], own[-1][1]))
    whole.sort()
    assert len(whole) == 4
    assert whole[0][0] == 0
    assert all(upper[0] < lower[1] for lower, upper in itertools.pairwise(whole))


def test_blind_models_train_on_the_same_mixture():
    configs = [shipped(name) for name in BLIND]
    assert len({str(config.noise) for config in configs}) == 1
    assert len({str(config.validation) for config in configs}) == 1


@pytest.mark.parametrize("name", BLIND)
def test_the_mixture_holds_all_that_blind_models_must_face(name):
    config = shipped(name)
    assert ranges(config, "gaussian")["sigma"] == (0.0, 0.25)
    assert ranges(config, "salt-and-pepper")["amount"] == (0.0, 0.4)
    low, high = ranges(config, "salt-and-pepper")["salt_ratio"]
    assert low < 0.5 < high
    assert ranges(config, "impulse")["amount"] == (0.0, 0.4)
    low, high = ranges(config, "poisson")["peak"]
    assert low <= 10
    assert high >= 100
    low, high = ranges(config, "speckle")["sigma"]
    assert low == 0
    assert high >= 64 / 255
    assert ranges(config, "pixel-shuffle")["amount"][1] >= 0.15
    combined = [[s.kind for s in part.stages] for part in config.noise if len(part.stages) > 1]
    assert ["gaussian", "salt-and-pepper"] in combined
    assert ["poisson", "gaussian"] in combined


@pytest.mark.parametrize("name", BLIND)
def test_faint_gaussian_noise_is_a_good_part_of_the_mixture(name):
    """Blind models must not make gaussian-low worse: they have to see enough of its like."""
    config = shipped(name)
    total = sum(part.weight for part in config.noise)
    faint = [
        part.weight
        for part in config.noise
        if [s.kind for s in part.stages] == ["gaussian"] and part.stages[0].ranges["sigma"][1] <= 0.1
    ]
    assert sum(faint) / total > 0.2


@pytest.mark.parametrize("name", SPECIALISTS)
def test_specialists_see_their_preset_and_nothing_else(name):
    config = shipped(name)
    preset_id = name.removeprefix("attention-unet.")
    preset = PRESETS[preset_id]
    (part,) = config.noise
    (stage,) = part.stages
    assert stage.kind == preset.id
    assert stage.ranges == {p.name: (getattr(preset, p.name),) * 2 for p in preset.parameters}
    assert [validation_noise(noise) for noise in config.validation] == [preset]
    assert config.start_from == "attention-unet"
    assert describe_trained_on(trained_on(config)) == preset.describe()


@each_file
def test_gans_are_adversarial_and_nothing_else_is(file):
    gan = read_config(file)
    assert (gan.adversarial is not None) == (gan.family == "GAN") == gan.id.startswith("patchgan")
    if gan.adversarial:
        assert gan.select == "last"
        assert gan.start_from.startswith("attention-unet")
        assert gan.adversarial.weight > 0
        assert gan.adversarial.penalty > 0
        assert gan.settings == shipped(gan.start_from).settings


def test_the_gan_for_shuffled_pixels_sees_both_rates():
    gan = shipped("patchgan.pixel-shuffle")
    low, high = (create_noise("pixel-shuffle", amount=amount, radius=2) for amount in (0.15, 0.5))
    assert [validation_noise(noise) for noise in gan.validation] == [low, high]
    assert ranges(gan, "pixel-shuffle") == {"amount": (0.0, 0.5), "radius": (2.0, 2.0)}


def test_the_gan_for_impulses_is_a_simpler_one():
    gan, blind = shipped("patchgan.salt-and-pepper-10"), shipped("patchgan")
    assert [validation_noise(noise) for noise in gan.validation] == [PRESETS["salt-and-pepper-10"]]
    assert gan.noise == shipped("attention-unet.salt-and-pepper-10").noise

    def weights(config):
        discriminator = PatchDiscriminator(PatchDiscriminatorConfig(**config.adversarial.discriminator))
        return sum(p.numel() for p in discriminator.parameters())

    assert weights(gan) < weights(blind) / 5


# Mixtures


MIXTURE = {"noise": None, "validation": None, "mixture": "blind"}


def test_a_mixture_stands_for_what_its_file_says(tmp_path):
    config = written(tmp_path, **MIXTURE)
    told = tomllib.loads((MIXTURES / "blind.toml").read_text(encoding="utf-8"))
    spelled_out = written(tmp_path, **told)
    assert config == spelled_out
    assert config.noise == shipped("patchgan").noise
    assert config.validation == shipped("patchgan").validation


@pytest.mark.parametrize("key", ["noise", "validation"])
def test_a_mixture_or_its_own_noise_but_not_both(tmp_path, key):
    with pytest.raises(ConfigError, match=f"mixture stands for {key}; leave one of the two out"):
        written(tmp_path, **MIXTURE | {key: CONFIG[key]})


@pytest.mark.parametrize("name", ["blnd", "../configs/patchgan", "", 3])
def test_a_mixture_that_is_not_there(tmp_path, name):
    with pytest.raises(
        ConfigError,
        match="mixture must be one of blind, blur, ",
    ):
        written(tmp_path, **MIXTURE | {"mixture": name})


def test_a_mixture_says_nothing_but_noise(tmp_path, monkeypatch):
    (tmp_path / "own.toml").write_text("epochs = 3", encoding="utf-8")
    monkeypatch.setattr("train.config.MIXTURES", tmp_path)
    with pytest.raises(ConfigError, match="Unknown setting epochs"):
        written(tmp_path, **MIXTURE | {"mixture": "own"})


def test_a_mixture_like_another_says_only_what_differs(tmp_path, monkeypatch):
    own = 'like = "blind"\n[[noise]]\nstages = [{ kind = "gaussian", sigma = 0.1 }]\n'
    (tmp_path / "own.toml").write_text(own, encoding="utf-8")
    (tmp_path / "blind.toml").write_bytes((MIXTURES / "blind.toml").read_bytes())
    monkeypatch.setattr("train.config.MIXTURES", tmp_path)
    mixed, blind = (written(tmp_path, **MIXTURE | {"mixture": name}) for name in ("own", "blind"))
    assert len(mixed.noise) == 1 < len(blind.noise)
    assert mixed.validation == blind.validation


def test_a_file_holds_only_what_differs_from_the_defaults(tmp_path):
    config = written(tmp_path)
    for key in CONFIG:
        assert hasattr(config, key)
    defaults = TrainConfig("", "", "network", "", "", (), ())
    assert (config.loss, config.seed, config.patience) == ("psnr", 0, defaults.patience)
    assert config.batch_size == 8 != defaults.batch_size
    assert config.adversarial is None
    assert replace(config, epochs=2) != config


def test_a_number_is_a_range_of_one_value(tmp_path):
    noise = [{"weight": 2, "stages": [{"kind": "gaussian", "sigma": 0.1}, {"kind": "jpeg"}]}]
    (part,) = written(tmp_path, noise=noise).noise
    assert part.weight == 2
    assert part.stages[0].ranges == {"sigma": (0.1, 0.1)}
    assert part.stages[1].ranges == {}  # the defaults of its kind


def test_adversarial_settings(tmp_path):
    config = written(tmp_path, **ADVERSARIAL)
    assert config.adversarial == AdversarialConfig(discriminator={"width": 4})


def one_noise(**stage):
    return {"noise": [{"stages": [stage]}]}


WRONG = {
    "unknown key": ({"epoch": 3}, "Unknown setting epoch"),
    "unknown adversarial key": ({"adversarial": {"wight": 1}}, "Unknown setting wight"),
    "unknown discriminator key": ({"adversarial": {"discriminator": {"depth": 1}}}, "depth"),
    "unknown key beside stages": (
        {"noise": [{"wieght": 2, "stages": [{"kind": "gaussian"}]}]},
        "Unknown setting wieght",
    ),
    "unknown parameter": (one_noise(kind="gaussian", amount=0.1), "gaussian has no parameter 'amount'"),
    "parameter of a preset": (one_noise(kind="gaussian-low", sigma=0.1), "Unknown setting sigma"),
    "unknown kind": (one_noise(kind="gausian"), "Unknown noise 'gausian'; choose one of gaussian"),
    "unknown validation kind": ({"validation": [{"kind": "x"}]}, "Unknown noise 'x'"),
    "unknown validation parameter": (
        {"validation": [{"kind": "gaussian", "amount": 0.1}]},
        "gaussian has no parameter 'amount'",
    ),
    "too strong": (one_noise(kind="gaussian", sigma=[0.0, 1.5]), "sigma must be a number from 0 to 1"),
    "too weak": (one_noise(kind="poisson", peak=[0, 30]), "peak must be a number from 1"),
    "too strong to validate": (
        {"validation": [{"kind": "gaussian", "sigma": 25}]},
        "sigma must be a number from 0 to 1, not 25",
    ),
    "not a whole number": (
        one_noise(kind="pixel-shuffle", radius=[1, 2.5]),
        "radius must be a whole number",
    ),
    "range the wrong way round": (one_noise(kind="gaussian", sigma=[0.2, 0.1]), "sigma"),
    "range of three": (
        one_noise(kind="gaussian", sigma=[0.0, 0.1, 0.2]),
        "the range of sigma must be two numbers, as in [0.1, 0.3], not [0.0, 0.1, 0.2]",
    ),
    "range of none": (one_noise(kind="gaussian", sigma=[]), "the range of sigma must be two numbers"),
    "text for a strength": (one_noise(kind="gaussian", sigma="x"), "sigma must be a number, not 'x'"),
    "texts for a range": (one_noise(kind="gaussian", sigma=["a", "b"]), "sigma must be a number, not"),
    "truth for a strength": (one_noise(kind="gaussian", sigma=True), "sigma must be a number, not True"),
    "text to validate with": (
        {"validation": [{"kind": "gaussian", "sigma": "x"}]},
        "sigma must be a number, not 'x'",
    ),
    "list for a kind": (one_noise(kind=["gaussian"]), "kind must be of type str"),
    "text for a weight": (
        {"noise": [{"weight": "x", "stages": [{"kind": "jpeg"}]}]},
        "weight must be a number, not 'x'",
    ),
    "text for stages": ({"noise": [{"stages": ["jpeg"]}]}, "stages must be an array of tables"),
    "text for settings": ({"settings": "deep"}, "settings must be a table, not 'deep'"),
    "number for a table": ({"adversarial": 3}, "a table of settings is wanted, not 3"),
    "text for validation": ({"validation": "jpeg"}, "validation must be an array of tables"),
    "way out of the folder": ({"id": "../x"}, "id must be letters and digits"),
    "absolute path": ({"id": "/x"}, "id must be letters and digits"),
    "no name": ({"id": ""}, "id must be letters and digits"),
    "the classifier's name": ({"id": "emotion"}, "which is the classifier's folder"),
    "way to another folder": ({"start_from": "../x"}, "start_from must be letters and digits"),
    "way to another folder's teacher": ({"teacher": "../x"}, "teacher must be letters and digits"),
    "more than all of a teacher": ({"teacher_share": 2}, "teacher_share must be a number from 0 to 1"),
    "seed out of range": ({"seed": 2**32}, "seed must be a number from 0 to 4294967295"),
    "average of more than all": ({"ema_decay": 5}, "ema_decay must be a number from 0 to 1"),
    "enlarged beyond memory": ({"rescaled_maximum": 1e9}, "rescaled_maximum must be a number from 1 to"),
    "no kind": (one_noise(sigma=0.1), "kind"),
    "no validation kind": ({"validation": [{"sigma": 0.1}]}, "kind"),
    "no stages": ({"noise": [{"weight": 1}]}, "stages"),
    "empty stages": ({"noise": [{"stages": []}]}, "stage"),
    "weight of nothing": ({"noise": [{"weight": 0, "stages": [{"kind": "gaussian"}]}]}, "weight"),
    "negative weight": ({"noise": [{"weight": -1, "stages": [{"kind": "gaussian"}]}]}, "weight"),
    "no noise": ({"noise": None}, "[[noise]]"),
    "empty noise": ({"noise": []}, "[[noise]]"),
    "noise that is no table": ({"noise": 3}, "noise must be an array of tables, not 3"),
    "no validation": ({"validation": None}, "[[validation]]"),
    "empty validation": ({"validation": []}, "[[validation]]"),
    "no id": ({"id": None}, "id"),
    "no architecture": ({"architecture": None}, "architecture"),
    "unknown architecture": ({"architecture": "vit"}, "Unknown architecture 'vit'"),
    "unknown architecture setting": ({"settings": {"heads": 2}}, "attention-unet has no setting heads"),
    "impossible architecture": ({"settings": {"widths": []}}, "attention-unet can't be built"),
    "unknown loss": ({"loss": "mae"}, "loss must be one of mse, psnr, bce, l1, "),
    "unknown selection": ({"select": "bets"}, "select must be one of best, last"),
    "unknown family": ({"family": "u-net"}, "family must be one of network, GAN"),
    "word for a number": ({"epochs": "ten"}, "epochs must be of type int"),
    "half an epoch": ({"epochs": 0.5}, "epochs must be of type int"),
    "truth for a number": ({"batch_size": True}, "batch_size must be of type int"),
    "number for a word": ({"start_from": 3}, "start_from must be of type str"),
    "expert of another network": (
        {"only": "faint"},
        "only names 'faint', which is no expert",
    ),
    "router without experts": ({"only": "router"}, "only names 'router', which is no expert"),
    "no epochs": ({"epochs": 0}, "epochs must be a number from 1"),
    "negative batch": ({"batch_size": -8}, "batch_size must be a number from 1"),
    "negative rate": ({"learning_rate": -0.1}, "learning_rate must be a number from 0"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=list(WRONG))
def test_wrong_configs_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError) as caught:
        written(tmp_path, **changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "__init__" not in str(caught.value)


def test_the_unchanged_config_is_right(tmp_path):
    """So that the wrong ones above are wrong for what they change."""
    assert written(tmp_path).id == "tiny"


def test_no_such_file(tmp_path):
    with pytest.raises(ConfigError, match=r"There is no config file .*nowhere\.toml"):
        read_config(tmp_path / "nowhere.toml")


def test_what_a_config_does_not_say_is_as_in_its_base(tmp_path):
    base = written(tmp_path)
    (tmp_path / "further").mkdir()
    file = tmp_path / "further" / "config.toml"
    file.write_text(f'base = "../config.toml"\nepochs = {base.epochs + 1}\n')
    assert read_config(file) == replace(base, epochs=base.epochs + 1)
    file.write_text('base = "nowhere.toml"\n')
    with pytest.raises(ConfigError, match=r"There is no config file .*nowhere\.toml"):
        read_config(file)


@pytest.mark.parametrize("content", [b"id = ", b"{}", b"\xff\xfe\x00"])
def test_no_toml(tmp_path, content):
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="not a TOML file"):
        read_config(file)
