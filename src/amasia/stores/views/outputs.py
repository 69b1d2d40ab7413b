"""The target's group: rows are put where they belong, and nothing else is written."""

from collections.abc import Mapping
from typing import Any

import icechunk
import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from icechunk.xarray import to_icechunk

from amasia import errors
from amasia.stores.encoding import encoded, plain, resolved
from amasia.stores.repositories import HIDDEN
from amasia.stores.views.snapshots import dimensions

_ROWS = 512 << 10
"""Bytes of a chunk's rows before compression: small, since the last chunk is written again at each refresh."""
_STEPS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_READ = ("units", "calendar")
_OWN = frozenset({*_READ, "_FillValue", "dtype", "coordinates", "scale_factor", "add_offset", "_ARRAY_DIMENSIONS"})
"""Attributes that Xarray writes for itself."""


class Otherwise(Exception):
    """What is stored cannot hold this: everything has to be written anew."""

    def __init__(self, reason: str, dtypes: Mapping[str, np.dtype[Any]] | None = None) -> None:
        super().__init__(reason)
        self.dtypes = dict(dtypes or {})


class Target:
    """One group of a writable session."""

    def __init__(self, session: icechunk.Session, group: str, chunks: Mapping[str, int] | None) -> None:
        self.session, self.path, self.chunks = session, group.strip("/"), chunks
        self.nbytes = 0
        """Written so far, before compression."""
        self.group = zarr.open_group(session.store, path=self.path or None, mode="a")
        self.arrays: dict[str, zarr.Array[Any]] = dict(self.group.arrays())

    def clear(self) -> None:
        """Forget the arrays of the group. Groups below it stay."""
        for name in self.arrays:
            del self.group[name]
        self.arrays = {}

    def put(
        self,
        ds: xr.Dataset,
        dim: str | None,
        start: int,
        total: int,
        dtypes: Mapping[str, np.dtype[Any]] | None = None,
    ) -> None:
        """Write rows, and make the dimension as long as it should be.

        Parameters
        ----------
        ds
            In memory.
        dim
            The dimension of the rows; None when they are everything.
        start, total
            Where they begin, and how many there are then in all.
        dtypes
            Of variables that have to hold more than these rows, when the group is made.

        Raises
        ------
        Otherwise
            The stored arrays have other dimensions or a dtype that cannot hold it.
        """
        if not self.arrays:
            self._create(ds, dim, dtypes or {})
        if set(self.arrays) != set(map(str, ds.variables)):
            raise Otherwise("its variables are others")
        self._attributes(self.group, {str(key): plain(one) for key, one in ds.attrs.items()})
        for name, variable in ds.variables.items():
            self._put(str(name), variable, dim, start, total)

    def resize(self, dim: str, total: int) -> None:
        for array in self.arrays.values():
            _resize(array, dim, total)

    def _create(self, ds: xr.Dataset, dim: str | None, dtypes: Mapping[str, np.dtype[Any]]) -> None:
        for name in ds.variables:
            if "/" in str(name) or str(name) in {"zarr.json", HIDDEN}:
                raise errors.DataRejected(
                    f"A variable cannot be called {name!r} in a repository.", cure="Rename it in the view's function."
                )
        ds = ds.assign({name: ds[name].astype(dtype) for name, dtype in dtypes.items()})
        chunks = dict(self.chunks or {})
        if dim is not None and dim in ds.sizes:
            rows = [one.dtype.itemsize * one.size // max(ds.sizes[dim], 1) for one in ds.values() if dim in one.dims]
            chunks.setdefault(dim, max(1, min(_ROWS // max(*rows, 1, 1), 4096)))
        clean, encoding = encoded(ds, dim, chunks)
        for name, chosen in encoding.items():
            if dim in ds[name].dims and _counted(ds[name].variable):
                # Only the first rows are known now: they are counted in what all of them can be counted in.
                chosen |= {"units": _units(ds[name].variable), "calendar": _calendar(ds[name].variable)}
                chosen["dtype"] = np.dtype("int64")
                clean[name] = resolved(clean[name].variable, chosen["units"])
            if dim in ds[name].dims and "chunks" in chosen:
                # Sized for what will come, and not for the rows at hand.
                chosen["chunks"] = tuple(
                    chunks[str(one)] if one == dim else length
                    for one, length in zip(ds[name].dims, chosen["chunks"], strict=True)
                )
        to_icechunk(clean, self.session, group=self.path or None, mode="a", encoding=encoding, safe_chunks=False)
        self.group = zarr.open_group(self.session.store, path=self.path or None, mode="a")
        self.arrays = dict(self.group.arrays())

    def _put(self, name: str, variable: xr.Variable, dim: str | None, start: int, total: int) -> None:
        array = self.arrays[name]
        names = dimensions(array)
        if names != variable.dims:
            raise Otherwise(f"{name!r} has other dimensions")
        if dim in names:
            _resize(array, str(dim), total)
        if dim is None and list(array.shape) != list(variable.shape):
            array.resize(variable.shape)
        sizes = [total if one == dim else size for one, size in variable.sizes.items()]
        if list(array.shape) != sizes:
            raise Otherwise(f"{name!r} has another shape")
        values = _values(name, variable, array)
        kept = {str(key): plain(one) for key, one in variable.attrs.items() if key not in _OWN or _timeless(variable)}
        self._attributes(array, kept)
        if dim not in names:
            if not _same(np.asarray(array[...]), values):
                array[...] = values
                self.nbytes += values.nbytes
            return
        rows = slice(start, start + variable.sizes[dim])
        if rows.stop > rows.start:
            array[tuple(rows if one == dim else slice(None) for one in names)] = values
            self.nbytes += values.nbytes

    def _attributes(self, node: Any, wanted: dict[str, Any]) -> None:
        stored = dict(node.attrs)
        own = {key: one for key, one in stored.items() if key in _OWN and key not in wanted}
        if repr(sorted((own | wanted).items())) != repr(sorted(stored.items())):
            node.attrs.put(own | wanted)


def _values(name: str, variable: xr.Variable, array: zarr.Array[Any]) -> npt.NDArray[Any]:
    """As the array stores them."""
    if variable.dtype.kind in "iuf" or (variable.dtype.kind == "b" and array.dtype.kind == "b"):
        return _held(name, np.asarray(variable.values), array)
    encoding = {key: array.attrs[key] for key in _READ if key in array.attrs}
    if not encoding and _counted(variable):  # none of another calendar tell no calendar, so it was made without
        raise Otherwise(f"{name!r} had no times, and now it has")
    units = str(encoding.get("units", ""))
    bare = resolved(xr.Variable(variable.dims, variable.values), units)
    if encoding:
        bare.encoding = {**encoding, "dtype": array.dtype}
    made = xr.conventions.encode_cf_variable(bare, name=name)
    if encoding and str(made.attrs.get("units", "")).split()[:1] != units.split()[:1]:
        raise Otherwise(f"{name!r} has times that {units!r} cannot count")
    return _held(name, np.asarray(made.values), array)


def _held(name: str, values: npt.NDArray[Any], array: zarr.Array[Any]) -> npt.NDArray[Any]:
    if values.dtype == array.dtype or values.dtype.kind not in "iufb" or array.dtype.kind not in "iufb":
        return values
    wide = np.result_type(values.dtype, array.dtype)
    if wide != array.dtype:
        raise Otherwise(f"{name!r} is {array.dtype} and now {values.dtype}", {name: wide})
    return values.astype(wide)


def _counted(variable: xr.Variable) -> bool:
    return variable.dtype.kind == "M" or (variable.dtype.kind == "O" and _calendar(variable) != "")


def _units(variable: xr.Variable) -> str:
    step = np.datetime_data(variable.dtype)[0] if variable.dtype.kind == "M" else "us"
    return f"{_STEPS[step]} since 1970-01-01"


def _calendar(variable: xr.Variable) -> str:
    if variable.dtype.kind == "M":
        return "proleptic_gregorian"
    first = variable[(0,) * variable.ndim].values.item() if variable.size else None
    return str(getattr(first, "calendar", ""))


def _timeless(variable: xr.Variable) -> bool:
    return variable.dtype.kind in "iufb"


def _same(stored: npt.NDArray[Any], values: npt.NDArray[Any]) -> bool:
    return np.array_equal(stored, values, equal_nan=stored.dtype.kind == "f" and values.dtype.kind == "f")


def _resize(array: zarr.Array[Any], dim: str, total: int) -> None:
    names = dimensions(array)
    if dim in names and array.shape[names.index(dim)] != total:
        array.resize(tuple(total if one == dim else size for one, size in zip(names, array.shape, strict=True)))
