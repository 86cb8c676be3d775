"""Units that never answer: found, renewed without a change of the answer, and left alone when alive."""

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from denoiser.architectures.residual_unet import ResidualBlock
from train.recycle import RecycleDormant, renew


class Blocks(pl.LightningModule):
    """Two residual blocks; ``used`` says whether pictures go through the second as well."""

    def __init__(self, used=True, rate=0.0):
        super().__init__()
        self.blocks = nn.ModuleList([ResidualBlock(8), ResidualBlock(8)])
        self.used, self.rate = used, rate

    def forward(self, features):
        features = self.blocks[0](features)
        return self.blocks[1](features) if self.used else features

    def training_step(self, batch, index):
        return self(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.rate)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def run(module, *others, epochs=1, steps=3):
    batches = DataLoader(TensorDataset(torch.rand(4 * steps, 8, 6, 6)), batch_size=4)
    trainer = pl.Trainer(
        max_epochs=epochs,
        callbacks=[RecycleDormant(), *others],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, batches)


def kill(block, units):
    """Make units that are below 0 for every picture of positive pixels."""
    with torch.no_grad():
        block.body[0].weight[units] = -1.0


def test_dead_units_are_renewed_and_live_ones_left_alone():
    module = Blocks()
    with torch.no_grad():
        for unit in range(8):  # alive for certain: each sees a pixel as it is
            module.blocks[0].body[0].weight[unit] = 0
            module.blocks[0].body[0].weight[unit, unit, 1, 1] = 1.0
    kill(module.blocks[0], [2, 5])
    before = module.blocks[0].body[0].weight.clone()
    run(module)
    changed = (module.blocks[0].body[0].weight != before).flatten(1).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [2, 5]
    outgoing = module.blocks[0].body[2].weight
    assert torch.equal(outgoing[:, [2, 5]], torch.zeros(8, 2, 3, 3))
    assert outgoing[:, [0, 1, 3, 4, 6, 7]].all()


def test_the_answer_stays_as_it_is():
    module = Blocks()
    kill(module.blocks[0], [0, 1, 2, 3, 4, 5, 6, 7])  # a whole block
    pictures = torch.rand(2, 8, 6, 6)
    with torch.no_grad():
        before = module(pictures)
        run(module)
        torch.testing.assert_close(module(pictures), before)


def test_a_block_that_no_picture_went_through_is_left_alone():
    module = Blocks(used=False)
    kill(module.blocks[1], [0, 1])
    before = module.blocks[1].body[0].weight.clone()
    run(module)
    assert torch.equal(module.blocks[1].body[0].weight, before)


def test_only_the_first_half_of_a_run_renews():
    module = Blocks()

    class KillLater(pl.Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 2:
                kill(module.blocks[0], [3])

    run(module, KillLater(), epochs=4)
    assert torch.equal(module.blocks[0].body[0].weight[3], torch.full((8, 3, 3), -1.0))


def test_what_is_renewed_learns():
    """A dead unit has no gradient; after one epoch with the callback it has."""
    module = Blocks(rate=0.1)
    kill(module.blocks[0], list(range(8)))
    run(module, epochs=2)
    assert module.blocks[0].body[2].weight.abs().sum() > 0


def test_other_units_keep_their_weights():
    first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)
    weights = [first.weight.clone(), second.weight.clone()]
    chosen = torch.tensor([False, True, False, False])
    renew(first, second, chosen, torch.Generator().manual_seed(0))
    assert torch.equal(first.weight[~chosen], weights[0][~chosen])
    assert torch.equal(second.weight[:, ~chosen], weights[1][:, ~chosen])
    assert not torch.equal(first.weight[chosen], weights[0][chosen])
    assert first.bias[1].item() == 0
