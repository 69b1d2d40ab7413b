"""A picture of each variable, from a coarse read: a map where its cells have a place, else a plane or a line."""

from collections.abc import Hashable

import numpy as np
import xarray as xr

from amasia.stores.describing import places, reads
from amasia.stores.pictures import lines, maps, planes
from amasia.stores.pictures.frames import number

_ACROSS = 400
"""Cells along each dimension of a map."""
_CELLS = 120_000
"""Of a list of cells."""
_POINTS = 600
"""Of a line."""


def draw(ds: xr.Dataset, name: Hashable) -> str:
    """An SVG; empty where a variable has no numbers, or reading few of them means to read too much."""
    variable = ds.variables[name]
    if variable.dtype.kind not in "fiub" or not variable.size:
        return ""
    if variable.size == 1:
        return ""
    grid = places.grid(ds, variable)
    if grid is not None and grid.spread():
        return _map(ds, name, variable, grid)
    long = [dim for dim, size in zip(variable.dims, variable.shape, strict=True) if size > 1]
    if len(long) >= 2 and min(_sizes(variable)[dim] for dim in long[-2:]) >= 4:
        return _plane(ds, name, variable, (long[-2], long[-1]))
    return _line(ds, name, variable, max(long, key=lambda dim: _sizes(variable)[dim]))


def _map(ds: xr.Dataset, name: Hashable, variable: xr.Variable, grid: places.Grid) -> str:
    sizes = {dim: size for dim, size in _sizes(variable).items() if dim in grid.dims}
    across = _CELLS if len(grid.dims) == 1 else _ACROSS
    values, index, note = _read(ds, variable, reads.coarse(sizes, across), grid.dims)
    if values is None:
        return ""
    lon, lat = grid.at(index)
    return maps.draw(lon, lat, values, _label(ds, name, note), _units(variable), note)


def _plane(ds: xr.Dataset, name: Hashable, variable: xr.Variable, dims: tuple[Hashable, Hashable]) -> str:
    index = reads.coarse({dim: _sizes(variable)[dim] for dim in dims}, _ACROSS)
    values, _, note = _read(ds, variable, index, dims)
    if values is None:
        return ""
    return planes.draw(values, (str(dims[0]), str(dims[1])), _label(ds, name, note), _units(variable))


def _line(ds: xr.Dataset, name: Hashable, variable: xr.Variable, dim: Hashable) -> str:
    index = reads.coarse({dim: _sizes(variable)[dim]}, _POINTS)
    values, index, note = _read(ds, variable, index, (dim,))
    if values is None:
        return ""
    first, last = (_at(ds, dim, int(index[dim][end])) for end in (0, -1))
    return lines.draw(values, (first, last), _label(ds, name, note), _units(variable))


def _read(
    ds: xr.Dataset, variable: xr.Variable, index: reads.Index, dims: tuple[Hashable, ...]
) -> tuple[np.ndarray | None, reads.Index, str]:
    """Values over ``dims``, the index that was afforded, and which step of the other dimensions they are of.

    The last time, because that is what is new; of what else there is the first.
    """
    others = {dim: _pick(ds, dim, size) for dim, size in _sizes(variable).items() if dim not in dims}
    afforded = reads.affordable(variable, index | {dim: np.array([at]) for dim, at in others.items()})
    if afforded is None:
        return None, index, ""
    kept = {dim: afforded[dim] for dim in dims}
    taken = variable.isel(kept | others).transpose(*dims)
    values = np.asarray(taken.values).astype(np.float64)
    steps = [_at(ds, dim, at, named=True) for dim, at in others.items() if _sizes(variable)[dim] > 1]
    return values, kept, ", ".join(steps[:2])


def _pick(ds: xr.Dataset, dim: Hashable, size: int) -> int:
    found = ds.variables.get(dim)
    timed = "time" in str(dim).lower() or (found is not None and found.dtype.kind == "M")
    return size - 1 if timed else 0


def _at(ds: xr.Dataset, dim: Hashable, at: int, *, named: bool = False) -> str:
    """A step in words: its coordinate where it has one, else its number."""
    found = ds.variables.get(dim)
    if found is None or found.dims != (dim,):
        return f"{dim} {at}"
    value = found[at].values[()]
    if isinstance(value, np.datetime64):
        text = str(value.astype("datetime64[m]"))
        return text.removesuffix("T00:00").replace("T", " ")
    if isinstance(value, np.number):
        text = f"{number(float(value))} {_units(found)}".strip()
        return f"{dim} {text}" if named else text
    return str(value)[:19]


def _label(ds: xr.Dataset, name: Hashable, note: str) -> str:
    long = ds.variables[name].attrs.get("long_name", "")
    return ", ".join(str(part) for part in (long or name, note) if part)


def _units(variable: xr.Variable) -> str:
    units = str(variable.attrs.get("units", ""))
    return "" if units == "1" else units


def _sizes(variable: xr.Variable) -> dict[Hashable, int]:
    return dict(zip(variable.dims, variable.shape, strict=True))
