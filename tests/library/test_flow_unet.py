"""The flow: its start, its path, and what it takes over."""

import pytest
import torch

from denoiser.architectures import FlowUNet, build_network
from denoiser.architectures.flow_unet import FlowUNetConfig

SMALL = {"widths": [4, 8], "encoder_blocks": [1, 1], "decoder_blocks": [1], "mean_widths": [4, 8]}


@pytest.fixture
def network() -> FlowUNet:
    torch.manual_seed(0)
    built = build_network("flow-unet", SMALL)
    assert isinstance(built, FlowUNet)
    return built.eval()


def test_without_a_learned_velocity_white_noise_stays_white_noise(network):
    # That answer is exact where remainders are as large as the noise: at both ends of the path their
    # size is the same, and what is linear is followed but for the rule's error.
    torch.nn.init.zeros_(network.velocity.output.weight)
    noisy = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    start = network.start(noisy.shape, 0)
    with torch.inference_mode():
        remainder = network.sample(noisy, start, 200) - network.mean(noisy)
    torch.testing.assert_close(remainder, start, atol=2e-4, rtol=0)


def test_more_steps_come_nearer_to_the_path(network):
    noisy = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    start = network.start(noisy.shape, 0)
    with torch.inference_mode():
        exact = network.sample(noisy, start, 64)
        errors = [
            float((network.sample(noisy, start, steps) - exact).square().mean()) for steps in (2, 4, 8)
        ]
    assert errors[0] > 4 * errors[1] > 16 * errors[2]  # of the second order: each would be 16 times


def test_starts_are_white_noise_of_their_strength_and_tell_samples_apart(network):
    start = network.start((1, 1, 96, 96), 3)
    sigma, pixels = FlowUNetConfig().start_sigma, 96 * 96
    assert float(start.std()) == pytest.approx(sigma, abs=4 * sigma / (2 * pixels) ** 0.5)
    assert float(start.mean()) == pytest.approx(0, abs=4 * sigma / pixels**0.5)
    assert torch.equal(start, network.start((1, 1, 96, 96), 3))
    assert not torch.equal(start, network.start((1, 1, 96, 96), 4))


def test_a_picture_alone_and_in_a_batch_get_the_same_sample(network):
    noisy = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        together = network(noisy)
        alone = torch.cat([network(picture) for picture in noisy.split(1)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_takes_over_an_attention_unet_or_a_flow(network):
    torch.manual_seed(1)
    mean = build_network("attention-unet", {"widths": [4, 8], "impulse_map": True})
    velocity = {name: value.clone() for name, value in network.velocity.state_dict().items()}
    network.start_from(mean.state_dict())
    noisy = torch.rand(1, 1, 16, 16)
    torch.testing.assert_close(network.intermediate(noisy), mean.eval()(noisy))
    for name, value in network.velocity.state_dict().items():
        assert torch.equal(value, velocity[name])
    other = build_network("flow-unet", SMALL)
    other.start_from(network.state_dict())
    torch.testing.assert_close(other.eval()(noisy), network(noisy))


@pytest.mark.parametrize("settings", [{"start_sigma": 0.0}, {"start_sigma": 1.1}])
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match="start_sigma lies above 0"):
        build_network("flow-unet", SMALL | settings)
