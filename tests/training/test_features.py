"""What the GAN's results have to be as a set: features that match those of clean faces."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from denoiser.analysis.emotion.classifier import CLASSIFIER_NAME, CLASSIFIER_WEIGHTS, load_classifier
from tests.tiny import ADVERSARIAL, pictures, write_config
from train.config import ConfigError, read_config
from train.evaluation.realism import frechet_distance
from train.modules.adversarial import SECOND_READER, AdversarialModule
from train.modules.features import FeatureMatching, hardness, transport


def moments(points):
    return points.mean(dim=-2), torch.stack([torch.cov(group.T, correction=0) for group in points])


def two_sets(groups=2, count=4000, size=5):
    generator = torch.Generator().manual_seed(3)
    points = torch.randn((2, groups, count, size), generator=generator, dtype=torch.float64)
    mixing = torch.randn((2, groups, size, size), generator=generator, dtype=torch.float64)
    return points @ (torch.eye(size) + 0.3 * mixing) + torch.arange(2.0)[:, None, None, None]


def test_transport_gives_one_set_the_other_s_mean_and_covariance():
    first, second = two_sets()
    (mean, covariance), (wanted_mean, wanted) = moments(first), moments(second)
    moved = transport(first, torch.stack([mean, wanted_mean]), torch.stack([covariance, wanted]))
    found_mean, found = moments(moved)
    torch.testing.assert_close(found_mean, wanted_mean)
    # But for the ridge, 1 % of the mean variance.
    scale = wanted.diagonal(dim1=-2, dim2=-1).mean()
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.05 * scale.item())


def test_what_transport_costs_is_the_frechet_distance():
    first, second = two_sets(groups=1)
    parts = (moments(first), moments(second))
    moved = transport(first, *(torch.stack(both) for both in zip(*parts, strict=True)))
    cost = (moved - first).square().sum(dim=-1).mean().item()
    expected = frechet_distance(first[0].numpy(), second[0].numpy()).value
    assert cost == pytest.approx(expected, rel=0.03)


def test_transport_between_equal_sets_moves_nothing():
    (first, _) = two_sets()
    mean, covariance = moments(first)
    moved = transport(first, torch.stack([mean] * 2), torch.stack([covariance] * 2))
    torch.testing.assert_close(moved, first)


def faces(seed, count=32):
    return torch.from_numpy(pictures(count, seed)).float()[:, None] / 255


class RowsAndColumns(nn.Module):
    """Twelve means of a picture; keeps the pictures it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = []
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, batch):
        self.shown.append(batch.detach())
        rows, columns = batch.mean(dim=2).flatten(1)[:, ::8], batch.mean(dim=3).flatten(1)[:, ::8]
        return self.weight * torch.cat([rows, columns], dim=1)


def matched(change, steps=60):
    """The loss at the end of some steps with pictures that are the clean ones, changed."""
    matching = FeatureMatching(RowsAndColumns(), 12)
    losses = [matching(change(faces(seed)), faces(seed)).item() for seed in range(steps)]
    assert losses[0] == 0  # too few pictures to say anything
    return losses[-1]


def test_matching_asks_nothing_of_clean_pictures_and_much_of_changed_ones():
    assert matched(lambda clean: clean) == pytest.approx(0, abs=1e-6)
    darker, flatter = matched(lambda clean: clean - 0.1), matched(lambda clean: (clean + 0.5) / 2)
    assert darker > 1e-2
    assert flatter > 1e-2


def test_its_gradient_leads_to_clean_pictures():
    matching = FeatureMatching(RowsAndColumns(), 12)
    for seed in range(60):
        matching(faces(seed) - 0.1, faces(seed))
    darker = (faces(99) - 0.1).requires_grad_()
    (gradient,) = torch.autograd.grad(matching(darker, faces(99)), darker)
    asked = gradient[gradient != 0]  # features see some rows and columns, and what is not clipped
    assert (asked < 0).float().mean() > 0.9  # lighter, nearly everywhere


def test_groups_are_of_pictures_that_are_about_equally_hard():
    clean = faces(0, 1).expand(16, -1, -1, -1)
    shuffled = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    errors = (torch.arange(16.0) / 100)[shuffled]
    denoised = clean + errors[:, None, None, None]
    features = RowsAndColumns()
    FeatureMatching(features, 12)(denoised, clean)
    seen, _ = features.shown
    assert torch.equal(seen, denoised[errors.argsort()].clamp(0, 1))


def test_an_error_is_hard_where_there_is_no_detail():
    clean = faces(0, 8)
    flat = torch.full_like(clean, 0.5)
    assert (hardness(flat + 0.1, flat) > hardness(clean + 0.1, clean)).all()
    assert torch.isfinite(hardness(flat, flat)).all()
    assert torch.equal(hardness(clean, clean), torch.zeros(8))


def test_matching_is_in_single_precision_wherever_the_denoiser_is():
    denoised, clean = faces(1) - 0.1, faces(1)
    matching, mixed = (FeatureMatching(RowsAndColumns(), 12) for _ in range(2))
    for _ in range(30):
        expected = matching(denoised, clean)
        with torch.autocast("cpu", torch.bfloat16):
            found = mixed(denoised, clean)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_the_reader_goes_where_the_pictures_are_and_is_nobody_s_part(monkeypatch):
    # A stand-in for a GPU, which knows no mixed precision.
    monkeypatch.setattr(torch, "autocast", lambda *_, **options: nullcontext(options))
    features, pictures = RowsAndColumns(), torch.empty(8, 1, 48, 48, device="meta")
    matching = FeatureMatching(features, 12).to("meta")
    assert not list(matching.parameters())
    assert matching(pictures, pictures).is_meta
    assert features.weight.is_meta
    assert not features.training


def test_moments_go_on_from_a_checkpoint():
    matching, again = (FeatureMatching(RowsAndColumns(), 12) for _ in range(2))
    for seed in range(30):
        matching(faces(seed) - 0.1, faces(seed))
    again.load_state_dict(matching.state_dict())
    torch.testing.assert_close(
        again(faces(40) - 0.1, faces(40)), matching(faces(40) - 0.1, faces(40)), rtol=0, atol=0
    )


def test_the_second_reader_is_another_one_and_reads():
    second, first = load_classifier(SECOND_READER), load_classifier(CLASSIFIER_WEIGHTS)
    assert (SECOND_READER / CLASSIFIER_NAME).read_bytes() != (
        CLASSIFIER_WEIGHTS / CLASSIFIER_NAME
    ).read_bytes()
    batch = faces(0).numpy()[:, 0]
    assert np.isfinite(second.features(batch)).all()
    assert not np.allclose(second.features(batch), first.features(batch), atol=0.1)
    assert Path(f"{SECOND_READER}.toml").exists()


def test_a_gan_can_match_features(tmp_path):
    adversarial = {"discriminator": {"width": 4}, "feature_weight": 0.5}
    settings = ADVERSARIAL | {"adversarial": adversarial}
    config = read_config(write_config(tmp_path / "tiny.toml", **settings))
    module = AdversarialModule(config)
    assert isinstance(module.matching, FeatureMatching)
    names = {name for name, _ in module.named_parameters()}
    assert {name.split(".")[0] for name in names} == {"network", "discriminator"}  # nobody else learns
    assert (
        AdversarialModule(read_config(write_config(tmp_path / "b.toml", **ADVERSARIAL))).matching is None
    )
    colour = settings | {"settings": {"widths": [4, 8], "channels": 3}}
    with pytest.raises(ConfigError, match="sees no colour"):
        AdversarialModule(read_config(write_config(tmp_path / "c.toml", **colour)))
