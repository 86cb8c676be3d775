"""What the losses measure, and that they stay finite where roots and logarithms might not."""

import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torchmetrics.functional.image import structural_similarity_index_measure

from train.config import Loss
from train.modules.losses import (
    MS_SSIM_SHARE,
    MS_SSIM_WEIGHTS,
    cosine_distance,
    ms_ssim,
    reconstruction_loss,
)

each_loss = pytest.mark.parametrize("kind", get_args(Loss))


def pictures(seed=0, count=4, cells=12):
    """Blocks of gray: (count, 1, 48, 48) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return F.interpolate(torch.rand(count, 1, cells, cells, generator=generator), 48)


def noisy(clean, sigma, seed=1):
    return clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))


def test_mean_squared_error_and_its_logarithm():
    clean = torch.zeros(2, 1, 4, 4)
    denoised = torch.stack([torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.2)])
    assert reconstruction_loss(denoised, clean, "mse").item() == pytest.approx((0.01 + 0.04) / 2)
    # 20 dB and 13.98 dB: the mean PSNR up to sign and scale
    psnr = -10 / torch.log(torch.tensor(10.0)) * reconstruction_loss(denoised, clean, "psnr")
    assert psnr.item() == pytest.approx((20 + 13.979) / 2, abs=1e-2)
    assert reconstruction_loss(clean, clean, "psnr").isfinite()
    assert reconstruction_loss(denoised, clean, "l1").item() == pytest.approx(0.15)


def test_cross_entropy_is_of_each_pixel_as_a_probability():
    clean, denoised = torch.full((1, 1, 4, 4), 0.25), torch.full((1, 1, 4, 4), 0.5)
    assert reconstruction_loss(denoised, clean, "bce").item() == pytest.approx(math.log(2))
    # No loss is smaller than the clean picture's own entropy.
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert reconstruction_loss(clean, clean, "bce").item() == pytest.approx(entropy)
    uneven, other = pictures(1), pictures(2)
    expected = F.binary_cross_entropy(other, uneven)
    assert reconstruction_loss(other, uneven, "bce").item() == pytest.approx(expected.item(), rel=1e-5)


def test_ms_ssim_is_1_for_the_same_picture_and_falls_with_noise():
    clean = pictures()
    values = [ms_ssim(noisy(clean, sigma), clean).item() for sigma in (0.0, 0.02, 0.1, 0.3)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.9 < values[1]


def test_ms_ssim_is_the_product_of_three_scales():
    """Each scale's term, computed by torchmetrics' own single-scale measure."""
    clean = pictures(count=1)
    damaged = noisy(clean, 0.1)
    expected = torch.ones(())
    a, b = damaged, clean
    for index, weight in enumerate(MS_SSIM_WEIGHTS):
        similarity, contrast = structural_similarity_index_measure(
            a, b, data_range=1.0, return_contrast_sensitivity=True
        )
        term = similarity if index == len(MS_SSIM_WEIGHTS) - 1 else contrast
        expected = expected * term.squeeze() ** weight
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    assert ms_ssim(damaged, clean).item() == pytest.approx(expected.item(), rel=1e-5)
    assert a.shape[-1] == 6  # after three scales
    assert sum(MS_SSIM_WEIGHTS) == pytest.approx(1)


def test_the_mix_weighs_similarity_and_distance():
    clean = pictures()
    damaged = noisy(clean, 0.1)
    expected = 0.84 * (1 - ms_ssim(damaged, clean)) + 0.16 * (damaged - clean).abs().mean()
    assert MS_SSIM_SHARE == 0.84
    assert reconstruction_loss(damaged, clean, "l1+ms-ssim").item() == pytest.approx(expected.item())
    assert reconstruction_loss(clean, clean, "l1+ms-ssim").item() == pytest.approx(0, abs=1e-6)


CLEAN = pictures()
HARD = {
    "the same": (CLEAN, CLEAN),
    "the negative": (1 - CLEAN, CLEAN),  # structures are anti-correlated at every scale
    "negative at one scale": (CLEAN + 0.4 * (-1.0) ** torch.arange(48), CLEAN),
    "flat for a face": (torch.full_like(CLEAN, 0.5), CLEAN),
    "flat and flat": (torch.full_like(CLEAN, 0.5), torch.full_like(CLEAN, 0.2)),
    "black for white": (torch.zeros_like(CLEAN), torch.ones_like(CLEAN)),
    "far outside": (5 * noisy(CLEAN, 1.0), CLEAN),
    "unrelated": (pictures(9, cells=48), CLEAN),
}


@each_loss
@pytest.mark.parametrize("case", HARD)
def test_loss_and_gradient_are_finite(kind, case):
    denoised, clean = HARD[case]
    denoised = denoised.clone().requires_grad_()
    loss = reconstruction_loss(denoised, clean, kind)
    loss.backward()
    assert loss.isfinite()
    assert denoised.grad.isfinite().all()


@each_loss
def test_a_step_against_the_gradient_comes_closer(kind):
    clean = pictures(cells=6).clamp(0.1, 0.9)
    denoised = noisy(clean, 0.05).clamp(0.01, 0.99).requires_grad_()
    before = reconstruction_loss(denoised, clean, kind)
    (gradient,) = torch.autograd.grad(before, denoised)
    after = reconstruction_loss(denoised - 1e-3 * gradient / gradient.abs().max(), clean, kind)
    assert gradient.any()
    assert after < before
    assert reconstruction_loss(clean, clean, kind) < before


@pytest.mark.parametrize("kind", ["bce", "l1+ms-ssim"])
def test_half_precision_around_it_changes_nothing(kind):
    clean = pictures()
    damaged = noisy(clean, 0.05).clamp(0, 1)
    expected = reconstruction_loss(damaged, clean, kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert reconstruction_loss(damaged, clean, kind).item() == expected.item()


def test_the_cosine_is_about_colour_and_not_brightness():
    red = torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1).expand(1, 3, 48, 48)
    green = torch.tensor([0.2, 0.8, 0.2]).view(1, 3, 1, 1).expand(1, 3, 48, 48)
    assert cosine_distance(red / 2, red) == pytest.approx(0, abs=1e-6)
    cosine = (0.16 + 0.16 + 0.04) / (0.64 + 0.04 + 0.04)
    assert cosine_distance(green, red) == pytest.approx(1 - cosine, abs=1e-6)
    gray, other = 0.1 + 0.9 * torch.rand(2, 4, 1, 48, 48)
    assert cosine_distance(gray, other) == pytest.approx(0, abs=1e-4)
    both = reconstruction_loss(green, red, "l1+ms-ssim+cosine")
    plain = reconstruction_loss(green, red, "l1+ms-ssim")
    assert both - plain == pytest.approx(1 - cosine, abs=1e-5)
