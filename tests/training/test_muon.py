"""The optimizer Muon: orthogonal steps, their size, and what it gains."""

import copy

import pytest
import torch
from torch import nn

from train.modules.muon import Muon
from train.modules.muon import orthogonalize as orthogonalize_all


def orthogonalize(matrix):
    return orthogonalize_all([matrix])[0]


@pytest.mark.parametrize("shape", [(8, 8), (4, 36), (36, 4), (16, 1), (1, 9)])
def test_singular_values_become_about_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix))
    assert values.min() > 0.6  # the quintic settles between about 0.68 and 1.2
    assert values.max() < 1.25


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
def test_singular_vectors_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ orthogonalize(matrix) @ v.T
    torch.testing.assert_close(turned, torch.diag(turned.diagonal()), atol=1e-4, rtol=0)


def test_scale_of_the_gradient_does_not_matter():
    matrix = torch.randn(6, 20, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(orthogonalize(1e-4 * matrix), orthogonalize(matrix), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(4, 36), (36, 4), (24, 24)])
def test_agrees_with_the_iteration_on_the_matrix_itself(shape):
    """Jordan's five steps, each of them a product with the whole matrix."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(6)).double()
    expected = matrix / matrix.norm()
    for _ in range(5):
        square = expected @ expected.T
        expected = 3.4445 * expected + (-4.7750 * square + 2.0315 * square @ square) @ expected
    torch.testing.assert_close(orthogonalize(matrix), expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(orthogonalize(matrix.float()), expected.float(), atol=1e-3, rtol=0)


def test_zero_stays_zero():
    assert torch.equal(orthogonalize(torch.zeros(3, 5)), torch.zeros(3, 5))


@pytest.mark.parametrize("shape", [(32, 16, 3, 3), (16, 1, 3, 3), (64, 64, 2, 2), (32,)])
def test_a_step_is_as_large_as_one_of_adam(shape):
    """Its root mean square is 0.2 learning rates (Liu et al. 2025), for tensors of any shape."""
    generator = torch.Generator().manual_seed(3)
    parameter = nn.Parameter(torch.zeros(shape))
    parameter.grad = torch.randn(shape, generator=generator)
    Muon([parameter], lr=0.01).step()
    assert float(parameter.detach().square().mean().sqrt()) == pytest.approx(0.002, rel=0.35)


@pytest.mark.parametrize("shape", [(7,), (1, 5, 3, 3), (6, 1, 1, 1)])
def test_what_has_one_direction_takes_the_steps_of_adam(shape):
    generator = torch.Generator().manual_seed(7)
    ours, theirs = (nn.Parameter(torch.ones(shape)) for _ in range(2))
    muon, adam = Muon([ours], lr=0.04), torch.optim.Adam([theirs], lr=0.01)
    for _ in range(20):
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.clone()
        muon.step()
        adam.step()
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_parameter_without_a_gradient_stays():
    parameter = nn.Parameter(torch.ones(3, 3))
    Muon([parameter], lr=0.1).step()
    assert torch.equal(parameter.detach(), torch.ones(3, 3))


def _distances(optimizer: type, lr: float) -> tuple[float, float]:
    """Fit a matrix to a target through badly scaled inputs; return its distance before and after."""
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randn(64, 16, generator=generator) * torch.logspace(0, -2, 16)
    target = torch.randn(16, 16, generator=generator)
    weight = nn.Parameter(torch.zeros(16, 16))
    running = optimizer([weight], lr=lr)
    for step in range(200):
        running.param_groups[0]["lr"] = lr * (1 - step / 200)
        running.zero_grad()
        (inputs @ (weight - target)).square().sum().backward()
        running.step()
    return float(target.norm()), float((weight.detach() - target).norm())


def test_no_direction_is_left_behind():
    """Where some inputs are 100 times as faint, plain gradient steps hardly move their weights."""
    start, muon = _distances(Muon, 0.3)
    _, plain = _distances(torch.optim.SGD, 0.005)
    assert muon < 0.2 * start < plain


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (4,)])
def test_goes_on_from_a_saved_state(shape):
    generator = torch.Generator().manual_seed(5)
    gradients = torch.randn(6, *shape, generator=generator)
    one = nn.Parameter(torch.zeros(shape))
    running = Muon([one], lr=0.1)
    for index, gradient in enumerate(gradients):
        if index == 3:
            two = nn.Parameter(one.detach().clone())
            resumed = Muon([two], lr=0.1)
            resumed.load_state_dict(copy.deepcopy(running.state_dict()))
        for parameter, optimizer in [(one, running)] + ([(two, resumed)] if index >= 3 else []):
            parameter.grad = gradient.clone()
            optimizer.step()
    assert torch.equal(one, two)
