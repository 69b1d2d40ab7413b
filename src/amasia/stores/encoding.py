"""How datasets are laid out in a repository: dtype, time units, chunks, compression.

Stored is what Xarray's reader decodes. Packed integers are unpacked, because files of one series are often packed
differently, and data appended under another file's scale would be silently wrong; zstd wins most of the space back.
"""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from zarr.codecs import BloscCodec

TARGET = 16 << 20
"""Bytes of a chunk before compression."""
LONGEST = 4096
"""Steps of a growing dimension in one chunk, at most."""
_TIME = ("units", "calendar", "dtype")
_STEPS = {"seconds": "s", "microseconds": "us", "nanoseconds": "ns"}
"""What stored times count, the coarsest first."""


def encoded(
    ds: xr.Dataset, growing: Hashable | None = None, chunks: Mapping[str, int] | None = None
) -> tuple[xr.Dataset, dict[Hashable, dict[str, Any]]]:
    """A dataset with the encodings of its file removed, and the encoding to store it with.

    Parameters
    ----------
    ds
        Decoded, as Xarray opens it.
    growing
        The dimension that more will be appended along: its chunks are sized for what will come.
    chunks
        Chunk lengths by dimension; others are chosen so that a chunk holds about 16 MiB.

    Returns
    -------
    (Dataset, dict)
        For `xarray.Dataset.to_zarr` and the like; values and attributes are the same.
    """
    clean = ds.drop_encoding()
    clean.attrs = {key: plain(value) for key, value in ds.attrs.items()}
    encoding: dict[Hashable, dict[str, Any]] = {}
    for name, variable in ds.variables.items():
        clean[name].attrs = {key: plain(value) for key, value in variable.attrs.items()}
        encoding[name] = _time_encoding(variable) | _layout(variable, growing, chunks or {})
    _agree_on_bounds(ds, encoding)
    for name, chosen in encoding.items():
        clean[name] = resolved(clean[name].variable, str(chosen.get("units", "")))
    return clean, encoding


def resolved(variable: xr.Variable, units: str) -> xr.Variable:
    """Times at the resolution that they are counted in: Xarray turns coarser ones into NaT, and says nothing."""
    step = _STEPS.get(units.partition(" ")[0])
    if variable.dtype.kind != "M" or step in (None, "s"):
        return variable
    return variable.astype(f"datetime64[{step}]", copy=False)


def _agree_on_bounds(ds: xr.Dataset, encoding: dict[Hashable, dict[str, Any]]) -> None:
    """Bounds have no units of their own in CF: both get the finer of the two."""
    for name, variable in ds.variables.items():
        bounds = variable.attrs.get("bounds")
        if "units" not in encoding.get(bounds, {}) or "units" not in encoding[name]:
            continue
        finer = max(name, bounds, key=lambda one: _fineness(encoding[one]["units"]))
        for one in (name, bounds):
            encoding[one] |= {key: encoding[finer][key] for key in _TIME if key in encoding[finer]}


def _fineness(units: str) -> int:
    step = units.partition(" ")[0]
    return list(_STEPS).index(step) if step in _STEPS else -1


def chunk_lengths(
    sizes: Mapping[Hashable, int],
    itemsize: int,
    growing: Hashable | None = None,
    chunks: Mapping[str, int] | None = None,
) -> tuple[int, ...]:
    """Chunk lengths for an array: whole when small, else about `TARGET` bytes, halving the longest dimension."""
    wished = chunks or {}
    lengths = {dim: max(1, min(wished.get(str(dim), size), size)) for dim, size in sizes.items()}
    free = [dim for dim in sizes if str(dim) not in wished and dim != growing]
    if growing in lengths and str(growing) not in wished:
        step = itemsize * math.prod(length for dim, length in lengths.items() if dim != growing)
        lengths[growing] = max(1, min(TARGET // max(step, 1), LONGEST))
    while free and itemsize * math.prod(lengths.values()) > TARGET:
        longest = max(free, key=lambda dim: lengths[dim])
        if lengths[longest] == 1:
            break
        lengths[longest] = math.ceil(lengths[longest] / 2)
    return tuple(lengths.values())


def plain(value: Any) -> Any:
    """An attribute as JSON can hold it; what JSON has no word for becomes text."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def _layout(variable: xr.Variable, growing: Hashable | None, chunks: Mapping[str, int]) -> dict[str, Any]:
    layout: dict[str, Any] = {}
    if variable.dims:
        sizes = variable.sizes
        itemsize = max(variable.dtype.itemsize, 1)
        layout["chunks"] = chunk_lengths(sizes, itemsize, growing, chunks)
    if variable.dtype.kind in "iufcbmM" and variable.dims:
        layout["compressors"] = BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")
    return layout


def _time_encoding(variable: xr.Variable) -> dict[str, Any]:
    """Times keep their calendar and reference date; whole seconds, when they are, so that any later step fits too."""
    known = {key: variable.encoding[key] for key in _TIME if key in variable.encoding}
    if variable.dtype.kind == "O":
        return known if "units" in known else {}
    if variable.dtype.kind != "M":
        return {}
    since = str(known.get("units", "")).partition(" since ")[2] or "1970-01-01"
    calendar = {"calendar": known.get("calendar", "proleptic_gregorian")}
    if not variable.size or variable.chunks is not None:
        return {"units": f"seconds since {since}", "dtype": np.dtype("int64")} | calendar
    values = variable.values
    if np.isnat(values).any():
        return known
    unit = next(name for name, step in _STEPS.items() if (values == values.astype(f"datetime64[{step}]")).all())
    return {"units": f"{unit} since {since}", "dtype": np.dtype("int64")} | calendar
