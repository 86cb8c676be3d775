"""Near copies: pictures found twice on the web, of which one lies in training and one in the test.

FER2013 was gathered by a search engine. What it found more than once differs in compression, in scale
by some per cent, in the crop by some pixels, in contrast, in a watermark, or is mirrored. Single pixels
tell little then; what stays is the structure of a few pixels' size. Two pictures are compared by the
correlation of their band-passed pixels, the largest over shifts, scales and mirroring.

References:
    J. P. Lewis, "Fast normalized cross-correlation", Vision Interface 1995.
"""

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.ndimage import gaussian_filter1d

COPY = 0.8
"""Correlation from which on two pictures are copies of one.

Of FER2013's pairs, those at 0.80 to 0.85 are the fewest: above lie copies, below different faces. Looked
at as pictures, all pairs above 0.85 are copies, about nine of ten from 0.80 to 0.85, and a third below.
"""

_SIDE = 48
_WINDOW = 40  # compared: what is left of a picture when it may move by 4 pixels each way
_SCALES = (44, 46, 50, 52)  # tried besides the picture's own 48

# Band-passes, by the standard deviations of their two smoothings in pixels. The first looks for
# candidates on cells of 4x4 pixels, the second drops most on cells of 2x2, the third decides on pixels.
_COARSE, _MEDIUM, _FINE = (2.0, 8.0), (1.0, 4.0), (0.8, 3.0)
_PLACES = ((0, 0), (-2, -2), (-2, 2), (2, -2), (2, 2))  # from which windows of 4x4 cells are cut

# Correlations below which a pair is dropped: by cells of 4x4 and of 2x2 pixels, and by pixels at its own
# scale. Each loses about one in a hundred of the copies; together they save most of the time.
_COARSE_LEAST, _MEDIUM_LEAST, _FINE_LEAST = 0.8, 0.64, 0.57

_LEAST_RMS = 0.5  # gray levels; what varies less is rounding, not a face
_HELD_OUT_AT_ONCE = 64
_PAIRS_AT_ONCE = 512


def find_copies(
    pictures: npt.NDArray[np.uint8], held_out: npt.NDArray[np.uint8]
) -> npt.NDArray[np.bool_]:
    """Tell which pictures are near copies of a held-out one: correlation :data:`COPY` or above.

    Compared are all shifts by up to 4 pixels, sizes from 44 to 52 of 48 pixels, and mirror images. Blank
    pictures are no copies.

    Args:
        pictures: (N, 48, 48).
        held_out: (M, 48, 48).

    Returns:
        (N,); the same for the same pictures, in whatever order.
    """
    is_copy = np.zeros(len(pictures), bool)
    if not len(pictures) or not len(held_out):
        return is_copy
    picture_tensor = _tensor(pictures)
    for mirrored in (False, True):
        held_out_tensor = _tensor(held_out[:, :, ::-1] if mirrored else held_out)
        pairs = _candidates(picture_tensor, held_out_tensor)
        pairs = pairs[
            _correlate(picture_tensor, held_out_tensor, pairs, _MEDIUM, cell=2) >= _MEDIUM_LEAST
        ]
        best = _correlate(picture_tensor, held_out_tensor, pairs, _FINE)
        for scale in _SCALES:
            unsure = (best >= _FINE_LEAST) & (best < COPY)
            scaled = _correlate(picture_tensor, held_out_tensor, pairs[unsure], _FINE, scale)
            best[unsure] = np.maximum(best[unsure], scaled)
        is_copy[pairs[best >= COPY, 1]] = True
    return is_copy


def _tensor(pictures: npt.NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures, np.float32))


def _smoothing(sigma: float, size: int = _SIDE) -> npt.NDArray[np.float64]:
    """Return the matrix (size, 48) that resizes a column of pixels and smooths it."""
    resized = cv2.resize(np.eye(_SIDE), (_SIDE, size), interpolation=cv2.INTER_LINEAR)
    return gaussian_filter1d(resized, sigma, axis=0, mode="mirror")


def _middle(size: int, moved: int = 0) -> slice:
    first = (size - _WINDOW) // 2 + moved
    return slice(first, first + _WINDOW)


def _band_passed(
    pictures: torch.Tensor,
    narrow: npt.NDArray[np.float64],
    wide: npt.NDArray[np.float64],
    *columns: npt.NDArray[np.float64],
) -> torch.Tensor:
    """Return the difference of two smoothed versions, (N, rows, columns).

    Args:
        pictures: (N, 48, 48).
        narrow: Matrix (rows, 48) of the lesser smoothing, for each column of pixels.
        wide: That of the greater.
        columns: The two for each row of pixels; the same ones where there are none.
    """
    down = [torch.from_numpy(matrix).float() for matrix in (narrow, wide)]
    across = [torch.from_numpy(matrix).float() for matrix in columns] or down
    less, more = (a @ pictures @ b.T for a, b in zip(down, across, strict=True))
    return less - more


def _candidates(pictures: torch.Tensor, held_out: torch.Tensor) -> npt.NDArray[np.int64]:
    """Return (P, 2) indices of a held-out picture and a picture that look alike from afar."""
    average = _cells(_WINDOW, 4)

    def embed(faces: torch.Tensor, down: int, right: int) -> torch.Tensor:
        rows, columns = (
            [average @ _smoothing(sigma)[_middle(_SIDE, moved)] for sigma in _COARSE]
            for moved in (down, right)
        )
        cells = _band_passed(faces, *rows, *columns).flatten(1)
        cells = cells - cells.mean(1, keepdim=True)
        return cells / cells.norm(dim=1, keepdim=True).clamp_min(_LEAST_RMS * len(average))

    there = embed(pictures, 0, 0).T
    here = torch.stack([embed(held_out, down, right) for down, right in _PLACES], dim=1)
    pairs = []
    for start in range(0, len(here), _HELD_OUT_AT_ONCE):
        part = here[start : start + _HELD_OUT_AT_ONCE]
        alike = (part.flatten(0, 1) @ there).unflatten(0, part.shape[:2]).amax(1)
        pairs.append((alike >= _COARSE_LEAST).nonzero() + torch.tensor([start, 0]))
    return torch.cat(pairs).numpy()


def _correlate(
    pictures: torch.Tensor,
    held_out: torch.Tensor,
    pairs: npt.NDArray[np.int64],
    band: tuple[float, float],
    scale: int = _SIDE,
    cell: int = 1,
) -> npt.NDArray[np.float64]:
    """Return each pair's largest correlation of the one's middle over all places in the other.

    Args:
        pictures: (N, 48, 48).
        held_out: (M, 48, 48).
        pairs: (P, 2) indices of a held-out picture and a picture.
        band: What to compare.
        scale: Size to which the held-out picture is brought before its middle is cut out.
        cell: Side of the cells of pixels that are averaged.
    """
    if not len(pairs):
        return np.empty(0)
    (held_out_rows, first), (picture_rows, second) = (
        np.unique(side, return_inverse=True) for side in pairs.T
    )
    whole = _band_passed(pictures[picture_rows], *(_cells(_SIDE, cell) @ _smoothing(s) for s in band))
    windows = _band_passed(
        held_out[held_out_rows],
        *(_cells(_WINDOW, cell) @ _smoothing(s, scale)[_middle(scale)] for s in band),
    )
    side = windows.shape[-1]
    least = _LEAST_RMS * side
    windows = windows - windows.mean((1, 2), keepdim=True)
    windows = windows / windows.norm(dim=(1, 2), keepdim=True).clamp_min(least)
    correlations = []
    for part in torch.from_numpy(np.stack([first, second], axis=1)).split(_PAIRS_AT_ONCE):
        there = whole[part[:, 1]][None]
        mean = F.avg_pool2d(there, side, stride=1)
        power = F.avg_pool2d(there**2, side, stride=1)
        norm = ((power - mean**2).clamp_min(0).sqrt() * side).clamp_min(least)
        products = F.conv2d(there, windows[part[:, 0]][:, None], groups=len(part))
        correlations.append((products / norm)[0].amax((1, 2)))
    return torch.cat(correlations).double().numpy()


def _cells(size: int, side: int) -> npt.NDArray[np.float64]:
    """Return the matrix (size / side, size) that averages neighbouring pixels of a column."""
    return np.kron(np.eye(size // side), np.full((1, side), 1 / side))
