"""What a training run is: one TOML file per model, read into frozen dataclasses.

A file holds only what differs from the defaults below. Unknown keys are errors. ``mixture = "blind"``
stands for the ``[[noise]]`` and ``[[validation]]`` of ``mixtures/blind.toml``; a mixture
takes from the one it names as ``like`` what it doesn't say itself, and a config from its ``base``.
"""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from denoiser.architectures import build_network
from denoiser.architectures.patchgan import PatchDiscriminator, PatchDiscriminatorConfig
from denoiser.noise import PRESETS, NoiseChain, NoiseModel, create_noise, noise_kind
from denoiser.weights.checkpoint import Family
from denoiser.weights.training_noise import NoiseRange, TrainingNoise

T = TypeVar("T")
Range = tuple[float, float]
Loss = Literal["mse", "psnr", "bce", "l1", "l1+ms-ssim", "l1+ms-ssim+cosine"]

MIXTURES = Path(__file__).parent / "mixtures"
"""Noises that several models train on: what to train on, and what to validate on."""

ROUTER = "router"
"""What ``only`` calls what chooses among experts."""

EMOTION_CONFIG = Path(__file__).parent / "emotion" / "emotion.toml"
"""Settings of the emotion classifier, which isn't a denoiser."""

_MIXTURE_KEYS = ("noise", "validation")

_ID = re.compile(r"[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*")


@dataclass(frozen=True)
class Between:
    """From where to where the number of a setting may be, as in ``Annotated[float, Between(0, 1)]``.

    Attributes:
        least: The smallest.
        most: The largest.
    """

    least: float = 0
    most: float = math.inf


Count = Annotated[int, Between(1)]
Share = Annotated[float, Between(0, 1)]
Seed = Annotated[int, Between(0, 2**32 - 1)]


class ConfigError(ValueError):
    """A config file doesn't say what it should; the message names the key."""


@dataclass(frozen=True)
class Stage:
    """One noise of a component, with the ranges its strengths are drawn from, evenly.

    Attributes:
        kind: Noise id.
        ranges: Parameter -> (low, high).
    """

    kind: str
    ranges: Mapping[str, Range]


@dataclass(frozen=True)
class Component:
    """One part of the mixture.

    Attributes:
        weight: Its share, beside the others' weights.
        stages: The noises applied one after the other.
        expert: Which expert of a mixture of experts learns it; the first, where none has this name.
        unclipped: Share of its pictures that are not clipped to [0, 1].
    """

    weight: float
    stages: tuple[Stage, ...]
    expert: str = ""
    unclipped: float = 0.0


@dataclass(frozen=True)
class AdversarialConfig:
    """Settings of adversarial training; see :mod:`train.modules.adversarial`.

    Attributes:
        weight: Of the adversarial loss beside the reconstruction loss.
        feature_weight: Of the matching of what a reader of expressions sees; see
            :mod:`train.modules.features`.
        penalty: Weight of the squared gradients of the discriminator's scores, half of it for clean and
            half for denoised pictures; the larger, the calmer and the weaker the discriminator.
        penalty_interval: Steps from one penalty to the next; each counts for all the steps between.
        discriminator_learning_rate: At its highest; lowered to nothing by a cosine.
        discriminator: Fields of the discriminator's config.
    """

    weight: float = 0.6
    feature_weight: float = 0.0
    penalty: float = 0.001
    penalty_interval: Count = 4
    discriminator_learning_rate: float = 5e-4
    discriminator: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        id: Denoiser id, and the name of its folder in weights/.
        label: Name for people.
        family: Kind of method.
        architecture: Key of ``denoiser.architectures.ARCHITECTURES``.
        settings: Fields of that architecture's config.
        reference: The paper.
        noise: The mixture it trains on.
        validation: Noises it is selected on: preset ids, or kind plus parameters, or stages of such.
        start_from: Model whose weights in weights/ it starts from; empty for random ones.
        only: Experts to train, each on its own noises, or ``"router"``; the rest stays as it started.
            Empty for all.
        teacher: Model in weights/ whose pictures this one is taught beside the clean ones (knowledge
            distillation, Hinton et al. 2015, arXiv:1503.02531), in supervised training alone; empty for
            none.
        teacher_share: What is aimed at is this share of the teacher's picture and the rest of the clean
            one.
        adversarial: Settings of adversarial training; None for supervised training.
        loss: Reconstruction loss; see :func:`train.modules.losses.reconstruction_loss`.
        epochs: At most this many.
        batch_size: Pictures per step and process.
        optimizer: Of supervised training; ``"muon"`` is :class:`train.modules.muon.Muon`.
        learning_rate: At its highest; warmed up, then lowered to nothing by a cosine.
        weight_decay: Of AdamW.
        ema_decay: Decay of the running average of the weights, which is what is validated and shipped.
        select: Ship the ``"best"`` weights on validation PSNR, or the ``"last"`` ones (adversarial
            training gives up PSNR on purpose, so that its best PSNR is its first).
        patience: Validations without improvement before it stops early (with ``select = "best"``).
        validations_per_epoch: How often to validate.
        validation_pictures: How many validation pictures to look at.
        rescaled_share: Share of batches that are enlarged and cropped, up to ``rescaled_maximum``.
        rescaled_maximum: Largest enlargement.
        seed: Of everything random.
    """

    id: str
    label: str
    family: Family
    architecture: str
    reference: str
    noise: tuple[Component, ...]
    validation: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    start_from: str = ""
    only: tuple[str, ...] = ()
    teacher: str = ""
    teacher_share: Share = 0.5
    adversarial: AdversarialConfig | None = None
    loss: Loss = "psnr"
    epochs: Count = 10
    batch_size: Count = 32
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    ema_decay: Share = 0.999
    select: Literal["best", "last"] = "best"
    patience: int = 10
    validations_per_epoch: Count = 2
    validation_pictures: Count = 400
    rescaled_share: Share = 0.3
    rescaled_maximum: Annotated[float, Between(1, 4)] = 1.6  # times itself as many pixels in memory
    seed: Seed = 0


def read_config(path: str | Path) -> TrainConfig:
    """Read a TOML file.

    Raises:
        ConfigError: It can't be read, or a key or a value in it is wrong.
    """
    return parse_config(read_values(path), path)


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file as it is.

    Raises:
        ConfigError: It isn't there, or is not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError:
        raise ConfigError(f"There is no config file {path}") from None
    except ValueError as error:  # not TOML, or not even text
        raise ConfigError(f"{path} is not a TOML file: {error}") from None


def read_values(path: str | Path) -> dict[str, Any]:
    """Read a config's keys and values; what it doesn't say is as in the file that it names as ``base``.

    Raises:
        ConfigError: One of the two files can't be read.
    """
    values = read_toml(path)
    if "base" not in values:
        return values
    base = read_toml(Path(path).parent / str(values.pop("base")))
    return changed(base, values)


def changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config's values with changes; a table is changed key by key, false takes it out."""
    values = dict(base)
    for key, value in changes.items():
        before = base.get(key)
        if isinstance(before, Mapping) and value is False:
            del values[key]
        elif isinstance(before, Mapping) and isinstance(value, Mapping):
            values[key] = changed(before, value)
        else:
            values[key] = value
    return values


def parse_config(values: Mapping[str, Any], name: str | Path) -> TrainConfig:
    """Turn what a TOML file says into a training run.

    Args:
        values: The file's keys and values.
        name: Whose they are; errors begin with it.

    Raises:
        ConfigError: A key or a value is wrong.
    """
    try:
        return _read(dict(values))
    except KeyError as error:
        raise ConfigError(f"{name}: a noise has no {error.args[0]!r}") from None
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ConfigError(f"{name}: {error}") from None


def _read(values: dict[str, Any]) -> TrainConfig:
    if "mixture" in values:
        values = _with_mixture(values)
    if "adversarial" in values:
        values["adversarial"] = build_checked(AdversarialConfig, values["adversarial"])
        PatchDiscriminator(build_checked(PatchDiscriminatorConfig, values["adversarial"].discriminator))
    values["noise"] = tuple(_component(part) for part in _tables("noise", values.get("noise", [])))
    values["validation"] = tuple(_tables("validation", values.get("validation", [])))
    if "only" in values:
        values["only"] = tuple(_texts("only", values["only"]))
    config = build_checked(TrainConfig, values)
    for name in ("id", "start_from", "teacher"):
        _check_id(name, getattr(config, name), empty=name != "id")
    if not config.noise or not config.validation:
        raise ConfigError("it names no [[noise]] to train on or no [[validation]] noise")
    experts = {part.expert for part in config.noise}.intersection(config.settings.get("experts", ()))
    strangers = set(config.only) - experts - ({ROUTER} if experts else set())
    if strangers:
        names = ", ".join(map(repr, sorted(strangers)))
        raise ConfigError(
            f"only names {names}, which is no expert with a noise of its own, nor {ROUTER!r}"
        )
    for noise in config.validation:
        validation_noise(noise)
    build_network(config.architecture, config.settings)
    return config


def validation_noise(noise: Mapping[str, Any]) -> NoiseModel:
    """Create a noise from a ``[[validation]]`` table: a kind or preset, its parameters; or stages."""
    if "stages" in noise:
        check_keys({"stages"}, noise)
        return NoiseChain(tuple(map(validation_noise, _tables("stages", noise["stages"]))))
    _check_value("kind", noise["kind"], str)
    for name, value in noise.items():
        if name != "kind":
            _check_number(f"{noise['kind']}: {name}", value)
    return create_noise(noise["kind"], **{k: v for k, v in noise.items() if k != "kind"})


def trained_on(config: TrainConfig) -> tuple[TrainingNoise, ...]:
    """Return a mixture as a model's config.json holds it: shares, kinds, ranges of all parameters.

    Experts get equal shares of the pictures, which the weights of their own noises divide.
    """
    experts = tuple(config.settings.get("experts", ()))
    owners = [owner_of(part, experts) for part in config.noise]
    totals = {
        owner: sum(p.weight for p, other in zip(config.noise, owners, strict=True) if other == owner)
        for owner in owners
    }
    return tuple(
        TrainingNoise(
            round(part.weight / totals[owner] / len(totals), 6),
            tuple(_whole_range(stage) for stage in part.stages),
            part.unclipped,
        )
        for part, owner in zip(config.noise, owners, strict=True)
    )


def clipped_input(config: TrainConfig) -> bool:
    """Whether a run sees pictures clipped to [0, 1] only, so that its network needs such."""
    return all(part.unclipped == 0 for part in config.noise)


def sees_colour(config: TrainConfig) -> bool:
    """Whether a run is of a network for colour."""
    return config.settings.get("channels") == 3


def owner_of(part: Component, experts: Sequence[str]) -> str:
    """Return which expert learns a part of the mixture: the first, where none has the part's name."""
    if part.expert in experts:
        return part.expert
    return experts[0] if experts else ""


def _whole_range(stage: Stage) -> NoiseRange:
    usual = create_noise(stage.kind)
    fixed = {p.name: (float(getattr(usual, p.name)),) * 2 for p in usual.parameters}
    return NoiseRange(stage.kind, fixed | dict(stage.ranges))


def noise_name(noise: Mapping[str, Any]) -> str:
    """Name a ``[[validation]]`` noise: its kind and parameters, such as ``gaussian_0.1``."""
    if "stages" in noise:
        return "+".join(map(noise_name, noise["stages"]))
    return "_".join(str(value) for value in noise.values())


def _with_mixture(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put a mixture's own keys in the place of its name."""
    own = [key for key in _MIXTURE_KEYS if key in values]
    if own:
        raise ConfigError(f"mixture stands for {', '.join(own)}; leave one of the two out")
    return {k: v for k, v in values.items() if k != "mixture"} | _read_mixture(values["mixture"])


def _read_mixture(name: str) -> dict[str, Any]:
    """Read a mixture; what it doesn't say is as in the one that it names as ``like``."""
    known = sorted(path.stem for path in MIXTURES.glob("*.toml"))
    if name not in known:
        raise ConfigError(f"mixture must be one of {', '.join(known)}, not {name!r}")
    mixture = read_toml(MIXTURES / f"{name}.toml")
    check_keys({*_MIXTURE_KEYS, "like"}, mixture)
    like = mixture.pop("like", "")
    return (_read_mixture(like) if like else {}) | mixture


def _texts(name: str, value: Any) -> list[str]:
    """Return a list of words; one word stands for a list of itself."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ConfigError(f"{name} must be a word or a list of words, not {value!r}")
    return words


def _component(values: Mapping[str, Any]) -> Component:
    check_keys({"weight", "stages", "expert", "unclipped"}, values)
    stages = tuple(_stage(stage) for stage in _tables("stages", values["stages"]))
    weight = values.get("weight", 1.0)
    _check_number("weight", weight)
    if not stages or not 0 < weight < math.inf:
        raise ConfigError("a [[noise]] needs a stage, and a weight above 0")
    _check_value("expert", values.get("expert", ""), str)
    unclipped = values.get("unclipped", 0.0)
    _check_number("unclipped", unclipped)
    if not 0 <= unclipped <= 1:
        raise ConfigError("unclipped is a share of a [[noise]]'s pictures, from 0 to 1")
    return Component(float(weight), stages, values.get("expert", ""), float(unclipped))


def _stage(values: Mapping[str, Any]) -> Stage:
    kind = values["kind"]
    _check_value("kind", kind, str)
    if kind in PRESETS:
        check_keys({"kind"}, values)
        preset = PRESETS[kind]
        ranges = {p.name: (getattr(preset, p.name),) * 2 for p in preset.parameters}
        return Stage(preset.id, ranges)
    parameters = {p.name: p for p in noise_kind(kind).parameters}
    ranges = {}
    for name, value in values.items():
        if name == "kind":
            continue
        if name not in parameters:
            raise ConfigError(f"{kind} has no parameter {name!r}")
        ends = value if isinstance(value, list) else [value, value]
        if len(ends) != 2:
            raise ConfigError(
                f"{kind}: the range of {name} must be two numbers, as in [0.1, 0.3], not {value!r}"
            )
        low, high = ends
        for end in ends:
            _check_number(f"{kind}: {name}", end)
        parameters[name].check(low)
        parameters[name].check(high)
        if low > high:
            raise ConfigError(f"{kind}: the range of {name} ends before it starts")
        ranges[name] = (float(low), float(high))
    return Stage(kind, ranges)


def build_checked(kind: type[T], values: Mapping[str, Any]) -> T:
    """Make a dataclass of what a TOML table says.

    Raises:
        ConfigError: A key is missing or unknown, or a value of the wrong type or out of range.
    """
    check_keys({f.name for f in fields(kind)}, values)  # type: ignore[arg-type]
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if name in values:
            _check_value(name, values[name], hint)
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(str(error).replace(".__init__()", "")) from None


def check_keys(known: set[str], values: Mapping[str, Any]) -> None:
    """Raise ConfigError, naming them, where there are other keys than the known ones."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"a table of settings is wanted, not {values!r}")
    unknown = set(values) - known
    if unknown:
        raise ConfigError(f"Unknown setting {', '.join(sorted(unknown))}")


def _check_id(name: str, value: str, *, empty: bool) -> None:
    """Raise ConfigError where a model's id is none: it names folders and a repository on the Hub."""
    if empty and not value:
        return
    if len(value) > 80 or value == EMOTION_CONFIG.stem or not _ID.fullmatch(value):
        raise ConfigError(
            f"{name} must be letters and digits with single '-', '_' or '.' between them, at most 80, "
            f"and not {EMOTION_CONFIG.stem!r}, which is the classifier's folder; it is {value!r}"
        )


def _tables(name: str, values: Any) -> list[Mapping[str, Any]]:
    """Raise ConfigError where something else stands for an array of tables."""
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise ConfigError(f"{name} must be an array of tables, not {values!r}")
    return values


def _check_number(name: str, value: Any) -> None:
    """Raise ConfigError where something else stands in a number's place."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name} must be a number, not {value!r}")


def _check_value(name: str, value: Any, hint: Any) -> None:
    """Raise ConfigError where a word, number or choice is something else, or a number out of range."""
    limits = Between()
    if get_origin(hint) is Annotated:
        hint, limits = get_args(hint)
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    if choices and value not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    accepted: dict[Any, Any] = {str: str, bool: bool, int: int, float: (int, float)}
    if (get_origin(hint) or hint) is Mapping and not isinstance(value, Mapping):
        raise ConfigError(f"{name} must be a table, not {value!r}")
    if get_origin(hint) is tuple and not isinstance(value, list | tuple):
        raise ConfigError(f"{name} must be a list, not {value!r}")
    kinds = accepted.get(hint)
    if kinds is None:
        return
    if not isinstance(value, kinds) or (hint is not bool and isinstance(value, bool)):
        raise ConfigError(f"{name} must be of type {hint.__name__}, not {value!r}")
    if hint in (int, float) and not (limits.least <= value <= limits.most and value < math.inf):
        up = "up" if limits.most == math.inf else f"to {limits.most}"
        raise ConfigError(f"{name} must be a number from {limits.least} {up}, not {value}")
