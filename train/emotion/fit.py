"""Train the emotion classifier on clean faces, and test it once."""

import platform
import re
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from denoiser.analysis.emotion.classifier import (
    CLASSES,
    CLASSIFIER,
    CLASSIFIER_NAME,
    EmotionClassifier,
    emotion_files,
    load_classifier,
)
from denoiser.analysis.emotion.network import EmotionNet, EmotionNetConfig
from denoiser.analysis.results import METRICS_NAME
from denoiser.images import from_uint8
from denoiser.noise import random_source
from denoiser.weights.checkpoint import WEIGHTS, channels_last
from train.config import EMOTION_CONFIG, ConfigError, Count, Seed, Share, build_checked, read_toml
from train.data import split_name
from train.emotion.data import (
    NO_LABEL,
    EmotionData,
    LabelledFaces,
    augment_faces,
    majority_labels,
    plurality_labels,
    read_labelled,
)
from train.files import write_json, write_model
from train.fit import history_csv, history_rows, run
from train.modules.supervised import WarmUpAndCosine, run_progress

TRAINING_NAME = "training.csv"
"""Beside the weights: loss and validation accuracy, a row for each step logged."""


_ID = re.compile("[a-z]{1,40}")


@dataclass(frozen=True)
class EmotionTrainConfig:
    """A training run of the classifier.

    Attributes:
        stem: See :class:`~denoiser.analysis.emotion.network.EmotionNetConfig`.
        widths: Likewise.
        dropout: Likewise.
        epochs: How many.
        batch_size: Pictures per step.
        learning_rate: At its highest; warmed up, then lowered to nothing by a cosine.
        weight_decay: Of AdamW.
        ema_decay: Decay of the running average of the weights, which is what is validated and shipped.
        seed: Of everything random.
        id: Of its folder.
    """

    stem: int = 16
    widths: tuple[int, ...] = (32, 64, 128, 256)
    dropout: float = 0.3
    epochs: Count = 30
    batch_size: Count = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    ema_decay: Share = 0.999
    seed: Seed = 0
    id: str = CLASSIFIER

    @property
    def network(self) -> EmotionNetConfig:
        """What to build."""
        return EmotionNetConfig(self.stem, self.widths, self.dropout, len(CLASSES))


def read_emotion_config(path: Path = EMOTION_CONFIG) -> EmotionTrainConfig:
    """Read a TOML file with what differs from the defaults.

    Raises:
        ConfigError: It can't be read, or a key or a value in it is wrong.
    """
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in read_toml(path).items()}
    try:
        config = build_checked(EmotionTrainConfig, values)
        with torch.device("meta"):  # it may ask for more than there is
            EmotionNet(config.network)
        if not _ID.fullmatch(config.id):
            raise ValueError(f"id must be lower-case letters, not {config.id!r}")
    except (ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return config


class EmotionModule(pl.LightningModule):
    """Cross-entropy with the vote distribution; accuracy on the validation faces' majority labels.

    Args:
        config: The training run.
    """

    def __init__(self, config: EmotionTrainConfig):
        super().__init__()
        self.config = config
        self.network = channels_last(EmotionNet(config.network))
        self.accuracy = MulticlassAccuracy(len(CLASSES), average="micro")
        self._generator: torch.Generator | None = None

    def on_train_epoch_start(self) -> None:
        """Start the epoch's own random stream: a resumed run goes on as if it had never stopped."""
        self._generator = random_source(self.device, self.config.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        """The loss of the augmented faces."""
        assert self._generator is not None
        clean = batch[0].to(self._generator.device).float() / 255
        faces = augment_faces(clean, self._generator).to(self.device)
        loss = F.cross_entropy(self.network(faces), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        """Count hits."""
        logits = self.network(batch[0].float() / 255)
        self.accuracy(logits, batch[1])
        self.log("val_accuracy", self.accuracy, on_step=False, on_epoch=True)
        self.log("val_loss", F.cross_entropy(logits, batch[1]), on_step=False, on_epoch=True)

    def configure_optimizers(self) -> Any:
        """AdamW with a short warm-up and a cosine down to nothing."""
        config = self.config
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = WarmUpAndCosine(optimizer, run_progress(self.trainer), warm_up=0.05)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def fit_emotion(
    config: EmotionTrainConfig,
    data: Path,
    *,
    runs: Path = Path("runs"),
    weights: Path = WEIGHTS,
    resume: bool = False,
    max_time: timedelta | None = None,
    limit: int = 0,
    **trainer_options: Any,
) -> Path:
    """Train, select on validation, export, and test what was exported.

    Checkpoints, the log and ``last.ckpt`` for resuming are in ``runs/ID``.

    Args:
        config: What to train.
        data: Where FER2013 is, with FER+ votes.
        runs: Folder of all runs.
        weights: Folder of all models; the classifier is written there.
        resume: Go on from the last checkpoint.
        max_time: Stop after this much time, and export what is best by then.
        limit: Use only this many training pictures; 0 for all.
        **trainer_options: Go to Lightning's ``Trainer`` as they are.

    Returns:
        The classifier's folder.

    Raises:
        ConfigError: The trainer's options make no sense.
        FaceDataError: The pictures or their votes can't be read.
        RunError: There is nothing to resume or to export, or the run was stopped: nothing is exported.
        WeightsError: What was learned is not finite.
    """
    pl.seed_everything(config.seed)
    folder = runs / config.id
    checkpoint = run(
        EmotionModule(config),
        EmotionData(data, config.batch_size, config.seed, limit),
        folder,
        monitor="val_accuracy",
        ema_decay=config.ema_decay,
        resume=resume,
        max_epochs=config.epochs,
        max_time=max_time,
        **trainer_options,
    )
    assert checkpoint is not None, "there is one process"
    target = export_emotion(config, checkpoint, folder, weights)
    if not (target / METRICS_NAME).exists():  # what is left there is of these very weights
        facts = clean_facts(load_classifier(target), read_labelled(data, "test"), config.id)
        write_json(target / METRICS_NAME, facts)
    return target


def export_emotion(
    config: EmotionTrainConfig, checkpoint: str | Path, run: Path, weights: Path = WEIGHTS
) -> Path:
    """Write the classifier's folder from a checkpoint: half-precision weights and the history."""
    module = EmotionModule.load_from_checkpoint(
        checkpoint, map_location="cpu", weights_only=True, config=config
    )
    target = weights / config.id
    files = {**emotion_files(module.network), TRAINING_NAME: history_csv(history_rows(run)).encode()}
    write_model(target, files, CLASSIFIER_NAME)
    return target


def clean_facts(
    classifier: EmotionClassifier, test: LabelledFaces, classifier_id: str = CLASSIFIER
) -> dict[str, Any]:
    """Return how well the classifier reads the clean test pictures, and what was counted."""
    other = f" --config train/emotion/{classifier_id}.toml --weights train/emotion"
    command = "python -m train emotion --data PATH" + (other if classifier_id != CLASSIFIER else "")
    config = classifier.network.config
    majority, plurality = majority_labels(test.votes), plurality_labels(test.votes)
    predictions = classifier.probabilities(from_uint8(test.faces.images)).argmax(axis=1)
    counted = majority != NO_LABEL
    labelled = plurality != NO_LABEL
    confusion = MulticlassConfusionMatrix(len(CLASSES))(
        torch.from_numpy(predictions[counted]), torch.from_numpy(majority[counted])
    )
    per_class = confusion.diagonal() / confusion.sum(dim=1)
    return {
        "command": command,
        "split": split_name(test.faces),
        "labels": "FER+ majority: single votes dropped, then more than half of the votes left for one "
        "of eight emotions; other pictures are not counted (Barsoum et al. 2016)",
        "pictures": int(counted.sum()),
        "clean_accuracy": _share(predictions[counted] == majority[counted]),
        "most_frequent_class": _share(majority[counted] == np.bincount(majority[counted]).argmax()),
        "plurality": {
            "labels": "the emotion with most votes, the first on a tie; not counted where that is "
            "'unknown' or 'not a face'",
            "pictures": int(labelled.sum()),
            "clean_accuracy": _share(predictions[labelled] == plurality[labelled]),
        },
        "classes": list(CLASSES),
        "recall": [round(float(v), 4) if np.isfinite(v) else None for v in per_class.tolist()],
        "confusion": confusion.tolist(),
        "network": asdict(config) | {"widths": list(config.widths)},
        "parameters": sum(p.numel() for p in classifier.network.parameters()),
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "machine": platform.machine(),
        "file": CLASSIFIER_NAME,
    }


def _share(hits: np.ndarray) -> float:
    return round(float(hits.mean()), 4)
