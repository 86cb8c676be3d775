"""What a gain or a loss is called, where it is worth a word."""

from denoiser.pipeline import (
    TIE,
    root_mean_square,
)

NOTHING_TO_REMOVE = "nothing to remove"
"""What the noisy picture's card says where it is the clean one."""

WORSE = "worse than doing nothing"

_NO_BETTER = "no better than doing nothing"

_LEAST_SHOWN = 0.05  # of 255; less is 0.0 where it is shown


def gain_flag(gain: float | None, psnr: float | None) -> str:
    """Say of a gain in dB, None where there was nothing to remove, that it is none or a loss."""
    if gain is None:
        assert psnr is not None
        lost = _lost(psnr)
        return "" if lost == 0 else WORSE if lost >= _LEAST_SHOWN else _NO_BETTER
    return WORSE if gain < -TIE else "" if gain > TIE else _NO_BETTER


def write_loss(psnr: float) -> str:
    """Say what a method destroys where there is nothing to remove: root mean square, of 255."""
    lost = _lost(psnr)
    if lost == 0:
        return "changes nothing"
    return f"destroys {lost:.1f} of 255" if lost >= _LEAST_SHOWN else "destroys < 0.1 of 255"


def _lost(psnr: float) -> float:
    return 255 * root_mean_square(psnr)
