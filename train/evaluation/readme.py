"""The tables of the README and of ``docs/results.md``: made from the results, put between markers."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from denoiser.analysis.published import NOISES as PUBLISHED_NOISES
from denoiser.analysis.published import PUBLISHED
from denoiser.analysis.results import SUMMARY_NOISES
from train.files import write_whole

ROOT = Path(__file__).parents[2]
README = "README.md"
RESULTS = "docs/results.md"
UNKNOWN_NOISE = "docs/unknown-noise.md"

# Where the reference's published figures and what they mean come from: its loss is a plain mean
# squared error on a scale of width 4, so the true PSNR is 10 log10(16 / loss).
REFERENCE: tuple[tuple[str, str, float, float], ...] = (
    ("Attention U-Net", "gaussian-low", 30.15, 0.0039),
    ("PatchGAN", "gaussian-low", 21.97, 0.0064),
    ("Attention U-Net", "gaussian-high", 23.95, 0.0161),
    ("PatchGAN", "gaussian-high", 15.68, 0.0270),
    ("Attention U-Net", "salt-and-pepper-10", 30.40, 0.0037),
)
"""Model, task, published PSNR, published loss."""

# What answers the reference's row for a model and task.
_OURS: Mapping[str, Sequence[str]] = {
    "Attention U-Net": ("attention-unet.{task}", "attention-unet"),
    "PatchGAN": ("patchgan",),
}

SMALL_AUTOENCODERS: tuple[tuple[str, int, float, float, float, float], ...] = (
    ("single-autoencoder", 36_386, 24.30, 25.99, 27.19, 28.14),
    ("single-autoencoder-separable", 15_760, 24.18, 22.12, 26.78, 27.51),
    ("dual-autoencoder", 87_812, 25.01, 26.88, 28.11, 29.08),
    ("dual-autoencoder-separable", 52_445, 24.65, 22.79, 27.26, 27.91),
    ("dual-skip-autoencoder", 91_488, 24.92, 28.59, 29.52, 30.83),
    ("dual-skip-autoencoder-separable", 56_231, 24.37, 24.27, 27.95, 28.84),
)
"""Reference D: id, published parameters, published PSNR under Gaussian, impulse, speckle, Poisson."""

_SMALL_AUTOENCODER_NOISES = ("gaussian-25", "impulse-30", "speckle-36", "poisson-30")

_HYBRID_NOISES = (
    "gaussian-low",
    "gaussian-25",
    "salt-and-pepper-10",
    "salt-and-pepper-30",
    "salt-and-pepper-40",
    "salt-and-pepper-60",
    "impulse-30",
)

SHOWN = (
    "gaussian-low",
    "gaussian-high",
    "gaussian-25",
    "gaussian-50",
    "salt-and-pepper-10",
    "salt-and-pepper-30",
    "impulse-30",
    "poisson-30",
    "speckle-36",
    "pixel-shuffle-15",
)
"""The noises of the tables, by their keys in the results."""

RESTORATION = (
    "blur-1",
    "blur-1+gaussian-2",
    "jpeg-10",
    "jpeg-20",
    "jpeg-30",
    "occlusion-8",
    "occlusion-8-gray",
    "occlusion-8-grain",
)
"""What is no noise: blur, JPEG and covered squares."""

CHAINS = ("gaussian-15+salt-and-pepper-10", "poisson-30+impulse-10", "gaussian-15+jpeg-30")
"""Two noises one after the other."""

_RESTORATION_METHODS = (
    "noisy",
    "attention-unet",
    "patchgan",
    "autoencoder",
    "residual-unet",
    "median-unet",
    "attention-unet.gaussian-low",
    "attention-unet.gaussian-high",
    "median",
    "bilateral",
    "nl-means",
    "total-variation",
    "wavelet",
)

_SUMMARY_METHODS = (
    "noisy",
    "attention-unet",
    "patchgan",
    "autoencoder",
    "median",
    "residual-unet",
    "median-unet",
    "dual-skip-autoencoder",
    "trimmed-median",
    "nl-means",
)
_SHARP_METHODS = (
    "attention-unet",
    "patchgan",
    "residual-unet",
    "residual-unet-flow",
    "flow-unet",
)


def update_pages(benchmark: Mapping[str, Any], root: Path = ROOT) -> None:
    """Put the tables made from a benchmark between the markers of the README and ``docs/results.md``.

    Args:
        benchmark: What ``benchmark.json`` holds.
        root: The repository, or a folder with these two pages.

    Raises:
        ValueError: A page has no markers for one of its tables; neither is changed.
    """
    pages = {README: {"summary": summary_table(benchmark)}, RESULTS: tables(benchmark)}
    texts = {root / page: _with_tables(root / page, contents) for page, contents in pages.items()}
    for path, text in texts.items():
        write_whole(path, text)


def update_emotion(metrics: Mapping[str, Any], root: Path = ROOT) -> None:
    """Put the emotion classifier's table between the markers of ``docs/results.md``."""
    path = root / RESULTS
    write_whole(path, _with_tables(path, {"emotion": emotion_table(metrics)}))


def update_realism(realism: Mapping[str, Any], root: Path = ROOT) -> None:
    """Put the table of Fréchet distance and detectability between the markers of that page."""
    path = root / RESULTS
    write_whole(path, _with_tables(path, {"realism": realism_table(realism)}))


def update_samples(content: Mapping[str, Any], root: Path = ROOT) -> None:
    """Put the table of what draws score between the markers of that page."""
    path = root / RESULTS
    write_whole(path, _with_tables(path, {"samples": samples_table(content)}))


def update_colour(content: Mapping[str, Any], root: Path = ROOT) -> None:
    """Put the tables of colour faces between the markers of that page."""
    path = root / RESULTS
    write_whole(path, _with_tables(path, {"colour": colour_table(content)}))


def update_unknown_noise(content: Mapping[str, Any], root: Path = ROOT) -> None:
    """Put the tables of noise that nobody knows between the markers of ``docs/unknown-noise.md``."""
    path = root / UNKNOWN_NOISE
    contents = {
        "kinds": kinds_table(content),
        "strengths": strengths_table(content),
        "stein": stein_table(content),
        "foreign": foreign_table(content),
    }
    write_whole(path, _with_tables(path, contents))


def tables(benchmark: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of all results by the name of their markers; none for systems not scored."""
    scored = {d["id"] for d in benchmark["denoisers"]}
    contents = {
        "results": results_table(benchmark),
        "reference": reference_table(benchmark),
        "sharpness": sharpness_table(benchmark),
        "generalisation": generalisation_table(benchmark),
        "restoration": _psnr_table(benchmark, _RESTORATION_METHODS, RESTORATION),
        "chains": _psnr_table(benchmark, _RESTORATION_METHODS, CHAINS),
        "published": published_table(benchmark),
    }
    if "median-unet" in scored:
        contents["hybrid"] = hybrid_table(benchmark)
    if any(model in scored for model, *_ in SMALL_AUTOENCODERS):
        contents["small-autoencoders"] = small_autoencoders_table(benchmark)
    return contents


def replace_between(text: str, name: str, content: str) -> str:
    """Replace what stands between ``<!-- NAME:start -->`` and ``<!-- NAME:end -->``.

    Raises:
        ValueError: The markers are not there.
    """
    pattern = re.compile(rf"(<!-- {name}:start -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"there are no markers <!-- {name}:start --> and <!-- {name}:end -->")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def _with_tables(path: Path, contents: Mapping[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    for name, table in contents.items():
        text = replace_between(text, name, table)
    return text


def results_table(benchmark: Mapping[str, Any]) -> str:
    """PSNR / SSIM of every denoiser under the main noises; the best PSNR of a noise is bold.

    The last row is how far these means may lie from those of endlessly many such pictures.
    """
    methods = ["noisy", *(d["id"] for d in benchmark["denoisers"])]
    widths = [
        [half_widths(score) for score in benchmark["scores"] if score["noise"] == noise]
        for noise in SHOWN
    ]
    cells = [
        f"± {max(psnr for psnr, _ in found):.2f} / {max(ssim for _, ssim in found):.3f}"
        for found in widths
        if found
    ]
    table = _psnr_ssim_table(benchmark, methods, SHOWN)
    return f"{table}\n| *95 % interval, at most* |  | {' | '.join(cells)} |"


def summary_table(benchmark: Mapping[str, Any]) -> str:
    """PSNR / SSIM of ten methods under five noises; the best of these ten is bold."""
    return _psnr_ssim_table(benchmark, _SUMMARY_METHODS, SUMMARY_NOISES)


def _psnr_ssim_table(benchmark: Mapping[str, Any], methods: Sequence[str], noises: Sequence[str]) -> str:
    scores = _scores(benchmark)
    noises = [name for name in noises if ("noisy", name) in scores]
    details = {d["id"]: d for d in benchmark["denoisers"]}
    methods = [d for d in methods if any((d, noise) in scores for noise in noises)]
    best = {
        noise: max(scores[d, noise]["psnr"] for d in methods if (d, noise) in scores) for noise in noises
    }
    rows = []
    for method in methods:
        cells = []
        for noise in noises:
            score = scores.get((method, noise))
            if score is None:
                cells.append("-")
                continue
            text = f"{score['psnr']:.2f} / {score['ssim']:.3f}"
            cells.append(f"**{text}**" if score["psnr"] == best[noise] else text)
        milliseconds = f"{details[method]['milliseconds']:.2f}" if method in details else ""
        rows.append([f"`{method}`", milliseconds, *cells])
    return _table(["denoiser", "ms", *noises], rows)


def sharpness_table(benchmark: Mapping[str, Any]) -> str:
    """What GANs and flows are for: PSNR beside sharpness and spectral distance, of blind methods."""
    scores = _scores(benchmark)
    rows = []
    for noise in ("gaussian-low", "gaussian-high", "gaussian-25", "gaussian-50"):
        for method in _SHARP_METHODS:
            score = scores.get((method, noise))
            if score is not None:
                figures = [
                    f"{score['psnr']:.2f}",
                    f"{score['sharpness']:.3f}",
                    f"{score['spectral_distance']:.2f}",
                ]
                rows.append([noise, f"`{method}`", *figures])
    headers = ["noise", "denoiser", "PSNR, dB", "sharpness (clean: 1)", "spectral distance, dB"]
    return _table(headers, rows)


def reference_table(benchmark: Mapping[str, Any]) -> str:
    """The reference's published figures, their true values, and ours."""
    scores = _scores(benchmark)
    rows = []
    for model, task, published, loss in REFERENCE:
        ours = [
            f"{scores[denoiser, task]['psnr']:.2f} (`{denoiser}`)"
            for denoiser in (pattern.format(task=task) for pattern in _OURS[model])
            if (denoiser, task) in scores
        ]
        rows.append([model, task, f"{published:.2f}", f"{true_psnr(loss):.1f}", ", ".join(ours) or "-"])
    return _table(["model", "task", "published PSNR", "its true PSNR", "ours, PSNR"], rows)


def small_autoencoders_table(benchmark: Mapping[str, Any]) -> str:
    """Reference D's six models: its published size and PSNR beside ours."""
    scores = _scores(benchmark)
    details = {d["id"]: d for d in benchmark["denoisers"]}
    rows = []
    for model, parameters, *published in SMALL_AUTOENCODERS:
        if model not in details:
            continue
        cells = [
            f"{scores[model, noise]['psnr']:.2f} ({theirs:.2f})" if (model, noise) in scores else "-"
            for noise, theirs in zip(_SMALL_AUTOENCODER_NOISES, published, strict=True)
        ]
        rows.append([f"`{model}`", f"{details[model]['parameters']:,} ({parameters:,})", *cells])
    return _table(["denoiser", "parameters (published)", *_SMALL_AUTOENCODER_NOISES], rows)


def hybrid_table(benchmark: Mapping[str, Any]) -> str:
    """PSNR of the hybrid beside its two parts."""
    return _psnr_table(benchmark, ("trimmed-median", "residual-unet", "median-unet"), _HYBRID_NOISES)


def generalisation_table(benchmark: Mapping[str, Any]) -> str:
    """PSNR of the blind U-Net and of every specialist on all noises, their own among them."""
    specialists = [d["id"] for d in benchmark["denoisers"] if "." in d["id"]]
    return _psnr_table(benchmark, ("noisy", "attention-unet", *specialists), SHOWN)


def _psnr_table(benchmark: Mapping[str, Any], denoisers: Sequence[str], noises: Sequence[str]) -> str:
    scores = _scores(benchmark)
    columns = [noise for noise in noises if any((d, noise) in scores for d in denoisers)]
    rows = [
        [
            f"`{d}`",
            *(f"{scores[d, noise]['psnr']:.2f}" if (d, noise) in scores else "-" for noise in columns),
        ]
        for d in denoisers
        if any((d, noise) in scores for noise in columns)
    ]
    return _table(["denoiser", *columns], rows)


def emotion_table(metrics: Mapping[str, Any]) -> str:
    """Accuracy of the emotion classifier on what each denoiser makes of noisy faces, in percent.

    Args:
        metrics: What the classifier's ``metrics.json`` holds. The best of a noise is bold, of those that
            were scored on all pictures; below the others stands what clean ones of theirs get.
    """
    counts = {score["denoiser"]: score.get("pictures", math.inf) for score in metrics["scores"]}
    partial = {name for name, count in counts.items() if count < max(counts.values())}
    scores = {(s["denoiser"], s["noise"]): 100 * s["accuracy"] for s in metrics["scores"]}
    noises = [name for name in SHOWN if any(noise == name for _, noise in scores)]
    methods = list(dict.fromkeys(denoiser for denoiser, _ in scores))
    whole = [method for method in methods if method not in partial]
    best = {n: max(round(scores[m, n], 1) for m in whole if (m, n) in scores) for n in noises}
    rows = [["*clean picture*", *[f"{100 * metrics['clean_accuracy']:.1f}"] * len(noises)]]
    for method in methods:
        texts = [f"{scores[method, n]:.1f}" if (method, n) in scores else "-" for n in noises]
        marked = [
            f"**{text}**" if method in whole and text == f"{best[n]:.1f}" else text
            for text, n in zip(texts, noises, strict=True)
        ]
        rows.append([f"`{method}`" + ("" if method in whole else " †"), *marked])
    if partial:
        clean = f"{100 * metrics['first']['clean_accuracy']:.1f}"
        name = f"*† clean picture, of the first {metrics['first']['pictures']:,}*"
        rows.append([name, *[clean] * len(noises)])
    return _table(["denoiser", *noises], rows)


def published_table(benchmark: Mapping[str, Any]) -> str:
    """Published denoisers' PSNR on these faces, and our blind networks'."""
    scores = _scores(benchmark)
    rows = [
        [p.label, p.reference, "yes" if p.told_sigma else "no", *(f"{v:.2f}" for v in p.psnr.values())]
        for p in PUBLISHED
    ]
    for method in ("attention-unet", "autoencoder", "residual-unet"):
        found = [scores.get((method, noise)) for noise in PUBLISHED_NOISES]
        cells = ["-" if score is None else f"{score['psnr']:.2f}" for score in found]
        rows.append([f"`{method}`", "ours, on all test pictures", "no", *cells])
    return _table(["denoiser", "source", "told sigma", *PUBLISHED_NOISES], rows)


def realism_table(realism: Mapping[str, Any]) -> str:
    """Fréchet distance / detectability of every denoiser under the main noises, clean faces first.

    Args:
        realism: What ``realism.json`` holds. The last row is half of a column's widest intervals.
    """
    scores = _scores(realism)
    noises = [name for name in SHOWN if any(noise == name for _, noise in scores)]
    methods = dict.fromkeys(denoiser for denoiser, noise in scores if noise in noises)
    rows = [["*clean faces*", *[_realism_cell(scores["clean", "clean"])] * len(noises)]]
    for method in methods:
        found = [scores.get((method, noise)) for noise in noises]
        rows.append([f"`{method}`", *("-" if s is None else _realism_cell(s) for s in found)])
    widest = [
        {
            name: max(
                (s[f"{name}_high"] - s[f"{name}_low"]) / 2 for s in scores.values() if s["noise"] == n
            )
            for name in ("frechet_distance", "detectability")
        }
        for n in noises
    ]
    rows.append(["*95 % interval, at most*", *(f"± {_realism_cell(widths)}" for widths in widest)])
    return _table(["denoiser", *noises], rows)


def colour_table(content: Mapping[str, Any]) -> str:
    """PSNR / colour error of every denoiser on colour faces; the best PSNR of a noise is bold.

    Args:
        content: What ``colour.json`` holds.
    """
    scores = _scores(content)
    noises = [name for name in content["noises"] if any(noise == name for _, noise in scores)]
    methods = list(dict.fromkeys(denoiser for denoiser, _ in scores))
    best = {n: max(score["psnr"] for (_, noise), score in scores.items() if noise == n) for n in noises}
    rows = []
    for method in methods:
        cells = []
        for noise in noises:
            score = scores.get((method, noise))
            text = "-" if score is None else f"{score['psnr']:.2f} / {score['colour_error']:.1f}"
            is_best = score is not None and score["psnr"] == best[noise]
            cells.append(f"**{text}**" if is_best else text)
        rows.append([f"`{method}`", *cells])
    return _table(["denoiser", *noises], rows)


def samples_table(content: Mapping[str, Any]) -> str:
    """What one draw, the mean of all, and the picture they start from score.

    Args:
        content: What ``samples.json`` holds.
    """
    headers = [
        "denoiser",
        "noise",
        "start",
        "one draw",
        "mean of the draws",
        "one costs",
        "spread",
        "error of the mean",
        "correlation",
    ]
    rows = [
        [
            f"`{score['denoiser']}`",
            score["noise"],
            *(f"{score[name]:.2f}" for name in ("closest", "one", "mean")),
            f"{score['mean'] - score['one']:.2f}",
            f"{score['spread']:.1f}",
            f"{score['error']:.1f}",
            f"{score['correlation']:.2f}",
        ]
        for score in content["scores"]
    ]
    return _table(headers, rows)


def kinds_table(content: Mapping[str, Any]) -> str:
    """What each kind of noise was called, in percent of the pictures of all sorts.

    Args:
        content: What ``unknown-noise.json`` holds; likewise below.
    """
    calls = [entry for found in content["sets"] for entry in found["called"]]
    kinds = list(dict.fromkeys(entry["kind"] for entry in calls))
    rows = []
    for kind in kinds:
        # Every sort of pictures counts alike, however many it has.
        shares = [
            _share_of_calls([e for e in found["called"] if e["kind"] == kind])
            for found in content["sets"]
        ]
        means = {name: sum(share.get(name, 0) for share in shares) / len(shares) for name in kinds}
        cells = [f"{100 * means[name]:.0f}" if means[name] >= 0.005 else "" for name in kinds]
        rows.append([kind, *(f"**{c}**" if k == kind else c for k, c in zip(kinds, cells, strict=True))])
    return _table(["is, and is called", *kinds], rows)


def strengths_table(content: Mapping[str, Any]) -> str:
    """Bias and spread of the estimated sigma, in percent of the true one, where the kind was right."""
    sets = content["sets"]
    found = {(s["name"], entry["noise"]): entry for s in sets for entry in s["called"]}
    noises = [
        e["noise"]
        for e in sets[0]["called"]
        if any("bias" in found[s["name"], e["noise"]] for s in sets)
    ]
    rows = [[noise, *(_error_cell(found[s["name"], noise]) for s in sets)] for noise in noises]
    return _table(["noise", *(f"{s['name']} ({s['pictures']})" for s in sets)], rows)


def stein_table(content: Mapping[str, Any]) -> str:
    """How far the estimated PSNR lies above the true one, and how often its interval holds that."""
    ways = ((False, "known"), (True, "known"), (True, "estimated"))
    entries = {
        (e["set"], e["noise"], e["denoiser"], e["clipped"], e["sigma"]): e for e in content["psnr"]
    }
    rows = [
        [name, noise, f"`{method}`", *(_stein_cell(entries[name, noise, method, *way]) for way in ways)]
        for name, noise, method in dict.fromkeys(key[:3] for key in entries)
    ]
    headers = ["pictures", "noise", "denoiser", "unclipped, sigma known", "clipped, sigma known"]
    return _table([*headers, "clipped, sigma estimated"], rows)


def foreign_table(content: Mapping[str, Any]) -> str:
    """What foreign noise is called, how strong it is and is thought to be, and what denoisers gain."""
    methods = list(content["foreign"][0]["gains"])
    rows = [
        [
            entry["noise"],
            ", ".join(f"{kind} {count}" for kind, count in entry["called"].items()),
            f"{entry['sigma']:.1f}",
            f"{entry['found']:.1f}",
            f"{entry['with_neighbour']:.2f}",
            f"{entry['psnr']:.2f}",
            *(f"{entry['gains'][method]:+.2f}".replace("-", "\N{MINUS SIGN}") for method in methods),
        ]
        for entry in content["foreign"]
    ]
    headers = ["noise", "called", "its sigma", "estimated", "with neighbour", "PSNR, dB"]
    return _table([*headers, *(f"`{method}`" for method in methods)], rows)


def _share_of_calls(entries: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    total = sum(sum(entry["called"].values()) for entry in entries)
    names = {name for entry in entries for name in entry["called"]}
    return {name: sum(entry["called"].get(name, 0) for entry in entries) / total for name in names}


def _error_cell(entry: Mapping[str, Any]) -> str:
    if "bias" not in entry:
        return "-"
    bias = f"{100 * entry['bias']:+.0f}".replace("-", "\N{MINUS SIGN}")
    return f"{bias} ± {100 * entry['spread']:.0f} %"


def _stein_cell(entry: Mapping[str, Any]) -> str:
    covered = f"{100 * entry['covered']:.0f} %"
    if entry["bias"] is None:
        return f"not defined ({covered})"
    bias = f"{entry['bias']:+.2f}".replace("-", "\N{MINUS SIGN}")
    return f"{bias} ± {entry['spread']:.2f} ({covered})"


def _realism_cell(score: Mapping[str, Any]) -> str:
    return f"{score['frechet_distance']:.2f} / {score['detectability']:.2f}"


def half_widths(score: Mapping[str, Any]) -> tuple[float, float]:
    """Half the widths of the 95 % intervals of a score's mean PSNR and SSIM over pictures."""
    factor = 1.96 / math.sqrt(score["pictures"])
    return factor * score["psnr_std"], factor * score["ssim_std"]


def true_psnr(loss: float) -> float:
    """PSNR in dB that a mean squared error on the reference's scale, of width 4, stands for."""
    return 10 * math.log10(16 / loss)


def _scores(benchmark: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(score["denoiser"], score["noise"]): score for score in benchmark["scores"]}


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
