"""What every tab with charts needs: the width of the window, which only the browser knows."""

WITH_WIDTH = "(...values) => [...values.slice(0, -1), window.innerWidth]"
"""An event's ``js`` that gives its last input, a hidden number, the width of the window."""

_WIDEST = 1500  # pixels that the page leaves for a chart
_NARROW = 800  # pixels below which two charts stand one above the other


def chart_width(window: float | None, columns: float = 1) -> int:
    """Return how wide a chart is, in pixels.

    Args:
        window: Width of the window in pixels; None or nonsense counts as wide.
        columns: How many charts of this width stand side by side in a wide window.
    """
    if window is None or not window >= 0:
        window = _WIDEST
    page = min(max(window, 320), _WIDEST) - 70
    return int(page if window < _NARROW else page / columns)
