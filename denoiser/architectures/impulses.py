"""Finding black and white impulses and filling them in: one definition for the filter and the hybrid."""

import torch

WINDOWS = (3, 5, 7, 9)
"""Sides of the windows, tried in turn."""

HALF_GRAY_LEVEL = 1 / 510
"""Half an 8-bit gray level: rounding to 8 bits moves no pixel further."""


def find_extremes(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which pixels are black and which are white, to half an 8-bit gray level.

    Args:
        batch: Any shape, in [0, 1].
    """
    return batch <= HALF_GRAY_LEVEL, batch >= 1 - HALF_GRAY_LEVEL


def with_extremes(batch: torch.Tensor, channels: int = 1) -> torch.Tensor:
    """Return pictures with two maps more, 1 where the last picture is black and where it is white.

    Args:
        batch: (B, C, H, W) in [0, 1].
        channels: Of the last picture; one in colour is black where all its channels are.

    Returns:
        (B, C + 2, H, W).
    """
    extremes = [found.all(dim=1, keepdim=True) for found in find_extremes(batch[:, -channels:])]
    return torch.cat([batch, *(found.to(batch) for found in extremes)], dim=1)


def trimmed_median(batch: torch.Tensor) -> torch.Tensor:
    """Replace black and white pixels by the median of the others around them (MDBUTMF).

    Only pixels that are 0 or 1 (to half an 8-bit gray level) count as salt or pepper; all others
    stay as they are. The window grows from 3 to 9 pixels until it holds another kind of pixel,
    where the paper stops at 3; without any, the mean of the 3x3 window is used, as in the paper.
    The picture goes on mirrored beyond its borders.

    Args:
        batch: (B, C, H, W) in [0, 1], on any device; channels are filtered separately.

    Returns:
        (B, C, H, W), a new tensor.

    References:
        S. Esakkirajan, T. Veerakumar, A. N. Subramanyam and C. H. PremChand, "Removal of high
        density salt and pepper noise through modified decision based unsymmetric trimmed median
        filter", IEEE SPL 18(5), 2011, doi:10.1109/LSP.2011.2122333.
    """
    height, width = batch.shape[2:]
    planes = batch.reshape(-1, height, width)
    black, white = find_extremes(planes)
    extreme = black | white
    trimmed = torch.where(extreme, torch.inf, planes)  # infinity sorts behind what counts
    restored = planes.clone()
    pending = extreme.nonzero()
    for size in WINDOWS:
        window = _sorted(_windows(trimmed, pending, size))
        count = (window < torch.inf).sum(dim=1, keepdim=True)
        has_values = count[:, 0] > 0
        values, count = window[has_values], count[has_values]
        middle = (values.gather(1, (count - 1) // 2) + values.gather(1, count // 2)) / 2
        restored[pending[has_values].unbind(1)] = middle[:, 0]
        pending = pending[~has_values]
        if not torch.compiler.is_exporting() and not len(pending):
            return restored.reshape(batch.shape)
    restored[pending.unbind(1)] = _windows(planes, pending, 3).mean(dim=1)
    return restored.reshape(batch.shape)


def _sorted(windows: torch.Tensor) -> torch.Tensor:
    """Sort each of the windows, (P, N)."""
    if torch.compiler.is_exporting():  # ONNX Runtime before 1.31 crashes where it has nothing to sort
        first = windows.new_zeros(1, windows.shape[1])
        return torch.cat([first, windows]).sort(dim=1).values[1:]
    return windows.sort(dim=1).values


def _windows(planes: torch.Tensor, pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Return the windows around some pixels.

    Args:
        planes: (N, H, W).
        pixels: (P, 3): plane, row and column of each.
        size: Side of the window, odd.

    Returns:
        (P, size * size).
    """
    offsets = torch.arange(size, device=planes.device) - size // 2
    plane, row, column = pixels.unbind(1)
    rows = mirrored(row[:, None] + offsets, planes.shape[1])
    columns = mirrored(column[:, None] + offsets, planes.shape[2])
    return planes[plane[:, None, None], rows[:, :, None], columns[:, None, :]].flatten(1)


def mirrored(index: torch.Tensor, length: int) -> torch.Tensor:
    """Fold an index beyond the ends back: the picture and its mirror image take turns."""
    period = index.new_full((1,), 2 * length)  # a tensor: ONNX has no remainder of a size
    index = index % period
    return torch.minimum(index, period - 1 - index)
