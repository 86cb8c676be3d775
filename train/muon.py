"""Muon: momentum, made orthogonal."""

from collections import defaultdict
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
            trained = [p for p in group["params"] if p.grad is not None]
            flat = [p for p in trained if _has_one_direction(p)]
            for parameter in flat:
                step = _adam_step(parameter.grad, self.state[parameter])
                parameter.add_(step, alpha=-_VECTORS * group["lr"])
            alike = defaultdict(list)
            for parameter in trained:
                if not _has_one_direction(parameter):
                    alike[_matrix_shape(parameter)].append(parameter)
            for parameters in alike.values():
                matrices = [_nesterov(p, self.state[p], group["momentum"]) for p in parameters]
                # One product for all layers of a shape: a GPU would wait for so many small ones.
                steps = orthogonalize(torch.stack(matrices))
                size = 0.2 * max(matrices[0].shape) ** 0.5
                for parameter, step in zip(parameters, steps, strict=True):
                    parameter.add_(step.reshape(parameter.shape), alpha=-group["lr"] * size)
        return loss


def _has_one_direction(parameter: torch.Tensor) -> bool:
    return min(_matrix_shape(parameter)) == 1


def _matrix_shape(parameter: torch.Tensor) -> tuple[int, int]:
    return len(parameter), parameter[0].numel()


def _nesterov(parameter: torch.Tensor, state: dict[str, Any], share: float) -> torch.Tensor:
    """Update the momentum; return the direction that it looks ahead to, as a matrix."""
    gradient = parameter.grad
    assert gradient is not None
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    momentum = state["momentum"].lerp_(gradient, 1 - share)
    return gradient.lerp(momentum, share).reshape(_matrix_shape(parameter))


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
        matrix: (..., M, N), any numbers; of several matrices each for itself.
    """
    if matrix.shape[-2] > matrix.shape[-1]:
        return orthogonalize(matrix.mT).mT  # the products are smaller
    a, b, c = _COEFFICIENTS
    wide = matrix / (matrix.norm(dim=(-2, -1), keepdim=True) + 1e-12)
    square = wide @ wide.mT
    unit = torch.eye(wide.shape[-2], dtype=wide.dtype, device=wide.device)
    steps = unit
    for _ in range(_STEPS):
        step = a * unit + b * square + c * square @ square
        square = step @ square @ step
        steps = step @ steps
    return steps @ wide
