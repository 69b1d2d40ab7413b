"""A field that is nowhere on Earth: two dimensions as they lie in the array."""

import numpy as np

from amasia.stores.pictures import frames, rasters
from amasia.stores.pictures.maps import Numbers

_TALLEST, _FLATTEST = 0.9, 0.25


def draw(values: Numbers, dims: tuple[str, str], label: str = "", units: str = "") -> str:
    """Draw a two-dimensional array, its first row at the top; empty where it has no number."""
    values = np.asarray(values, np.float64)
    found = rasters.scale(values)
    if found is None:
        return ""
    height = frames.WIDTH * min(_TALLEST, max(_FLATTEST, values.shape[0] / values.shape[1]))
    picture = rasters.png(found.indices(values), found.palette())
    note = f"{dims[0]} \N{DOWNWARDS ARROW} {dims[1]} \N{RIGHTWARDS ARROW}"
    inner = (
        f'<rect width="{frames.WIDTH}" height="{height:.0f}" opacity=".06"/>'
        f'<image href="{picture}" width="{frames.WIDTH}" height="{height:.0f}" preserveAspectRatio="none" '
        f'image-rendering="pixelated"/>{frames.legend(found, height, units, note)}'
    )
    return frames.frame(inner, height + frames.BAR, label)
