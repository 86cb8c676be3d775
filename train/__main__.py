"""Command line: ``python -m train fit CONFIG --data PATH``, ``evaluate``, ``push``, and others."""

import argparse
import os
import re
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

from denoiser.analysis.results import METRICS_NAME
from denoiser.faces.download import DEFAULT_DATASET, locate_fer2013
from denoiser.faces.fer2013 import FaceDataError, Split, find_fer2013
from denoiser.weights.checkpoint import CONFIG_NAME, NAMESPACE_VARIABLE, WEIGHTS, WeightsError
from denoiser.weights.files import write_together
from train.config import EMOTION_CONFIG, ConfigError, read_config
from train.export import ExportError, export_onnx
from train.publish.cards import FiguresError, write_card
from train.publish.hub import PushError
from train.publish.models import push
from train.publish.space import HARDWARE, ROOT, publish_space
from train.runs import RunError, trial_places

_STARTED = time.monotonic()
_SIZES = range(32, 257, 8)  # pixels, that own faces may be brought to
_EXPORT_HELP = "where to export to (weights/; of a trial or of own faces, RUNS/trials/weights)"
_ALL_EXPORT_HELP = "where to export the models (weights/; of own faces, RUNS/trials/weights)"
_OUTPUT_HELP = "write the results into this folder, and leave all that is on file alone"


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code.

    That is 0 for success, 2 for options that make no sense, 143 and 130 for a run that was stopped by
    SIGTERM or Ctrl-C, and 1 for any other failure; each failure says one sentence.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except RunError as error:
        print(f"train: {error}", file=sys.stderr)
        return error.exit_code
    except (ConfigError, ExportError, FaceDataError, FiguresError, PushError, WeightsError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.filename is None:  # not about a file: nothing that a sentence could explain
            raise
        print(f"train: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1


def _fit(options: argparse.Namespace) -> int:
    from train.fit import fit  # here: importing Lightning takes seconds, and --help should not
    from train.own_faces import is_own_faces

    data = _data(options.data)
    is_trial = options.max_time is not None or is_own_faces(data)
    runs, weights = trial_places(options.runs, options.weights, options.limit, is_trial)
    folder = fit(
        read_config(options.config),
        data,
        runs=runs,
        weights=weights,
        start_weights=options.start_weights or options.weights or WEIGHTS,
        resume=options.resume,
        max_time=options.max_time,
        budget=_left(options.budget),
        engine=options.engine,
        limit=options.limit,
        size=options.size,
        split_seed=options.split_seed,
        loggers=_loggers(options),
        accelerator=options.accelerator,
        devices=int(options.devices) if options.devices.isdecimal() else options.devices,
        num_nodes=options.num_nodes,
        precision=options.precision,
        strategy=options.strategy,
    )
    if folder is not None:
        print(f"Exported to {folder}")
    return 0


def _find_rate(options: argparse.Namespace) -> int:
    from train.data import FaceData
    from train.rates import describe_rate, find_rate

    config = read_config(options.config)
    data = _data(options.data)
    curve = find_rate(
        config,
        FaceData(data, config, options.limit, options.size, options.split_seed),
        runs=options.runs,
        weights=options.weights,
        steps=options.steps,
        accelerator=options.accelerator,
        devices=1,
    )
    print(describe_rate(curve, config, options.runs))
    return 0


def _left(budget: timedelta | None) -> timedelta | None:
    """What is left of a budget: it counts from the program's start, which took some of it."""
    if budget is None:
        return None
    return max(budget - timedelta(seconds=time.monotonic() - _STARTED), timedelta(seconds=1))


def _loggers(options: argparse.Namespace) -> tuple[str, ...]:
    """The loggers that were asked for, one by one or as a list with commas, each once."""
    named = (name.strip() for text in options.logger for name in text.split(","))
    return tuple(dict.fromkeys(name for name in named if name))


def _all(options: argparse.Namespace) -> int:
    from train.data import PREPARED
    from train.logs import check_loggers
    from train.own_faces import is_own_faces
    from train.recipe.run import follow_up, read_recipe, train_all

    loggers = _loggers(options)
    check_loggers(loggers)
    steps = [s for s in read_recipe() if not options.only or s.config in options.only]
    unknown = set(options.only or ()) - {step.config for step in steps}
    if unknown:
        raise ConfigError(f"the recipe has no {', '.join(sorted(unknown))}")
    if options.colour_data is None:
        left_out = [step.config for step in steps if step.sees_colour]
        steps = [step for step in steps if not step.sees_colour]
        if left_out:
            print(f"Left out, without --colour-data: {', '.join(left_out)}", flush=True)
    fit_options = ["--accelerator", options.accelerator, "--devices", options.devices]
    fit_options += ["--precision", options.precision, "--engine", options.engine]
    fit_options += ["--limit", str(options.limit)] if options.limit else []
    fit_options += ["--logger", ",".join(loggers)] if loggers else []
    data = _data(options.data)
    _, weights = trial_places(options.runs, options.weights, 0, is_own_faces(data))
    failed = train_all(
        steps,
        data,
        runs=options.runs,
        weights=weights,
        budget=options.budget,
        jobs=options.jobs,
        colour_data=options.colour_data,
        size=options.size,
        split_seed=options.split_seed or 0,
        options=fit_options,
    )
    if failed:
        raise ConfigError(f"not trained: {', '.join(failed)}; see the logs in {options.runs / 'all'}")
    if options.limit or weights != WEIGHTS or data.suffix == PREPARED:
        return 0  # a trial, or without the test pictures
    ids = [read_config(step.path).id for step in steps]
    return 0 if follow_up(ids, data, options.runs, options.colour_data) else 1


def _scoring_data(options: argparse.Namespace, *splits: Split) -> Path:
    """Find the pictures for scoring the models that are here; of the Hub, these splits."""
    _check_own_weights()
    return _data(options.data, *splits)


def _check_own_weights() -> None:
    """Raise ConfigError where the Hub's models would be scored for those that are here."""
    if os.environ.get(NAMESPACE_VARIABLE):
        raise ConfigError(f"evaluation scores the models in weights/; unset {NAMESPACE_VARIABLE} for it")


def _evaluate(options: argparse.Namespace) -> int:
    from train.evaluation.score import evaluate

    evaluate(
        _scoring_data(options, "test"),
        cache=options.cache,
        workers=options.workers,
        limit=options.limit,
        only=options.denoisers,
        noises=options.noises,
        output=options.output,
    )
    return 0


def _emotion(options: argparse.Namespace) -> int:
    from train.emotion.fit import fit_emotion, read_emotion_config

    is_trial = options.max_time is not None
    runs, weights = trial_places(options.runs, options.weights, options.limit, is_trial)
    folder = fit_emotion(
        read_emotion_config(options.config),
        _data(options.data),
        runs=runs,
        weights=weights,
        resume=options.resume,
        max_time=options.max_time,
        limit=options.limit,
        accelerator=options.accelerator,
        devices=1,
    )
    print(f"Exported to {folder}")
    return 0


def _evaluate_emotion(options: argparse.Namespace) -> int:
    from train.emotion.evaluate import evaluate_emotion

    evaluate_emotion(
        _scoring_data(options, "test"),
        cache=options.cache,
        workers=options.workers,
        limit=options.limit,
        only=options.denoisers,
        weights=options.weights,
        output=options.output,
    )
    return 0


def _evaluate_realism(options: argparse.Namespace) -> int:
    from train.evaluation.score_realism import evaluate_realism

    evaluate_realism(
        _scoring_data(options, "train", options.split),
        split=options.split,
        weights=options.weights,
        cache=options.cache,
        workers=options.workers,
        only=options.denoisers,
        noises=options.noises,
        output=options.output,
    )
    return 0


def _evaluate_samples(options: argparse.Namespace) -> int:
    from train.evaluation.score_samples import evaluate_samples

    evaluate_samples(
        _scoring_data(options, "test"),
        cache=options.cache,
        workers=options.workers,
        limit=options.limit,
        output=options.output,
    )
    return 0


def _evaluate_colour(options: argparse.Namespace) -> int:
    from train.evaluation.score_colour import evaluate_colour

    _check_own_weights()
    evaluate_colour(
        options.data,
        cache=options.cache,
        workers=options.workers,
        limit=options.limit,
        only=options.denoisers,
        noises=options.noises,
        output=options.output,
    )
    return 0


def _evaluate_unknown_noise(options: argparse.Namespace) -> int:
    from train.evaluation.score_unknown_noise import evaluate_unknown_noise

    evaluate_unknown_noise(
        _scoring_data(options, "validation"),
        options.colour_data,
        limit=options.limit,
        output=options.output,
    )
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from train.ablation.run import run_sweep

    run_sweep(
        options.file,
        _data(options.data),
        cache=options.cache,
        weights=options.weights,
        output=options.output,
        workers=options.workers,
        limit=options.limit,
        engine=options.engine,
        accelerator=options.accelerator,
        precision=options.precision,
    )
    return 0


def _push(options: argparse.Namespace) -> int:
    push(
        options.namespace,
        options.models,
        private=options.private,
        dry_run=options.dry_run,
        weights=options.weights,
        tell=partial(print, flush=True),  # in step with the progress bars
    )
    return 0


def _export(options: argparse.Namespace) -> int:
    for model_id in options.models:
        # Only one so far; --format is asked for, so that another changes nobody's command.
        data = export_onnx(model_id, options.weights)
        write_together(options.output, {f"{model_id}.onnx": data})
        print(options.output / f"{model_id}.onnx", flush=True)
    return 0


def _publish_space(options: argparse.Namespace) -> int:
    publish_space(
        options.repo,
        private=options.private,
        dry_run=options.dry_run,
        hardware=options.hardware,
        root=options.root,
        tell=partial(print, flush=True),
    )
    return 0


def _cards(options: argparse.Namespace) -> int:
    for path in sorted(options.weights.glob(f"*/{METRICS_NAME}")):
        if (path.parent / CONFIG_NAME).exists():  # the emotion classifier is no denoiser: it has none
            print(write_card(path.parent.name, options.weights))
    return 0


def _data(place: str | None, *splits: Split) -> Path:
    """Return where FER2013 lies here; of the Hub, only these splits are fetched, or all for none."""
    if place is not None:
        return locate_fer2013(place, *splits)
    path = find_fer2013()
    if path is None:
        raise FaceDataError(
            "FER2013 isn't here: give its place with --data PATH or FER2013_PATH, or fetch it from the "
            f"Hugging Face Hub with --data {DEFAULT_DATASET}"
        )
    return path


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d)", text)
    if not match:
        raise argparse.ArgumentTypeError("write it as HH:MM:SS, such as 01:30:00")
    hours, minutes, seconds = map(int, match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _budget(text: str) -> timedelta:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not match or float(match[1]) == 0:
        raise argparse.ArgumentTypeError("write it as a number and s, m or h, such as 90s, 10m or 2h")
    return timedelta(seconds=float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]])


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError("write a whole number from 1 up")
    return int(text)


def _size(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) not in _SIZES:
        ends = f"{_SIZES[0]} to {_SIZES[-1]}"
        raise argparse.ArgumentTypeError(f"write a multiple of {_SIZES.step} from {ends}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError("write a whole number from 0 up")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="train one model and export its weights")
    fit.add_argument("config", type=Path, help="a file in train/configs")
    fit.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    fit.add_argument("--max-time", type=_duration, help="stop after HH:MM:SS and export the best")
    fit.add_argument("--budget", type=_budget, help="train for so long, such as 90s, 10m or 2h")
    fit.add_argument("--runs", type=Path, default=Path("runs"), help="checkpoints and logs")
    fit.add_argument("--limit", type=_count, default=0, help="use only so many training pictures")
    fit.add_argument("--accelerator", default="auto", help="as Lightning's Trainer takes it")
    fit.add_argument("--devices", default="auto", help="likewise")
    fit.add_argument("--num-nodes", type=_count, default=1, help="likewise")
    fit.add_argument("--strategy", default="auto", help="likewise")
    fit.add_argument("--weights", type=Path, help=_EXPORT_HELP)
    fit.add_argument("--start-weights", type=Path, help="where the model to start from is, if not there")
    fit.set_defaults(run=_fit)

    rate = commands.add_parser("find-rate", help="suggest a config's learning rate")
    rate.add_argument("config", type=Path, help="a file in train/configs")
    rate.add_argument("--steps", type=_count, default=200, help="rates to try, a batch each (200)")
    rate.add_argument("--runs", type=Path, default=Path("runs"), help="where the curve goes")
    rate.add_argument("--limit", type=_count, default=0, help="use only so many training pictures")
    rate.add_argument("--accelerator", default="auto", help="as Lightning's Trainer takes it")
    rate.add_argument("--weights", type=Path, default=WEIGHTS, help="where a model to start from is")
    rate.set_defaults(run=_find_rate)

    everything = commands.add_parser("all", help="train all that ships, in the recipe's order")
    everything.add_argument("--only", nargs="+", metavar="CONFIG", help="only these steps of the recipe")
    everything.add_argument("--budget", type=_budget, help="time for all of it, such as 10m or 8h")
    everything.add_argument(
        "--colour-data", type=Path, help="folder of colour faces, for the networks for colour"
    )
    everything.add_argument("--jobs", type=_count, default=1, help="training runs at once")
    everything.add_argument("--runs", type=Path, default=Path("runs"), help="checkpoints and logs")
    everything.add_argument("--weights", type=Path, help=_ALL_EXPORT_HELP)
    everything.add_argument("--limit", type=_count, default=0, help="use only so many training pictures")
    everything.add_argument("--accelerator", default="auto", help="as Lightning's Trainer takes it")
    everything.add_argument("--devices", default="auto", help="likewise")
    everything.set_defaults(run=_all)

    evaluate = commands.add_parser("evaluate", help="score every denoiser on the test split")
    evaluate.add_argument("--denoisers", nargs="+", help="only these; the others keep their figures")
    evaluate.add_argument("--noises", nargs="+", help="likewise, such as gaussian-25 or jpeg-10")
    evaluate.add_argument("--workers", type=_count, default=None, help="processes (all cores)")
    evaluate.add_argument("--limit", type=_count, default=0, help="only so many test pictures (a trial)")
    evaluate.add_argument("--cache", type=Path, default=Path("runs/evaluate"), help="for resuming")
    evaluate.add_argument("--output", type=Path, help=_OUTPUT_HELP)
    evaluate.set_defaults(run=_evaluate)

    emotion = commands.add_parser("emotion", help="train the emotion classifier and test it")
    emotion.add_argument(
        "--config", type=Path, default=EMOTION_CONFIG, help="train/emotion/emotion.toml"
    )
    emotion.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    emotion.add_argument("--max-time", type=_duration, help="stop after HH:MM:SS and export the best")
    emotion.add_argument("--runs", type=Path, default=Path("runs"), help="checkpoints and logs")
    emotion.add_argument("--limit", type=_count, default=0, help="use only so many training pictures")
    emotion.add_argument("--accelerator", default="auto", help="as Lightning's Trainer takes it")
    emotion.add_argument("--weights", type=Path, help=_EXPORT_HELP)
    emotion.set_defaults(run=_emotion)

    reading = commands.add_parser(
        "evaluate-emotion", help="score how the classifier reads denoised faces"
    )
    reading.add_argument("--denoisers", nargs="+", help="only these; the others keep their figures")
    reading.add_argument("--workers", type=_count, default=None, help="processes (all cores)")
    reading.add_argument("--limit", type=_count, default=0, help="only so many test pictures (a trial)")
    reading.add_argument(
        "--cache", type=Path, default=Path("runs/evaluate-emotion"), help="for resuming"
    )
    reading.add_argument("--weights", type=Path, default=WEIGHTS, help="where the classifier is")
    reading.add_argument("--output", type=Path, help=_OUTPUT_HELP)
    reading.set_defaults(run=_evaluate_emotion)

    realism = commands.add_parser(
        "evaluate-realism", help="score how like photographs denoised faces are"
    )
    realism.add_argument("--denoisers", nargs="+", help="only these; the others keep their figures")
    realism.add_argument("--noises", nargs="+", help="likewise, such as gaussian-25 or jpeg-10")
    realism.add_argument(
        "--split",
        choices=("test", "validation"),
        default="test",
        help="validation, to choose between models: prints the figures and writes none",
    )
    realism.add_argument(
        "--weights", type=Path, default=WEIGHTS, help="where other models are: prints the figures only"
    )
    realism.add_argument("--workers", type=_count, default=None, help="processes (all cores)")
    realism.add_argument(
        "--cache", type=Path, default=Path("runs/evaluate-realism"), help="for resuming"
    )
    realism.add_argument("--output", type=Path, help=_OUTPUT_HELP)
    realism.set_defaults(run=_evaluate_realism)

    samples = commands.add_parser("evaluate-samples", help="score the draws of methods that draw")
    samples.add_argument("--workers", type=_count, default=None, help="processes (all cores)")
    samples.add_argument("--limit", type=_count, default=0, help="only so many pictures (a trial)")
    samples.add_argument(
        "--cache", type=Path, default=Path("runs/evaluate-samples"), help="for resuming"
    )
    samples.add_argument("--output", type=Path, help=_OUTPUT_HELP)
    samples.set_defaults(run=_evaluate_samples)

    colour = commands.add_parser("evaluate-colour", help="score denoisers on faces in colour")
    colour.add_argument("--data", type=Path, required=True, help="folder of colour faces")
    colour.add_argument("--denoisers", nargs="+", help="only these; the others keep their figures")
    colour.add_argument("--noises", nargs="+", help="likewise, such as gaussian-25")
    colour.add_argument("--workers", type=_count, default=None, help="processes (all cores)")
    colour.add_argument("--limit", type=_count, default=0, help="only so many pictures (a trial)")
    colour.add_argument("--cache", type=Path, default=Path("runs/evaluate-colour"), help="for resuming")
    colour.add_argument("--output", type=Path, help=_OUTPUT_HELP)
    colour.set_defaults(run=_evaluate_colour)

    unknown = commands.add_parser(
        "evaluate-unknown-noise", help="measure what is said of noise without the clean picture"
    )
    unknown.add_argument("--colour-data", type=Path, required=True, help="folder of colour faces")
    unknown.add_argument("--limit", type=_count, default=0, help="only so many pictures (a trial)")
    unknown.add_argument("--output", type=Path, help=_OUTPUT_HELP)
    unknown.set_defaults(run=_evaluate_unknown_noise)

    sweep = commands.add_parser("sweep", help="compare variants of a config on a small budget")
    sweep.add_argument(
        "file", type=Path, help="a file in train/ablation/studies; the results go beside it"
    )
    sweep.add_argument("--workers", type=_count, default=1, help="variants to train at once")
    sweep.add_argument(
        "--limit", type=_count, default=0, help="only so many pictures, one epoch (a trial)"
    )
    sweep.add_argument("--cache", type=Path, default=Path("runs/sweeps"), help="for resuming")
    sweep.add_argument("--accelerator", default="auto", help="as Lightning's Trainer takes it")
    sweep.add_argument("--weights", type=Path, default=WEIGHTS, help="where models to start from are")
    sweep.add_argument("--output", type=Path, help="where the results go, if not beside the file")
    sweep.set_defaults(run=_sweep)

    publish = commands.add_parser("push", help="publish the models on the Hugging Face Hub")
    publish.add_argument("--namespace", required=True, help="user or organization on the Hub")
    publish.add_argument("--models", nargs="+", metavar="ID", help="only these (all in the folder)")
    publish.add_argument("--private", action="store_true", help="make new repositories private")
    publish.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    publish.add_argument("--weights", type=Path, default=WEIGHTS, help="where the models are")
    publish.set_defaults(run=_push)

    export = commands.add_parser("export", help="write models as files for other programs")
    export.add_argument("models", nargs="+", metavar="ID", help="the models' folders")
    export.add_argument("--format", choices=("onnx",), required=True, help="of the files")
    export.add_argument("-o", "--output", type=Path, required=True, help="folder for ID.onnx")
    export.add_argument("--weights", type=Path, default=WEIGHTS, help="where the models are")
    export.set_defaults(run=_export)

    space = commands.add_parser("publish-space", help="publish the app as a Space on the Hub")
    space.add_argument("--repo", required=True, metavar="NAME/SPACE", help="the Space")
    space.add_argument("--private", action="store_true", help="make a new Space private")
    space.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    space.add_argument(
        "--hardware",
        choices=HARDWARE,
        default=HARDWARE[0],
        help="of a new Space: ZeroGPU (the default), or a plain processor, which the Hub gives to "
        "subscribers only",
    )
    space.add_argument("--root", type=Path, default=ROOT, help="where the app is")
    space.set_defaults(run=_publish_space)

    cards = commands.add_parser("cards", help="write the model cards anew, from the files beside them")
    cards.add_argument("--weights", type=Path, default=WEIGHTS, help="where the models are")
    cards.set_defaults(run=_cards)

    for command in (fit, everything, sweep):
        command.add_argument(
            "--engine",
            choices=("plain", "compile", "graphs"),
            default="plain",
            help="how networks run: as they are, compiled by PyTorch, or recorded as CUDA graphs",
        )
        command.add_argument("--precision", default="32-true", help="as Lightning's Trainer takes it")

    for command in (fit, everything):
        command.add_argument(
            "--logger",
            action="append",
            default=[],
            metavar="NAME",
            help="curves and sample pictures also to tensorboard or wandb (both: with a comma)",
        )

    for command in (fit, rate, everything):
        command.add_argument(
            "--size", type=_size, help="height and width of own faces, in pixels (48)", metavar="PIXELS"
        )
        command.add_argument(
            "--split-seed", type=_seed, help="of the random split of own faces", metavar="NUMBER"
        )

    for command in (fit, rate, everything, evaluate, emotion, reading, realism, samples, unknown, sweep):
        command.add_argument(
            "--data",
            help="FER2013: folder of parquets, csv, folder of images, or a dataset's id on the Hub"
            + (
                "; or a folder of colour faces, or of any pictures"
                if command in (fit, rate, everything)
                else ""
            ),
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
