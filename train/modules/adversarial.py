"""Adversarial training: a denoiser that also has to pass for a clean picture with a discriminator.

Generator loss = reconstruction + weight * pairing loss. Of each pair, the clean picture and the denoised
one of the same noisy picture, the discriminator says patch by patch which looks more clean (relativistic
pairing loss), and the squared gradients of its scores are penalised at both. With the two penalties this
game converges where the usual one need not, so that the discriminator may be strong and the adversarial
weight large.

Beside these, what a reader of expressions sees in the results may be matched with what it sees in clean
faces: see :mod:`train.modules.features`.

The reconstruction loss is best the logarithmic one, ``"psnr"``: by theory a picture that looks perfectly
clean costs the same number of decibels, 3, at every noise, so one weight asks the same of all noises.

References:
    N. Huang, A. Gokaslan, V. Kuleshov and J. Tompkin, "The GAN is dead; long live the GAN! A modern GAN
    baseline", NeurIPS 2024, arXiv:2501.05441; P. Isola et al., CVPR 2017, doi:10.1109/CVPR.2017.632;
    L. Mescheder, A. Geiger and S. Nowozin, "Which training methods for GANs do actually converge?", ICML
    2018, arXiv:1801.04406.
"""

from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from lightning.pytorch.core.optimizer import LightningOptimizer

from denoiser.analysis.emotion.classifier import load_emotion_net
from denoiser.architectures.patchgan import PatchDiscriminator, PatchDiscriminatorConfig
from denoiser.weights.checkpoint import WeightsError, channels_last
from train.config import AdversarialConfig, ConfigError, TrainConfig
from train.modules.features import FeatureMatching, ReaderFeatures
from train.modules.generative import GenerativeModule
from train.modules.losses import reconstruction_loss
from train.modules.supervised import Engine, WarmUpAndCosine, run_progress

SECOND_READER = Path(__file__).parents[1] / "emotion" / "second"
"""A classifier of expressions that is for training alone; ``second.toml`` beside it makes it."""

_DRIFT = 0.01
"""Weight that keeps scores about 0: the loss has only their differences, but the page shows scores."""


STEP = 0.02
"""Standard deviation of the noise by which scores are compared for their gradients: 5 gray levels."""


def pairing_loss(higher: torch.Tensor, lower: torch.Tensor) -> torch.Tensor:
    """Return how far scores are from being higher than others, patch by patch: log 2 if equal.

    Args:
        higher: (B, 1, h, w), scores that should be the higher ones.
        lower: The others, same shape.
    """
    return F.softplus(lower.float() - higher.float()).mean()


def squared_gradient(scores: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
    """Estimate the squared gradient of a patch's score by the picture, as the mean over patches.

    From differences: under noise of standard deviation s a score changes by s times the length of its
    gradient, as a root mean square. It needs no gradients of gradients, which are slow in convolutions.

    Args:
        scores: (B, 1, h, w), in float32.
        beside: Those of the same pictures with white noise of standard deviation :data:`STEP`.

    References:
        S. Lin et al., "Diffusion adversarial post-training for one-step video generation", ICML 2025,
        arXiv:2501.08316.
    """
    return ((beside - scores) / STEP).square().mean()


class AdversarialModule(GenerativeModule):
    """The denoiser is ``network``, as in supervised training; the discriminator is shipped beside it.

    Args:
        config: The training run; its ``adversarial`` part must be set.
        engine: See :class:`SupervisedModule`; of the denoiser, not of the discriminator.
    """

    def __init__(self, config: TrainConfig, engine: Engine = "plain"):
        super().__init__(config, engine)
        if config.adversarial is None:
            raise ValueError("adversarial training needs an [adversarial] table in the config")
        self.adversarial: AdversarialConfig = config.adversarial
        self.discriminator = PatchDiscriminator(
            PatchDiscriminatorConfig(
                **{**config.adversarial.discriminator, "channels": self.network.channels}
            )
        )
        channels_last(self.discriminator)
        self.matching = (
            _match_features(self.network.channels) if self.adversarial.feature_weight else None
        )
        self.automatic_optimization = False  # two optimisers take turns

    def discriminator_loss(
        self, noisy: torch.Tensor, clean: torch.Tensor, denoised: torch.Tensor
    ) -> torch.Tensor:
        """The pairing loss: of each pair the clean picture should have the higher scores."""
        real, fake = self.score_pairs(noisy, clean, denoised.detach().clamp(0, 1))
        return _judging_loss(real, fake)

    def penalised_loss(
        self, noisy: torch.Tensor, clean: torch.Tensor, denoised: torch.Tensor
    ) -> torch.Tensor:
        """As :meth:`discriminator_loss`, with the penalties of all the steps up to the next ones.

        In single precision, as half is too coarse for differences.
        """
        with torch.autocast(noisy.device.type, enabled=False):
            pictures = [picture.detach().float().clamp(0, 1) for picture in (clean, denoised)]
            scores = self.score_pairs(noisy.float(), *pictures)
            generator, _ = self.sources
            beside = self.score_pairs(
                noisy.float(),
                *(p + STEP * _white_noise(p, generator) for p in pictures),
            )
            penalties = [squared_gradient(*pair) for pair in zip(scores, beside, strict=True)]
            weight = self.adversarial.penalty / 2 * self.adversarial.penalty_interval
            return _judging_loss(*scores) + weight * torch.stack(penalties).sum()

    def score_pairs(
        self, noisy: torch.Tensor, clean: torch.Tensor, denoised: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores of the clean and of the denoised pictures, (B, 1, h, w) each."""
        both = self.discriminator(torch.cat([noisy, noisy]), torch.cat([clean, denoised]))
        real, fake = both.chunk(2)
        return real, fake

    def generator_loss(
        self, noisy: torch.Tensor, clean: torch.Tensor, denoised: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the reconstruction loss and the adversarial part, not yet weighed.

        The discriminator sees what is shown, which lies in [0, 1].
        """
        distortion = reconstruction_loss(denoised, clean, self.config.loss)
        with torch.no_grad():
            real = self.discriminator(noisy, clean)
        return distortion, pairing_loss(self.discriminator(noisy, denoised.clamp(0, 1)), real)

    def training_step(self, batch: list[torch.Tensor], index: int) -> None:
        """One step of the discriminator, then one of the denoiser."""
        noisy, clean = self.make_pair(batch)
        generator_optimizer, discriminator_optimizer = cast(list[LightningOptimizer], self.optimizers())
        denoised = self.run(self.network, noisy)

        self.toggle_optimizer(discriminator_optimizer)
        penalised = self.adversarial.penalty > 0 and index % self.adversarial.penalty_interval == 0
        judge = self.penalised_loss if penalised else self.discriminator_loss
        discriminator_loss = judge(noisy, clean, denoised)
        discriminator_optimizer.zero_grad()
        self.manual_backward(discriminator_loss)
        discriminator_optimizer.step()
        self.untoggle_optimizer(discriminator_optimizer)

        self.toggle_optimizer(generator_optimizer)
        distortion, adversarial = self.generator_loss(noisy, clean, denoised)
        generator_optimizer.zero_grad()
        loss = distortion + self.adversarial.weight * adversarial
        losses = {"train_loss": distortion, "generator_loss": adversarial}
        if self.matching is not None:
            losses["matching_loss"] = self.matching(denoised, clean)
            loss = loss + self.adversarial.feature_weight * losses["matching_loss"]
        self.manual_backward(loss)
        generator_optimizer.step()
        self.untoggle_optimizer(generator_optimizer)
        for schedule in cast(list[WarmUpAndCosine], self.lr_schedulers()):
            schedule.step()

        losses["discriminator_loss"] = discriminator_loss
        self.log_dict(losses, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Adam without momentum for both, each with its own rate, lowered by a cosine.

        The denoiser, which starts from good weights, is warmed up: the discriminator has to learn first.
        """
        # Lightning counts a step for each of the two optimisers; the schedules see every batch once.
        progress = run_progress(self.trainer)
        rates = (self.config.learning_rate, self.adversarial.discriminator_learning_rate)
        networks = (self.network, self.discriminator)
        optimizers = [
            torch.optim.Adam(network.parameters(), lr=rate, betas=(0.0, 0.99))
            for network, rate in zip(networks, rates, strict=True)
        ]
        schedules = [
            WarmUpAndCosine(optimizer, progress, warm_up)
            for optimizer, warm_up in zip(optimizers, (0.05, 0.0), strict=True)
        ]
        return optimizers, schedules


def _match_features(channels: int) -> FeatureMatching:
    if channels != 1:
        raise ConfigError("feature_weight is for gray pictures: the reader sees no colour")
    try:
        reader = load_emotion_net(SECOND_READER)
    except WeightsError:
        raise WeightsError(
            "The second reader of expressions can't be loaded; `python -m train emotion --data PATH "
            "--config train/emotion/second.toml --weights train/emotion` makes it."
        ) from None
    return FeatureMatching(ReaderFeatures(reader), reader.config.widths[-1])


def _white_noise(picture: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(picture.shape, generator=generator, device=generator.device).to(picture)


def _judging_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    middle = (real.float().mean() + fake.float().mean()) / 2
    return pairing_loss(real, fake) + _DRIFT * middle.square()
