"""How much is read: a bounded number of chunks, evenly over the array."""

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

MOST_BYTES = 192 << 20
"""Of decoded chunks that one read may touch."""

type Index = dict[Hashable, NDArray[np.intp]]


def coarse(sizes: Mapping[Hashable, int], most: int) -> Index:
    """Evenly spread places along each dimension, first and last among them, at most so many."""
    return {dim: _spread(size, most) for dim, size in sizes.items()}


def affordable(variable: xr.Variable, index: Index) -> Index | None:
    """An index that touches no more than `MOST_BYTES` of chunks: fewer places where needed; None where one is too much.

    Places in one chunk cost one chunk together, so only the number of chunks along each dimension counts.
    """
    stored = variable.encoding.get("chunks")
    lengths: Sequence[int] = stored or variable.shape
    chunk = math.prod(lengths) * variable.dtype.itemsize
    if chunk > MOST_BYTES:
        return None
    along = dict(zip(variable.dims, lengths, strict=True))
    many = {dim: len(np.unique(index[dim] // max(along[dim], 1))) for dim in index if dim in along}
    room = MOST_BYTES // max(chunk, 1)
    if math.prod(many.values()) <= room:
        return index
    fewer = dict(index)
    while math.prod(many.values()) > room:
        widest = max(many, key=lambda dim: many[dim])
        many[widest] = max(1, many[widest] // 2)
        if many[widest] == 1 and math.prod(many.values()) > room and max(many.values()) == 1:
            return None
        size = dict(zip(variable.dims, variable.shape, strict=True))[widest]
        fewer[widest] = _spread(size, many[widest])
    return fewer


def _spread(size: int, most: int) -> NDArray[np.intp]:
    if size <= most:
        return np.arange(size)
    return np.unique(np.linspace(0, size - 1, max(most, 1)).round().astype(np.intp))
