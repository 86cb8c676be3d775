"""Model cards, generated from a model's own files: config, metrics, history."""

import csv
import json
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from denoiser.weights import WEIGHTS, ModelConfig, read_config

CARD_NAME = "README.md"
_DATASET = "AutumnQiu/fer2013"  # FER2013 on the Hub; the figures are from its PrivateTest split

_TEXT = """
# {label}: `{id}`

A denoiser for 48x48 gray faces, {parameters:,} weights, part of a lab that shows why one denoiser
beats another. {family_sentence}

- **Architecture**: `{architecture}` with `{settings}`; {reference}.
- **Trained on**: FER2013's training split without the pictures that also occur in validation or test;
  noise: {trained_on}.
- **Training**: {history}

## Results

FER2013's test split (PrivateTest, {pictures:,} pictures), noise seeded by each picture's row; mean over
pictures; PSNR in dB with data range 1, SSIM as Wang et al. 2004. Sharpness is the gradient energy
relative to the clean picture (1 is as sharp as the clean one). Made by `{command}`; the figures are in
`metrics.json`.

{table}

## How to load it

```python
import denoiser

model = denoiser.create_denoiser("{id}")
denoised = model(noisy)  # float32 (H, W) or (H, W, 3) in [0, 1]; any size
```

## Limits

- It was made to teach. Faces of other sizes are denoised as they are; it knows faces at 48x48 best.
- It has seen synthetic noise only. Noise of a camera is different.
- Details it shows are estimates. They are no evidence of what a face looked like: don't identify anybody
  by them.

## Whose faces

FER2013 (Goodfellow et al. 2013, arXiv:1307.0414) was gathered by image search; the people in it were not
asked, and its source grants no licence. The pictures are used here for research and teaching and are not
part of this model's files. The weights are under the MIT licence.
"""

_FAMILY = {
    "network": "It was trained to come close to the clean picture.",
    "GAN": "It was trained to come close to the clean picture and to fool a PatchGAN discriminator, "
    "which makes it sharper and costs PSNR.",
    "autoencoder": "It has no pooling; strided convolutions and skips by concatenation.",
    "hybrid": "A filter first, a network after.",
    "classical": "",
}


def write_card(model_id: str, weights: Path = WEIGHTS) -> Path:
    """Write a model's card from its ``config.json``, ``metrics.json`` and ``history.csv``."""
    folder = weights / model_id
    config = read_config(model_id, weights)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    text = _TEXT.format(
        id=config.id,
        label=config.label,
        parameters=config.parameters,
        family_sentence=_FAMILY[config.family],
        architecture=config.architecture,
        settings=json.dumps(config.settings),
        reference=config.reference,
        trained_on=config.trained_on,
        history=_history(folder / "history.csv"),
        pictures=metrics["pictures"],
        command=metrics["command"],
        table=_table(model_id, metrics),
    )
    card = folder / CARD_NAME
    card.write_text(f"---\n{_front_matter(config, metrics)}\n---\n{text}", encoding="utf-8")
    return card


def _front_matter(config: ModelConfig, metrics: dict[str, Any]) -> str:
    results = [
        EvalResult(
            task_type="image-to-image",
            task_name="Denoising",
            dataset_type=_DATASET,
            dataset_name="FER2013",
            # Rows are told apart by config and split only, so the noise has to be the config.
            dataset_config=score["noise"],
            dataset_split="test",
            metric_type=metric,
            metric_name=metric.upper(),
            metric_value=float(score[metric]),
        )
        for score in metrics["scores"]
        if score["denoiser"] == config.id
        for metric in ("psnr", "ssim")
    ]
    return ModelCardData(
        model_name=f"fer2013-{config.id}",
        license="mit",
        library_name="pytorch",
        pipeline_tag="image-to-image",
        tags=["denoising", "faces", config.architecture],
        datasets=[_DATASET],
        metrics=["psnr", "ssim"],
        eval_results=results,
    ).to_yaml()


def _table(model_id: str, metrics: dict[str, Any]) -> str:
    scores = {(score["denoiser"], score["noise"]): score for score in metrics["scores"]}
    lines = ["| noise | noisy PSNR | PSNR | SSIM | sharpness |", "|---|---|---|---|---|"]
    for (denoiser, noise), score in scores.items():
        if denoiser == model_id:
            before = scores["noisy", noise]["psnr"]
            lines.append(
                f"| {noise} | {before:.2f} | {score['psnr']:.2f} ± {score['psnr_std']:.2f} "
                f"| {score['ssim']:.3f} ± {score['ssim_std']:.3f} | {score['sharpness']:.3f} |"
            )
    return "\n".join(lines)


def _history(path: Path) -> str:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    validated = [float(row["val_psnr"]) for row in rows if row.get("val_psnr")]
    epochs = 1 + max(int(row["epoch"]) for row in rows if row.get("epoch"))
    return (
        f"{epochs} epochs; best PSNR on the validation noises {max(validated):.2f} dB, "
        f"last {validated[-1]:.2f} dB; see `history.csv`."
    )
