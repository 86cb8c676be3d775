"""Muon: momentum, made orthogonal."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
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
            parameters = [p for p in group["params"] if p.grad is not None]
            self._take_muon_steps([p for p in parameters if not _has_one_direction(p)], group)
            self._take_adam_steps([p for p in parameters if _has_one_direction(p)], group)
        return loss

    def _take_muon_steps(self, parameters: list[torch.Tensor], group: dict[str, Any]) -> None:
        if not parameters:
            return
        gradients = [_gradient(parameter) for parameter in parameters]
        momenta = [self._state(p, "momentum") for p in parameters]
        share = group["momentum"]
        torch._foreach_lerp_(momenta, gradients, 1 - share)
        ahead = torch._foreach_lerp(gradients, momenta, share)
        matrices = [d.reshape(_matrix_shape(p)) for d, p in zip(ahead, parameters, strict=True)]
        steps = orthogonalize(matrices)
        rates = [-group["lr"] * 0.2 * max(matrix.shape) ** 0.5 for matrix in matrices]
        torch._foreach_mul_(steps, rates)
        shaped = [step.reshape(p.shape) for step, p in zip(steps, parameters, strict=True)]
        torch._foreach_add_(parameters, shaped)

    def _take_adam_steps(self, parameters: list[torch.Tensor], group: dict[str, Any]) -> None:
        if not parameters:
            return
        gradients = [_gradient(parameter) for parameter in parameters]
        momenta = [self._state(p, "momentum") for p in parameters]
        squares = [self._state(p, "square") for p in parameters]
        first, second = _ADAM
        torch._foreach_lerp_(momenta, gradients, 1 - first)
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - second)
        counts = []
        for parameter in parameters:
            self.state[parameter]["steps"] = self.state[parameter].get("steps", 0) + 1
            counts.append(self.state[parameter]["steps"])
        sizes = torch._foreach_div(squares, [1 - second**count for count in counts])
        torch._foreach_sqrt_(sizes)
        torch._foreach_add_(sizes, 1e-8)
        steps = torch._foreach_div(momenta, [1 - first**count for count in counts])
        torch._foreach_div_(steps, sizes)
        torch._foreach_add_(parameters, steps, alpha=-_VECTORS * group["lr"])

    def _state(self, parameter: torch.Tensor, name: str) -> torch.Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter)
        return state[name]


def _has_one_direction(parameter: torch.Tensor) -> bool:
    return min(_matrix_shape(parameter)) == 1


def _matrix_shape(parameter: torch.Tensor) -> tuple[int, int]:
    return len(parameter), parameter[0].numel()


def _gradient(parameter: torch.Tensor) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad


def orthogonalize(matrices: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return matrices with the same singular vectors, and singular values between about 0.7 and 1.2.

    By five steps of a Newton-Schulz iteration, which needs products of matrices only. Each multiplies
    the matrix by a polynomial of ``matrix @ matrix.T``. The polynomials are taken on that square, which
    is several times as small, and the matrix is multiplied once, at the end: half the time. Directions
    whose singular value is below about a thousandth of the matrix's norm stay smaller.

    Matrices whose squares are of one size go through the steps together, as few large products instead
    of many small ones: a GPU would spend most of the time waiting for the next.

    Args:
        matrices: (M, N) each, of any sizes, any numbers.
    """
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, matrix in enumerate(matrices):
        alike[tuple(matrix.shape)].append(index)
    wides = [torch.stack([_wide(matrices[index]) for index in group]) for group in alike.values()]
    wides = [wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-12) for wide in wides]
    by_side: dict[int, list[int]] = defaultdict(list)
    for index, wide in enumerate(wides):
        by_side[wide.shape[1]].append(index)
    results: dict[int, torch.Tensor] = {}
    groups = list(alike.values())
    for stacks in by_side.values():
        squares = torch.cat([wides[stack] @ wides[stack].mT for stack in stacks])
        polynomials = _polynomial(squares).split([len(wides[stack]) for stack in stacks])
        for stack, polynomial in zip(stacks, polynomials, strict=True):
            for index, step in zip(groups[stack], polynomial @ wides[stack], strict=True):
                tall = matrices[index].shape[0] > matrices[index].shape[1]
                results[index] = step.mT if tall else step
    return [results[index] for index in range(len(matrices))]


def _wide(matrix: torch.Tensor) -> torch.Tensor:
    """Turn a tall matrix: its square is smaller."""
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def _polynomial(square: torch.Tensor) -> torch.Tensor:
    """Return what to multiply a matrix by, (..., M, M), of its square, ``matrix @ matrix.T``."""
    a, b, c = _COEFFICIENTS
    unit = torch.eye(square.shape[-1], dtype=square.dtype, device=square.device)
    product = unit
    for _ in range(_STEPS):
        step = a * unit + b * square + c * square @ square
        square = step @ square @ step
        product = step @ product
    return product
