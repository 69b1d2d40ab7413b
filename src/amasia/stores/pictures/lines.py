"""A line of numbers along one dimension."""

from collections.abc import Iterator

import numpy as np

from amasia.stores.pictures import frames
from amasia.stores.pictures.maps import Numbers

_HEIGHT = 150
_LEFT, _TOP, _BOTTOM = 62, 10, 22


def draw(values: Numbers, ends: tuple[str, str], label: str = "", units: str = "") -> str:
    """Draw numbers that lie at equal distances.

    Parameters
    ----------
    values
        Gaps stay open where there is no number.
    ends
        What the first and the last of them belong to.

    Returns
    -------
    str
        An SVG; empty where there is no number.
    """
    values = np.asarray(values, np.float64).ravel()
    found = values[np.isfinite(values)]
    if not found.size:
        return ""
    low, high = float(found.min()), float(found.max())
    inner = (
        f'<rect x="{_LEFT}" y="{_TOP}" width="{frames.WIDTH - _LEFT}" height="{_HEIGHT}" opacity=".05"/>'
        f'<path d="{"".join(_path(values, low, high))}" fill="none" stroke="#2a7fd4" stroke-width="1.5" '
        'stroke-linejoin="round" stroke-linecap="round"/>'
        f"{frames.words_at(_LEFT - 6, _TOP + 10, frames.number(high), 'end')}"
        f"{frames.words_at(_LEFT - 6, _TOP + _HEIGHT / 2 + 4, units[:9], 'end', 0.65)}"
        f"{frames.words_at(_LEFT - 6, _TOP + _HEIGHT, frames.number(low), 'end')}"
        f"{frames.words_at(_LEFT, _TOP + _HEIGHT + 18, ends[0], opacity=0.8)}"
        f"{frames.words_at(frames.WIDTH, _TOP + _HEIGHT + 18, ends[1], 'end', 0.8)}"
    )
    return frames.frame(inner, _TOP + _HEIGHT + _BOTTOM, label)


def _path(values: Numbers, low: float, high: float) -> Iterator[str]:
    wide = max(len(values) - 1, 1)
    pen = "M"
    for at, value in enumerate(values):
        if not np.isfinite(value):
            pen = "M"
            continue
        x = _LEFT + at / wide * (frames.WIDTH - _LEFT)
        y = _TOP + _HEIGHT - (value - low) / ((high - low) or 1) * _HEIGHT
        yield f"{pen}{x:.1f} {y:.1f}"
        if pen == "M":
            yield "h.1"  # a number between two gaps is a dot
        pen = "L"
