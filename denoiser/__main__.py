"""Command line: ``python -m denoiser denoise``, whole photographs; ``compare``; and ``score``."""

import argparse
import csv
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from denoiser.analysis.contact_sheet import contact_sheet_png
from denoiser.analysis.results import SUMMARY_NOISES, ResultsError
from denoiser.analysis.scoring import RIVALS, score
from denoiser.denoisers.base import Denoiser
from denoiser.denoisers.callables import OwnDenoiserError
from denoiser.denoisers.plugins import DEFAULT_FUNCTION, parse_file_function, register_packages
from denoiser.denoisers.registry import DEFAULT_DENOISERS, create_denoiser, list_denoisers
from denoiser.faces.fer2013 import FaceDataError
from denoiser.faces.samples import BUNDLED
from denoiser.images import ImageError, load_image, read_photo, write_photo
from denoiser.images.loading import PICTURE_ENDINGS, is_picture
from denoiser.metrics import score_pixels
from denoiser.noise import NoiseModel, create_noise, list_noises, noise_kind
from denoiser.pipeline import compare, denoise
from denoiser.weights.checkpoint import WeightsError

COLUMNS = (
    "file",
    "output",
    "method",
    "seconds",
    "sigma",
    "sigma_source",
    "psnr_noisy",
    "psnr",
    "ssim_noisy",
    "ssim",
)
"""What ``denoise`` says of every file: sigma of 255, PSNR in dB; scores only with ``--compare``."""

_BAR = 30  # characters
_SHEET_SIDE = 512  # pixels, of the largest face on a contact sheet


class UsageError(Exception):
    """Options that make no sense; the message is one sentence."""


@dataclass(frozen=True)
class Job:
    """A photo to denoise.

    Attributes:
        source: Its file.
        target: Where the result goes.
        clean: The clean picture's file, if there is one to compare with.
    """

    source: Path
    target: Path
    clean: Path | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code.

    That is 0 for success, 1 if a file could not be read, denoised or written, 2 for options that make no
    sense, and 130 after Ctrl-C. Each failure says one sentence.
    """
    for sentence in register_packages():
        _say(sentence)
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders' own, about files
            return options.run(options)
    except UsageError as error:
        _say(str(error))
        return 2
    except (ImageError, OwnDenoiserError, FaceDataError, ResultsError, WeightsError, OSError) as error:
        _say(_sentence(error))
        return 1
    except KeyboardInterrupt:
        _say("stopped")
        return 130


def _denoise(options: argparse.Namespace) -> int:
    jobs = list_jobs(options.photo, options.output, options.compare)
    method = create_denoiser(options.method)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    failed = False
    for number, job in enumerate(jobs, 1):
        bar = _ProgressBar(f"{number}/{len(jobs)} {job.source.name}")
        try:
            row = _denoise_file(job, method, options, bar)
        except (ValueError, OSError, MemoryError) as error:
            failed = True
            bar.clear()
            _say(f"{job.source.name}: {_sentence(error)}")
        else:
            bar.clear()
            writer.writerow(row)
            sys.stdout.flush()
    return 1 if failed else 0


def _denoise_file(
    job: Job, method: Denoiser, options: argparse.Namespace, bar: "_ProgressBar"
) -> list[str]:
    noisy = read_photo(job.source)
    clean = None if job.clean is None else read_photo(job.clean)
    sigma = None if options.sigma is None else options.sigma / 255
    result = denoise(noisy, method, sigma=sigma, clean=clean, threads=options.threads, progress=bar.show)
    before = (None, None) if clean is None else score_pixels(noisy.pixels, clean.pixels)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    write_photo(result.photo, job.target, options.bits)
    used = result.sigma
    numbers = [before[0], result.psnr, before[1], result.ssim]
    return [
        str(job.source),
        str(job.target),
        result.id,
        f"{result.milliseconds / 1000:.1f}",
        "" if used.value is None else f"{255 * used.value:.2f}",
        used.source,
        *("" if number is None else f"{number:.4f}" for number in numbers),
    ]


def list_jobs(source: Path, output: Path, clean: Path | None) -> list[Job]:
    """Say what is to be made of what.

    Args:
        source: A photo, or a folder of them.
        output: A PNG file, if ``source`` is no folder; or a folder.
        clean: What to compare with: a file for a file, a folder for a folder, with the same names but
            for their endings.

    Raises:
        UsageError: There is nothing to do, or a result would take the place of a photo.
    """
    if source.is_dir():
        sources = sorted(p for p in source.iterdir() if is_picture(p))
        if not sources:
            raise UsageError(f"there is no picture in the folder {source}")
    else:
        sources = [source]
    if source.is_dir() and (output.is_file() or _names_a_file(output)):
        raise UsageError("what is made of a folder goes into a folder: -o has to name one")
    if clean is not None and clean.is_dir() != source.is_dir():
        raise UsageError("--compare takes a file for a file, and a folder for a folder")
    if not output.is_dir() and _names_a_file(output):
        if output.suffix.lower() != ".png":
            raise UsageError("results are PNG files: -o has to end in .png, or to name a folder")
        targets = [output]
    else:
        targets = [output / name for name in _result_names(sources)]
    jobs = [
        Job(photo, target, _find_clean(photo, clean))
        for photo, target in zip(sources, targets, strict=True)
    ]
    taken = {path.resolve() for job in jobs for path in (job.source, job.clean) if path is not None}
    for job in jobs:
        if job.target.resolve() in taken or any(_is_same(job.target, path) for path in taken):
            raise UsageError(f"{job.target} would be overwritten; choose another place with -o")
    return jobs


def _names_a_file(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_ENDINGS


def _result_names(sources: Sequence[Path]) -> list[str]:
    """Name the results as the photos, or, where two differ in their endings only, with these."""
    count = Counter(path.stem.lower() for path in sources)
    return [f"{p.stem if count[p.stem.lower()] == 1 else p.name}.png" for p in sources]


def _find_clean(photo: Path, clean: Path | None) -> Path | None:
    """Return the clean picture of a photo; one that is missing fails once it is to be read."""
    if clean is None or not clean.is_dir():
        return clean
    same = clean / photo.name
    others = (p for p in sorted(clean.iterdir()) if p.stem == photo.stem and is_picture(p))
    return same if same.is_file() else next(others, same)


def _is_same(one: Path, other: Path) -> bool:
    """Tell whether two names are of one file, by a link or where case does not count."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _compare(options: argparse.Namespace) -> int:
    if options.output.suffix.lower() != ".png":
        raise UsageError("the sheet is a PNG file: -o has to end in .png")
    if _is_same(options.output, options.picture):
        raise UsageError(f"{options.output} would be overwritten; choose another place with -o")
    noise = _parse_noise(options.noise)
    clean = load_image(options.picture, options.size, crop_face=True, gray=not options.colour)
    comparison = compare(clean, noise, options.seed, list(dict.fromkeys(options.methods)))
    sheet = contact_sheet_png(comparison, options.picture.name, errors=True)
    options.output.write_bytes(sheet)
    for result in (comparison.noisy, *comparison.values()):
        print(f"{result.id}: {result.psnr:.2f} dB, SSIM {result.ssim:.3f}")
    return 0


def _score(options: argparse.Namespace) -> int:
    noises = [_parse_condition(text) for text in options.noise]
    function = parse_file_function(options.function)
    bar = _ProgressBar(f"{function.path.name}:{function.name}")
    try:
        table = score(
            function,
            noises,
            faces=options.faces,
            first=options.first,
            rivals=options.rivals,
            seed=options.seed,
            workers=options.workers,
            progress=bar.show,
        )
    except (OwnDenoiserError, FaceDataError):
        raise
    except ValueError as error:  # an option's
        raise UsageError(str(error)) from error
    finally:
        bar.clear()
    if options.csv is not None:
        table.to_csv(options.csv)
    if options.markdown is not None:
        options.markdown.write_text(table.to_markdown(), encoding="utf-8")
    print(table.to_markdown(), end="")
    return 0


def _parse_condition(text: str) -> str | NoiseModel:
    """Return the key of a noise of the benchmark, or the noise of ``"ID NAME=VALUE ..."``."""
    return _parse_noise(text.split()) if "=" in text else text


def _parse_noise(words: Sequence[str]) -> NoiseModel:
    """Return the noise of ``ID NAME=VALUE ...``, with values in the units that the page shows.

    Raises:
        UsageError: There is no such noise or parameter, or a value is out of range.
    """
    noise_id, *settings = words
    try:
        if not settings:
            return create_noise(noise_id)
        known = {parameter.name: parameter for parameter in noise_kind(noise_id).parameters}
        values = {}
        for setting in settings:
            name, _, value = setting.partition("=")
            if name not in known:
                raise ValueError(f"{noise_id} has no parameter {name!r}; it takes {', '.join(known)}")
            values[name] = float(value) / known[name].scale
        return create_noise(noise_id, **values)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _sentence(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)


def _say(sentence: str) -> None:
    print(f"denoiser: {sentence}", file=sys.stderr)


class _ProgressBar:
    """A line on a terminal that shows how far a file is; nothing where nobody looks."""

    def __init__(self, name: str):
        self.name = name
        self.is_shown = sys.stderr.isatty()
        self.start = time.monotonic()

    def show(self, share: float) -> None:
        """Draw it."""
        if self.is_shown:
            left = (time.monotonic() - self.start) * (1 - share) / share
            bar = "#" * round(_BAR * share)
            line = f"\r\033[K[{bar:<{_BAR}}] {share:4.0%}, {left:.0f} s left: {self.name}"
            print(line, end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take it away."""
        if self.is_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m denoiser", description="Denoise whole photographs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    methods = list_denoisers(colour=True)

    photo = commands.add_parser(
        "denoise",
        help="denoise a photo, or a folder of them",
        description="Denoise a photo, or all photos of a folder, to PNG files that keep the ICC profile "
        "and, of the EXIF data, what tells no place and no owner. Prints one line of CSV for each.",
    )
    photo.add_argument("photo", type=Path, metavar="PHOTO_OR_FOLDER", help="at most 25 megapixels each")
    photo.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="file or folder")
    photo.add_argument("--method", required=True, choices=methods, metavar="ID")
    photo.add_argument(
        "--sigma", type=_sigma, metavar="N", help="strength of the noise, of 255; else it is estimated"
    )
    photo.add_argument(
        "--compare", type=Path, metavar="CLEAN", help="the clean photo, or a folder of them, to score by"
    )
    photo.add_argument("--bits", type=int, choices=(8, 16), help="of the result; else the photo's")
    photo.add_argument(
        "--threads",
        type=_positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="all cores by default",
    )
    photo.set_defaults(run=_denoise)

    sheet = commands.add_parser(
        "compare",
        help="compare methods on a contact sheet",
        description="Cut the face out of a picture, add noise, denoise it with several methods, and put "
        "all on one sheet with PSNR, SSIM and errors.",
    )
    sheet.add_argument("picture", type=Path, metavar="PICTURE")
    sheet.add_argument("-o", "--output", type=Path, required=True, metavar="SHEET.png")
    sheet.add_argument(
        "--noise",
        nargs="+",
        default=["gaussian"],
        metavar=("ID", "NAME=VALUE"),
        help=f"{', '.join(list_noises())}; values in the page's units, such as gaussian sigma=25",
    )
    sheet.add_argument("--seed", type=_seed, default=0, metavar="N")
    sheet.add_argument(
        "--methods",
        nargs="+",
        choices=methods,
        default=DEFAULT_DENOISERS,
        metavar="ID",
    )
    sheet.add_argument("--size", type=_size, default=48, metavar="N", help="pixels of the face's sides")
    sheet.add_argument("--colour", action="store_true", help="not in gray")
    sheet.set_defaults(run=_compare)

    own = commands.add_parser(
        "score",
        help="score a function of your own",
        description="Score a function, noisy picture to denoised picture, on faces with fixed noise, "
        "beside the methods that are here. Prints a Markdown table, and what the function is better and "
        "worse than. The file is run, with all that it may do.",
    )
    own.add_argument("function", metavar="FILE.py:FUNCTION", help=f"{DEFAULT_FUNCTION} by default")
    own.add_argument(
        "--noise",
        nargs="+",
        default=SUMMARY_NOISES,
        metavar="NOISE",
        help="of the benchmark, such as gaussian-25, or one in quotes with values in the page's units, "
        "such as 'gaussian sigma=40'; by default those of the README's table",
    )
    own.add_argument(
        "--faces",
        metavar="FACES",
        help=f"a folder of pictures, where FER2013 lies, or '{BUNDLED}'; by default FER2013's test "
        "split where it is at hand, else the bundled faces",
    )
    own.add_argument("--first", type=_count, metavar="N", help="only so many of the faces")
    own.add_argument("--seed", type=_seed, default=0, metavar="N", help="other noise than everybody's")
    own.add_argument(
        "--rivals",
        nargs="+",
        choices=methods,
        metavar="ID",
        help="methods to run on the same pictures; by default all with committed figures of these "
        f"pictures, or else {', '.join(RIVALS)}",
    )
    own.add_argument("--csv", type=Path, metavar="FILE", help="where to write all numbers")
    own.add_argument("--markdown", type=Path, metavar="FILE", help="where to write what is printed")
    own.add_argument(
        "--workers", type=_positive, metavar="N", help="processes; as many as there are cores by default"
    )
    own.set_defaults(run=_score)
    return parser


def _number_between(text: str, low: float, high: float, kind: type = int) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        what = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"must be {what} from {low:g} to {high:g}, not {text!r}")
    return value


def _sigma(text: str) -> float:
    return _number_between(text, 0, 255, float)


def _count(text: str) -> float:
    return _number_between(text, 2, 10**6)


def _positive(text: str) -> float:
    return _number_between(text, 1, 256)


def _seed(text: str) -> float:
    return _number_between(text, 0, 2**31 - 1)


def _size(text: str) -> float:
    return _number_between(text, 16, _SHEET_SIDE)


if __name__ == "__main__":
    sys.exit(main())
