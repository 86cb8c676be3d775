"""Model cards, generated from a model's own files: config, metrics, history.

The card in ``weights/ID/`` says NAME where the one that ``python -m train push`` uploads says whose
repository it is in; and it shows no picture, as only the Hub has one.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from denoiser.analysis.results import HISTORY_NAME, METRICS_NAME, NOISY
from denoiser.architectures import ARCHITECTURES
from denoiser.faces.download import DEFAULT_DATASET
from denoiser.faces.fer2013 import COUNTS
from denoiser.weights.checkpoint import MODEL_NAME, WEIGHTS, ModelConfig, hub_repo_id, read_config
from denoiser.weights.hub import WEIGHTS_VERSION
from train.config import TrainConfig
from train.config import read_config as read_training
from train.export import FLOW_STEPS
from train.files import CARD_NAME, WEIGHTS_HASH, file_hash, write_whole
from train.publish.sample import NOISY_NAME, SAMPLE_NAME, sample_noise

NAMESPACE = "NAME"
"""Stands for the user or organization on the Hub until the card is pushed."""

ONNX_NAME = "model.onnx"
"""A model's ONNX file in its repository on the Hub."""

SPACE = "face-denoising-lab"
"""What the Space is called that a card leads to, beside the models in one namespace."""

_HUB = "https://huggingface.co"

_TEXT = """
# {label}: `{id}`

A denoiser for {faces}, {parameters:,} weights, part of
[a lab that shows why one denoiser beats another]({space}), where it runs beside the others.
{family_sentence}
{sample}
## Try it

In an empty folder, after `pip install huggingface-hub numpy "onnxruntime>=1.24" pillow`:

```python
{snippet}```

`{onnx_name}` takes and gives float32 in [0, 1], any number of pictures of any height and width: padding
and clipping are in it, and what it gives is within 1e-5 of what the lab's code does.{onnx_more}

## What it is

- **For**: teaching and trying out how denoising works; as a small baseline on {dataset}.
- **Architecture**: `{architecture}` with `{settings}`; {reference}.
- **Trained on**: {training_split};
  noise: {trained_on}.
- **Training**: {history}{settings_of_training}
- **Weights**: `{model_name}`, in half precision, SHA-256
  `{hash}`

## Results

{test_split}, noise clipped to [0, 1]
and seeded by each picture's row; mean ± standard deviation over pictures. PSNR in dB with data range 1,
SSIM as Wang et al. 2004. {last_column}
Made by `{command}`; all figures are in `{metrics_name}`.

{table}

{worse}

## How to load its weights

With [the lab's code]({space}/tree/main), checked against the hash that the Hub names:

```python
from denoiser.architectures import {network}

repo_id = "{repo_id}"
network = {network}.from_pretrained(repo_id, revision="{version}")
```

or, with `DENOISER_HUB_NAMESPACE={namespace}` set, as a denoiser that pads, clips and takes NumPy arrays:

```python
import denoiser

model = denoiser.create_denoiser("{id}")
denoised = model(noisy)  # float32 (H, W) or (H, W, 3) in [0, 1]; any size
```

Without it, the tensors, in half precision, by the names that `{network}` gives them:

```python
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file

repo_id = "{repo_id}"
state = load_file(hf_hub_download(repo_id, "{model_name}", revision="{version}"))
```

## Limits

- It was made to teach. {sizes}
- A picture goes through `{onnx_name}` as a whole: a megapixel takes up to a gigabyte of memory.
- It has seen synthetic noise only. Noise of a camera is different.
- {rare}
  This was not measured.
- Details it shows are estimates. They are no evidence of what a face looked like: don't identify anybody
  by them.

## Whose faces

{whose} The pictures are used here for research and teaching and are not
part of this model's files. The weights are under the MIT licence.
"""


@dataclass(frozen=True)
class _Faces:
    """What a card says of the pictures that a model was trained and tested on.

    Attributes:
        faces: What they are.
        dataset: Their name.
        hub_id: Of the dataset on the Hub; empty where it isn't there.
        training_split: What was trained on.
        last_column: What the table's last column is.
        sizes: What is known of other sizes.
        rare: Who may be restored worse.
        whose: Whose pictures they are.
    """

    faces: str
    dataset: str
    hub_id: str
    training_split: str
    last_column: str
    sizes: str
    rare: str
    whose: str


_SAMPLE = """
![A face, clean, noisy and denoised]({sample_name})

NASA's portrait of Eileen Collins (public domain): clean, with noise ({noise}), and as this network
restores it. The noisy one is `{noisy_name}`.
"""
_SNIPPET = """\
import numpy as np
import onnxruntime
from huggingface_hub import hf_hub_download
from PIL import Image

repo_id = "{repo_id}"
session = onnxruntime.InferenceSession(hf_hub_download(repo_id, "{onnx_name}"))
picture = Image.open(hf_hub_download(repo_id, "{noisy_name}")).convert("{mode}")  # or one of yours
{lines}
Image.fromarray((255 * denoised).round().astype(np.uint8)).save("denoised.png")
"""
_GRAY_LINES = """\
noisy = np.asarray(picture, np.float32)[None, None] / 255  # (pictures, 1, height, width)
denoised = session.run(None, {"noisy": noisy})[0][0, 0]"""
_COLOUR_LINES = """\
noisy = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255  # (pictures, 3, height, width)
denoised = session.run(None, {"noisy": noisy})[0][0].transpose(1, 2, 0)"""
_FLOW_LINES = """\
noisy = np.asarray(picture, np.float32)[None, None] / 255  # (pictures, 1, height, width)
noise = np.random.default_rng(0).standard_normal(noisy.shape, np.float32)  # another seed, another face
denoised = session.run(None, {"noisy": noisy, "noise": noise})[0][0, 0]"""
_FLOW_ONNX = """
Beside the pictures it takes `noise`, where the flow starts, and follows that for {steps} steps, which
are {runs} runs of the network."""

_GRAY = _Faces(
    faces="48x48 gray faces",
    dataset="FER2013",
    hub_id=DEFAULT_DATASET,
    training_split="FER2013's training split without the pictures that also occur in validation or test",
    last_column="Sharpness is the gradient energy relative to the clean picture (1 is as sharp).",
    sizes="Faces of other sizes are denoised as they are; it knows faces at 48x48 best.",
    rare="""FER2013's faces were found by search terms for emotions; who is rare among them may be \
restored worse.""",
    whose="""\
FER2013 (Goodfellow et al. 2013, arXiv:1307.0414) was gathered by image search; the people in it were not
asked, and its source grants no licence.""",
)
_COLOUR = _Faces(
    faces="faces in colour, which it sees as a whole and not channel by channel",
    dataset="colour photographs of faces",
    hub_id="",
    training_split="""\
5,785 colour photographs of faces, whole and in parts, at scales from 48 pixels to their own,
  without those of which validation or test has a near copy""",
    last_column="The colour error is the mean CIEDE2000 (about 1 can just be seen).",
    sizes="It was trained on squares of 48 pixels, and takes pictures of any size.",
    rare="""\
The photographs are of celebrities and of strangers; who is rare among them may be restored worse.""",
    whose="""\
The photographs are those without masks of the public "Face Mask 12K" set (celebrities, apparently
CelebA's) and the real ones of "real and fake face detection". The people in them were not asked, and
neither source grants a licence.""",
)

_FAMILY = {
    "network": "It was trained to come close to the clean picture.",
    "GAN": "It was trained to come close to the clean picture and to fool a PatchGAN discriminator, "
    "which makes it sharper and costs PSNR.",
    "flow": "It does not return the one picture that is closest on average, but one of those that the "
    "noisy picture may have been, which costs up to 3 dB.",
    "autoencoder": "It has no pooling; strided convolutions and skips by concatenation.",
    "hybrid": "A filter first, a network after.",
    "classical": "",
}


_CONFIGS = Path(__file__).parents[1] / "configs"
_MORE = "more"  # folder of what follows on a config, for the same model


class FiguresError(RuntimeError):
    """A model's figures are not those of its weights; the message says how to make them."""


def write_card(model_id: str, weights: Path = WEIGHTS) -> Path:
    """Write a model's card into its folder."""
    card = weights / model_id / CARD_NAME
    write_whole(card, make_card(model_id, weights))
    return card


def make_card(model_id: str, weights: Path = WEIGHTS, namespace: str = NAMESPACE) -> str:
    """Make a model's card from its ``config.json``, ``metrics.json`` and ``history.csv``.

    Args:
        model_id: Its folder's name.
        weights: Folder with one folder for each model.
        namespace: Whose repositories on the Hub it is for.

    Raises:
        FiguresError: The figures are of other weights.
        WeightsError: Its ``config.json`` is missing or damaged.
    """
    folder = weights / model_id
    config = read_config(model_id, weights)
    metrics = json.loads((folder / METRICS_NAME).read_text(encoding="utf-8"))
    if metrics.get(WEIGHTS_HASH) != file_hash(folder / MODEL_NAME):
        raise FiguresError(
            f"The {METRICS_NAME} of the model {model_id!r} is of other weights than its {MODEL_NAME}: "
            f"`python -m train evaluate --data PATH --denoisers {model_id}` scores those"
        )
    faces = _COLOUR if config.settings.get("channels") == 3 else _GRAY
    text = _TEXT.format(
        space=f"{_HUB}/spaces/{namespace}/{SPACE}",
        sample="" if namespace == NAMESPACE else _describe_sample(config),
        snippet=first_code(config, hub_repo_id(namespace, config.id)),
        onnx_name=ONNX_NAME,
        onnx_more=_describe_flow() if config.family == "flow" else "",
        settings_of_training=_training(config),
        hash=metrics[WEIGHTS_HASH],
        faces=faces.faces,
        dataset=faces.dataset,
        training_split=faces.training_split,
        last_column=faces.last_column,
        sizes=faces.sizes,
        rare=faces.rare,
        whose=faces.whose,
        test_split=_test_split(metrics, faces),
        id=config.id,
        label=config.label,
        parameters=config.parameters,
        family_sentence=_FAMILY[config.family],
        architecture=config.architecture,
        network=ARCHITECTURES[config.architecture].__name__,
        settings=json.dumps(config.settings),
        reference=config.reference,
        trained_on=config.trained_on_words,
        history=_history(folder / HISTORY_NAME),
        command=metrics["command"],
        metrics_name=METRICS_NAME,
        table=_table(model_id, metrics),
        worse=_worse(model_id, metrics),
        namespace=namespace,
        repo_id=hub_repo_id(namespace, config.id),
        version=WEIGHTS_VERSION,
        model_name=MODEL_NAME,
    )
    return f"---\n{_front_matter(config, metrics, faces, namespace)}\n---\n{text}"


def _describe_sample(config: ModelConfig) -> str:
    return _SAMPLE.format(
        sample_name=SAMPLE_NAME, noisy_name=NOISY_NAME, noise=sample_noise(config).describe()
    )


def first_code(config: ModelConfig, repo_id: str) -> str:
    """Return what a card has a stranger run first: nothing of the lab's code is in it."""
    is_colour = config.settings.get("channels") == 3
    others = _COLOUR_LINES if is_colour else _GRAY_LINES
    return _SNIPPET.format(
        repo_id=repo_id,
        onnx_name=ONNX_NAME,
        noisy_name=NOISY_NAME,
        mode="RGB" if is_colour else "L",
        lines=_FLOW_LINES if config.family == "flow" else others,
    )


def _describe_flow() -> str:
    return _FLOW_ONNX.format(steps=FLOW_STEPS, runs=2 * FLOW_STEPS)


def _training(config: ModelConfig) -> str:
    """Say by which settings a model was trained, if a config here is its own; and what followed."""
    own = _CONFIGS / f"{config.id}.toml"
    if not own.exists() or not _fits(first := read_training(own), config):
        return ""
    follow_ups = sorted((_CONFIGS / _MORE).glob("*.toml"))
    more = [path for path in follow_ups if read_training(path).id == config.id]
    words = [
        f"from the weights of `{first.start_from}` on" if first.start_from else "from random weights on",
        f"loss `{first.loss}`" + (" and adversarial" if first.adversarial else ""),
        f"`{first.optimizer}` at a learning rate of {first.learning_rate:g} at most",
        f"batches of {first.batch_size}",
        "the best weights on the validation noises" if first.select == "best" else "the last weights",
    ]
    named = [f"`train/configs/{path.relative_to(_CONFIGS).as_posix()}`" for path in (own, *more)]
    followed = f", of what followed in {', '.join(named[1:])}" if more else ""
    return f"\n- **Settings**: {', '.join(words)};\n  all of them in {named[0]}{followed}."


def _fits(training: TrainConfig, config: ModelConfig) -> bool:
    """Say whether a training makes a network of this shape."""
    settings = json.loads(json.dumps(dict(training.settings)))  # tuples as JSON has them
    return training.architecture == config.architecture and settings == config.settings


def _test_split(metrics: dict[str, Any], faces: _Faces) -> str:
    if faces is _COLOUR:
        return f"The test split ({metrics['pictures']:,} photographs, brought to 96x96)"
    published, with_faces = COUNTS["test"]
    left_out = {published: "", with_faces: f": its {published:,} without those that hold no face"}
    some = left_out.get(metrics["pictures"], f" instead of its {published:,}")
    return f"FER2013's test split (PrivateTest, {metrics['pictures']:,} pictures{some})"


def _front_matter(config: ModelConfig, metrics: dict[str, Any], faces: _Faces, namespace: str) -> str:
    repo_id = hub_repo_id(namespace, config.id)
    results = [
        EvalResult(
            task_type="image-to-image",
            task_name="Denoising",
            dataset_type=faces.hub_id or "other",
            dataset_name=faces.dataset,
            # Rows are told apart by config and split only, so the noise has to be the config.
            dataset_config=score["noise"],
            dataset_split="test",
            metric_type=metric,
            metric_name=metric.upper(),
            metric_value=float(score[metric]),  # a NumPy number makes YAML that can't be loaded
            source_name=METRICS_NAME,
            source_url=f"{_HUB}/{repo_id}/blob/{WEIGHTS_VERSION}/{METRICS_NAME}",
        )
        for score in metrics["scores"]
        if score["denoiser"] == config.id
        for metric in ("psnr", "ssim")
    ]
    return ModelCardData(
        model_name=repo_id.partition("/")[2],
        license="mit",
        library_name="pytorch",
        pipeline_tag="image-to-image",
        tags=["denoising", "faces", "onnx", config.architecture],
        datasets=[faces.hub_id] if faces.hub_id else None,
        metrics=["psnr", "ssim"],
        eval_results=results,
    ).to_yaml()


def _table(model_id: str, metrics: dict[str, Any]) -> str:
    scores = {(score["denoiser"], score["noise"]): score for score in metrics["scores"]}
    of_all = max(score.get("pictures", metrics["pictures"]) for score in metrics["scores"])
    others = "" if of_all == metrics["pictures"] else f" (of {of_all:,})"
    last = "colour_error" if any("colour_error" in score for score in scores.values()) else "sharpness"
    headers = ["noise", f"noisy PSNR{others}", "PSNR", "SSIM", last.replace("_", " ")]
    lines = [f"| {' | '.join(headers)} |", "|---|---|---|---|---|"]
    for (denoiser, noise), score in scores.items():
        if denoiser == model_id:
            before = scores[NOISY, noise]["psnr"]
            lines.append(
                f"| {noise} | {before:.2f} | {score['psnr']:.2f} ± {score['psnr_std']:.2f} "
                f"| {score['ssim']:.3f} ± {score['ssim_std']:.3f} | {score[last]:.3f} |"
            )
    return "\n".join(lines)


def _worse(model_id: str, metrics: dict[str, Any]) -> str:
    psnrs = {(score["denoiser"], score["noise"]): score["psnr"] for score in metrics["scores"]}
    names = [
        f"`{noise}`"
        for (denoiser, noise), psnr in psnrs.items()
        if denoiser == model_id and psnr < psnrs[NOISY, noise]
    ]
    if not names:
        return "Under none of these noises is its PSNR below that of the noisy picture."
    return f"Its PSNR is below that of the noisy picture, so it does harm, under {', '.join(names)}."


def _history(path: Path) -> str:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    validated = [float(row["val_psnr"]) for row in rows if row.get("val_psnr")]
    epochs = 1 + max(int(row["epoch"]) for row in rows if row.get("epoch"))
    return (
        f"{epochs} epoch{'' if epochs == 1 else 's'}; best PSNR on the validation noises "
        f"{max(validated):.2f} dB, last {validated[-1]:.2f} dB; see `history.csv`."
    )
