# mypy: allow-untyped-calls
"""Files as tasks of Dask: their values are read by whoever writes them, on the workers of a cluster."""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dask.array
import numpy as np
import xarray as xr
from dask.core import flatten
from dask.delayed import delayed
from dask.highlevelgraph import HighLevelGraph

from amasia.stores import readers, sources
from amasia.stores.readers.contents import Contents
from amasia.stores.reading import Found, Wanted, looked, named

_TASK = 64 << 20
"""Bytes of a variable that one task reads."""
_SMALL = 64 << 10
"""Bytes of a coordinate that is always handed over."""
_COMPARED = 256 << 20
"""Bytes of a variable that a series does not grow, to be told from others by its content."""


def look(wanted: Wanted) -> Found:
    """A file with tasks in place of its numbers.

    Raises
    ------
    NotFound, DataRejected
        It cannot be read; it is named.
    """
    return looked(wanted, _kept)


def values(wanted: Wanted, group: str, names: Sequence[Hashable], part: Mapping[Hashable, slice]) -> list[np.ndarray]:
    """Some variables of a file, or a part of them: what the tasks of a lazy reading do."""
    with (
        sources.at_hand(wanted.source) as path,
        named(path, wanted.source),
        readers.read(path, wanted.options) as contents,
    ):
        ds = contents.groups[group]
        return [ds.variables[name].isel(part, missing_dims="ignore").values for name in names]


def _kept(wanted: Wanted, found: Found, contents: Contents) -> Found:
    groups = {group: _as_tasks(ds, group, wanted, found.digest) for group, ds in contents.groups.items()}
    return replace(found, contents=replace(contents, groups=groups))


def _as_tasks(ds: xr.Dataset, group: str, wanted: Wanted, digest: str) -> xr.Dataset:
    """Numbers as tasks: those of a small file as one that reads it once, large variables piece by piece.

    What orders and describes a dataset (text, times, coordinates of one dimension) is small, and stays.
    """
    numbers = {name: one for name, one in ds.variables.items() if _is_heavy(name, one, ds)}
    small = [name for name, one in numbers.items() if one.nbytes <= _TASK]
    once = delayed(values, pure=False)(wanted, group, small, {}, dask_key_name=f"read-{digest}-{group}")
    made = {name: _array(once[index], numbers[name].shape, numbers[name].dtype) for index, name in enumerate(small)}
    for name, one in numbers.items():
        if name not in made:
            made[name] = _in_pieces(wanted, group, name, one)
        if wanted.append_dim and wanted.append_dim not in one.dims and one.nbytes <= _COMPARED:
            # Of what a series does not grow, equal values are known by their name, and need not be fetched.
            made[name] = _named_by_content(made[name], one)
    coords = {name: made[name] for name in made if name in ds.coords}
    lazy = {name: ds.variables[name].copy(deep=False, data=array) for name, array in made.items()}
    rest = ds.drop_vars(list(made)).load()
    held = {name: one for name, one in lazy.items() if name not in coords}
    return rest.assign_coords({name: lazy[name] for name in coords}).assign(held)


def _is_heavy(name: Hashable, variable: xr.Variable, ds: xr.Dataset) -> bool:
    if variable.dtype.kind not in "iufcb" or not variable.ndim or not variable.size:
        return False
    return name in ds.data_vars or (variable.ndim > 1 and variable.nbytes > _SMALL)


def _array(task: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    return dask.array.from_delayed(task, shape, dtype)


def _in_pieces(wanted: Wanted, group: str, name: Hashable, variable: xr.Variable) -> Any:
    """Along the first dimension."""
    dim, length = variable.dims[0], variable.shape[0]
    step = max(1, length * _TASK // variable.nbytes)
    pieces = []
    for start in range(0, length, step):
        stop = min(start + step, length)
        task = delayed(values, pure=False)(wanted, group, [name], {dim: slice(start, stop)})[0]
        pieces.append(_array(task, (stop - start, *variable.shape[1:]), variable.dtype))
    return dask.array.concatenate(pieces)


def _named_by_content(array: Any, variable: xr.Variable) -> Any:
    content = hashlib.sha256(np.ascontiguousarray(variable.values).tobytes()).hexdigest()
    whole = array.rechunk(-1)
    name = f"fixed-{content}-{variable.dtype}-{'x'.join(map(str, variable.shape))}"
    layer: dict[Any, Any] = {(name, *(0,) * whole.ndim): next(iter(flatten(whole.__dask_keys__())))}
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[whole])
    return dask.array.Array(graph, name, whole.chunks, meta=whole._meta)
