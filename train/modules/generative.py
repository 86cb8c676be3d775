"""What training shows of networks that are to make natural pictures, not only close ones."""

import numpy as np
import torch

from denoiser.metrics import sharpness, spectral_distance
from train.config import TrainConfig
from train.modules.supervised import Engine, SupervisedModule


class GenerativeModule(SupervisedModule):
    """Supervised training whose validation also looks at how sharp and how natural the pictures are.

    Args:
        config: The training run.
        engine: See :class:`SupervisedModule`.
    """

    def __init__(self, config: TrainConfig, engine: Engine = "plain"):
        super().__init__(config, engine)
        self._validation_pictures: dict[str, list[tuple[np.ndarray, ...]]] = {}

    def validation_denoised(self, name: str, denoised: torch.Tensor, clean: torch.Tensor) -> None:
        """Keep the pictures of a validation noise until all are there: a spectrum is of a whole set."""
        # Of a picture in colour the mean of its channels, as spectra are of gray ones.
        pair = tuple(part.float().mean(dim=1).cpu().numpy() for part in (denoised, clean))
        self._validation_pictures.setdefault(name, []).append(pair)

    def on_validation_epoch_end(self) -> None:
        """Log PSNR, and for each noise how sharp and how natural its pictures are."""
        super().on_validation_epoch_end()
        for name, batches in self._validation_pictures.items():
            denoised, clean = (np.concatenate(part) for part in zip(*batches, strict=True))
            figures = {
                f"val_sharpness_{name}": float(
                    np.nanmean([sharpness(*pair) for pair in zip(denoised, clean, strict=True)])
                ),
                f"val_spectral_distance_{name}": spectral_distance(denoised, clean),
            }
            self.log_dict(figures, sync_dist=True)
        self._validation_pictures = {}
