"""Give units that never answer a new start.

A unit whose ReLU is 0 for every picture has no gradient, and so stays as it is: dead. Without batch norm
to bring its input back, a high learning rate kills whole blocks at a U-Net's coarse scales.

References:
    G. Sokar et al., "The dormant neuron phenomenon in deep reinforcement learning", ICML 2023,
    arXiv:2302.12902.
"""

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import nn
from torch.utils.hooks import RemovableHandle

_WATCHED_STEPS = 20  # of an epoch: some hundred pictures for each expert, should there be ten


class RecycleDormant(pl.Callback):
    """At every epoch's start, renew the hidden units that none of its first batches makes answer.

    Their incoming weights are drawn anew, their outgoing ones are 0: the network's answer stays what it
    is. Only in the first half of a run, so that what is new has time to learn. Looked at are
    convolutions with a ReLU between them in one ``nn.Sequential``.
    """

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []
        self._answers: list[torch.Tensor | None] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to watch."""
        self._stop_watching()
        if 2 * trainer.current_epoch < (trainer.max_epochs or 0):
            pairs = list(_pairs(pl_module))
            self._answers = [None] * len(pairs)
            self._handles = [
                relu.register_forward_hook(self._watch(place))
                for place, (_, relu, _) in enumerate(pairs)
            ]

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """After the last watched batch, renew what has not answered in any process."""
        last = min(_WATCHED_STEPS, int(trainer.num_training_batches)) - 1
        if not self._handles or batch_idx != last:
            return
        self._stop_watching()
        # Seeded: every process draws the same.
        generator = torch.Generator().manual_seed(trainer.current_epoch)
        count = 0
        for (first, _, second), answer in zip(_pairs(pl_module), self._answers, strict=True):
            own = torch.zeros(1 + first.out_channels, device=pl_module.device)
            if answer is not None:
                own[0] = 1
                own[1:] = answer
            asked, *_ = seen = trainer.strategy.reduce(own, reduce_op="sum")
            if not asked:
                continue  # no picture went this way
            dormant = (seen[1:] == 0).cpu()
            renew(first, second, dormant, generator)
            count += int(dormant.sum())
        rank_zero_info("Epoch %d: %d dormant units renewed", trainer.current_epoch, count)

    def _watch(self, place: int) -> Any:
        def note(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            answer = output.detach().amax(dim=(0, 2, 3)) > 0
            earlier = self._answers[place]
            self._answers[place] = answer if earlier is None else earlier | answer

        return note

    def _stop_watching(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


def renew(first: nn.Conv2d, second: nn.Conv2d, units: torch.Tensor, generator: torch.Generator) -> None:
    """Draw the incoming weights of some hidden units anew, and set their outgoing ones to 0.

    Args:
        first: Computes the hidden units.
        second: Sees them.
        units: Which, bool (first.out_channels,).
        generator: Random source, on the CPU.
    """
    fresh = nn.init.kaiming_normal_(torch.empty(first.weight.shape), generator=generator)
    with torch.no_grad():
        first.weight[units] = fresh[units].to(first.weight)
        if first.bias is not None:
            first.bias[units] = 0
        second.weight[:, units] = 0


def _pairs(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.ReLU, nn.Conv2d]]:
    """Find hidden layers: a convolution, its ReLU, and the one convolution that sees it."""
    for sequence in network.modules():
        if isinstance(sequence, nn.Sequential):
            layers = list(sequence)
            for first, relu, second in zip(layers, layers[1:], layers[2:], strict=False):
                if (
                    isinstance(first, nn.Conv2d)
                    and isinstance(relu, nn.ReLU)
                    and isinstance(second, nn.Conv2d)
                    and second.groups == 1
                ):
                    yield first, relu, second
