"""Muon: momentum, made orthogonal."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's: they take singular values to about 1 soonest
_STEPS = 5
_ADAM = (0.9, 0.999)  # shares of the past in Adam's two averages
_VECTORS = 0.25  # of the learning rate, for what takes Adam's steps


class Muon(torch.optim.Optimizer):
    """Momentum whose every step has all its singular values near 1, whatever the gradient's are.

    A convolution's weights (outputs, inputs, height, width) count as a matrix of as many rows as it has
    outputs. No direction of a layer is left behind because its gradients are small; that is what makes
    a network without batch norm slow to train with Adam. A step's root mean square is about 0.2 times
    the learning rate, which is Adam's, so that learning rates compare.

    Biases, and weights of a single output, have one direction only. Muon's steps in it would be of full
    size whatever the gradient is: attention gates drift shut that way. They take Adam's steps, at a
    quarter of the learning rate.

    PyTorch's own, from 2.9 on, takes matrices only.

    Args:
        params: Parameters of any number of dimensions.
        lr: Learning rate.
        momentum: Share of the past in the momentum (Nesterov's).

    References:
        K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
        https://kellerjordan.github.io/posts/muon; J. Liu et al., "Muon is scalable for LLM training",
        2025, arXiv:2502.16982 (the size of a step); D. P. Kingma and J. Ba, "Adam", ICLR 2015,
        arXiv:1412.6980.
    """

    def __init__(self, params: Iterable[Any], lr: float = 2e-3, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Change the parameters once.

        Args:
            closure: Computes the loss anew, with its gradients; None if they are there.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if min(len(parameter), parameter[0].numel()) == 1:
                    step = _adam_step(parameter.grad, state)
                    parameter.add_(step, alpha=-_VECTORS * group["lr"])
                else:
                    step = _muon_step(parameter.grad, state, group["momentum"])
                    parameter.add_(step, alpha=-group["lr"])
        return loss


def _muon_step(gradient: torch.Tensor, state: dict[str, Any], share: float) -> torch.Tensor:
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    momentum = state["momentum"].lerp_(gradient, 1 - share)
    matrix = gradient.lerp(momentum, share).reshape(len(gradient), -1)
    size = 0.2 * max(matrix.shape) ** 0.5
    return size * orthogonalize(matrix).reshape(gradient.shape)


def _adam_step(gradient: torch.Tensor, state: dict[str, Any]) -> torch.Tensor:
    if not state:
        state["steps"] = 0
        state["momentum"] = torch.zeros_like(gradient)
        state["square"] = torch.zeros_like(gradient)
    state["steps"] += 1
    steps, (first, second) = state["steps"], _ADAM
    momentum = state["momentum"].lerp_(gradient, 1 - first) / (1 - first**steps)
    square = state["square"].lerp_(gradient.square(), 1 - second) / (1 - second**steps)
    return momentum / (square.sqrt() + 1e-8)


def orthogonalize(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix with the same singular vectors, and singular values between about 0.7 and 1.2.

    By five steps of a Newton-Schulz iteration, which needs products of matrices only. Each multiplies
    the matrix by a polynomial of ``matrix @ matrix.T``. The polynomials are taken on that square, which
    is several times as small, and the matrix is multiplied once, at the end: half the time. Directions
    whose singular value is below about a thousandth of the matrix's norm stay smaller.

    Args:
        matrix: (M, N), any numbers.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalize(matrix.T).T  # the products are smaller
    a, b, c = _COEFFICIENTS
    wide = matrix / (matrix.norm() + 1e-12)
    square = wide @ wide.T
    unit = torch.eye(len(wide), dtype=wide.dtype, device=wide.device)
    steps = unit
    for _ in range(_STEPS):
        step = a * unit + b * square + c * square @ square
        square = step @ square @ step
        steps = step @ steps
    return steps @ wide
