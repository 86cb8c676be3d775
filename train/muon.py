"""Muon: momentum, made orthogonal."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's: they take singular values to about 1 soonest
_STEPS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose every step has all its singular values near 1, whatever the gradient's are.

    A convolution's weights (outputs, inputs, height, width) count as a matrix of as many rows as it has
    outputs. No direction of a layer is left behind because its gradients are small; that is what makes
    a network without batch norm slow to train with Adam. A step's root mean square is about 0.2 times
    the learning rate, which is Adam's, so that learning rates compare.

    PyTorch's own, from 2.9 on, takes matrices only.

    Args:
        params: Parameters of any number of dimensions; a vector is a matrix of one column.
        lr: Learning rate.
        momentum: Share of the past in the momentum (Nesterov's).

    References:
        K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
        https://kellerjordan.github.io/posts/muon; J. Liu et al., "Muon is scalable for LLM training",
        2025, arXiv:2502.16982 (the size of a step).
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
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(momentum, group["momentum"])
                matrix = ahead.reshape(len(ahead), -1)
                size = 0.2 * max(matrix.shape) ** 0.5
                step = orthogonalize(matrix).reshape(ahead.shape)
                parameter.add_(step, alpha=-group["lr"] * size)
        return loss


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
