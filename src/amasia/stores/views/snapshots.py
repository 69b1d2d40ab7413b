"""The source at one snapshot: rows on demand, and never more than was asked for."""

import math
from collections.abc import Collection
from typing import Any

import icechunk
import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from xarray.backends.zarr import FillValueCoder

from amasia import errors

_KEPT = 64 << 20
"""Bytes of stored rows that are kept of an array, at most."""


type Region = tuple[slice, ...]


class Snapshot:
    """One group at one snapshot. It travels to workers, and is opened there anew.

    Rows are read with Zarr and decoded with Xarray: a dataset of Xarray's own, opened for a few rows, costs more than
    these rows.
    """

    def __init__(self, session: icechunk.Session, group: str, along: str) -> None:
        self.session, self.group, self.along = session, group, along
        self.nbytes = 0
        """Read so far; whoever asks for rows adds to it."""
        self._opened: tuple[dict[str, zarr.Array[Any]], dict[str, Any]] | None = None
        self._stored: dict[str, tuple[int, npt.NDArray[Any]]] = {}
        self._last: tuple[Any, xr.Dataset] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None, "_stored": {}, "_last": None, "nbytes": 0}

    @property
    def arrays(self) -> dict[str, zarr.Array[Any]]:
        """As they are stored."""
        return self._open()[0]

    def exists(self) -> bool:
        try:
            return bool(self.arrays)
        except (FileNotFoundError, zarr.errors.GroupNotFoundError, zarr.errors.NodeNotFoundError):
            return False

    def stored(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Rows of one array as they are stored; of an array without rows, all of it.

        The last ones are kept: who compares a chunk wants to compute with its rows next.
        """
        array = self.arrays[name]
        axis = axis_of(array, self.along)
        if axis is None:
            if name not in self._stored:
                self._stored[name] = 0, np.asarray(array[...])
            return self._stored[name][1]
        stop = min(stop, array.shape[axis])
        if stop <= start:
            return _slice(array, axis, start, start)
        first, kept = self._stored.pop(name, (start, _slice(array, axis, start, start)))
        last = first + kept.shape[axis]
        if stop <= first or last <= start:
            first, kept = start, _slice(array, axis, start, stop)
        elif start < first or last < stop:
            # What is new of a month is in the chunk that was compared, and its first days in the one before.
            parts = [_slice(array, axis, start, first), kept, _slice(array, axis, last, stop)]
            first, kept = min(start, first), np.concatenate(parts, axis)
        if kept.nbytes <= _KEPT:
            self._stored[name] = first, kept
        return np.asarray(kept[(*[slice(None)] * axis, slice(start - first, stop - first))])

    def region(self, name: str, region: Region) -> npt.NDArray[Any]:
        """A part of one array as it is stored."""
        array = self.arrays[name]
        axis = axis_of(array, self.along)
        others = [one for at, one in enumerate(zip(region, array.shape, strict=True)) if at != axis]
        if axis is not None and all(part == slice(0, size) for part, size in others):
            return self.stored(name, region[axis].start, region[axis].stop)
        return np.asarray(array[region])

    def rows(self, start: int, stop: int, wanted: Collection[str] | None = None) -> xr.Dataset:
        """Some rows, in memory, as Xarray decodes them."""
        asked, last = (start, stop, wanted), self._last
        if last is None or last[0] != asked:
            last = self._last = asked, self._decoded(start, stop, wanted).load()  # threads may share a snapshot
        return last[1].copy()

    def empty(self) -> xr.Dataset:
        """All that can be known of it without its rows; of no time it can be said what it is."""
        return self._decoded(0, 0, None, times=False)

    def times(self, start: int, stop: int) -> xr.DataArray:
        """The coordinate of the dimension alone."""
        if self.along not in self.arrays:
            raise errors.ViewRefused(
                f"The source has no coordinate {self.along!r} to resample by.", cure="Write one with the data."
            )
        found = self.rows(start, stop, {self.along})[self.along].variable
        return xr.DataArray(np.arange(start, stop), dims=[self.along], coords={self.along: found})

    @property
    def size(self) -> int:
        axes = {name: axis_of(one, self.along) for name, one in self.arrays.items()}
        sizes = {name: self.arrays[name].shape[axis] for name, axis in axes.items() if axis is not None}
        if len(set(sizes.values())) > 1:
            said = ", ".join(f"{name} {size}" for name, size in sorted(sizes.items()))
            raise errors.ViewRefused(
                f"The source's arrays are not equally long along {self.along!r}: {said}.",
                cure="Write the rows of all of them in one commit.",
            )
        return int(next(iter(sizes.values()), 0))

    def row_nbytes(self, wanted: Collection[str] | None) -> int:
        """Bytes of one row, decoded."""
        found = 1
        for name, one in self.empty().variables.items():
            if self.along in one.dims and (wanted is None or name in wanted):
                cells = math.prod(size for dim, size in one.sizes.items() if dim != self.along)
                found += one.dtype.itemsize * cells
        return found

    def _open(self) -> tuple[dict[str, zarr.Array[Any]], dict[str, Any]]:
        if self._opened is None:
            group = zarr.open_group(self.session.store, path=self.group.strip("/") or None, mode="r")
            self._opened = dict(group.arrays()), dict(group.attrs)
        return self._opened

    def _decoded(self, start: int, stop: int, wanted: Collection[str] | None, times: bool = True) -> xr.Dataset:
        names = [name for name in self.arrays if wanted is None or name in wanted]
        variables = {name: self._variable(name, start, stop) for name in names}
        decoded, attrs, coords = xr.conventions.decode_cf_variables(
            variables, self._open()[1], decode_times=times, decode_timedelta=None if times else False
        )
        return xr.Dataset(decoded, attrs=attrs).set_coords(coords & set(decoded))

    def _variable(self, name: str, start: int, stop: int) -> xr.Variable:
        array = self.arrays[name]
        if len(dimensions(array)) != array.ndim:
            raise errors.ViewRefused(
                f"Array {name!r} of the source has no names of dimensions.", cure="Write it with Xarray."
            )
        attributes: dict[str, Any] = dict(array.attrs)
        if "_FillValue" in attributes:
            attributes["_FillValue"] = FillValueCoder.decode(attributes["_FillValue"], array.dtype)
        return xr.Variable(dimensions(array), self.stored(name, start, stop), attributes)


def dimensions(array: zarr.Array[Any]) -> tuple[str | None, ...]:
    """Names of an array's dimensions, as Xarray writes them."""
    return tuple(getattr(array.metadata, "dimension_names", None) or ())


def axis_of(array: zarr.Array[Any], along: str) -> int | None:
    names = dimensions(array)
    return names.index(along) if along in names else None


def _slice(array: zarr.Array[Any], axis: int, start: int, stop: int) -> npt.NDArray[Any]:
    """Some rows. Of none, nothing is read; what there is beyond them may be asked for."""
    if stop <= start:
        return np.empty([0 if at == axis else size for at, size in enumerate(array.shape)], array.dtype)
    return np.asarray(array[(*[slice(None)] * axis, slice(start, stop))])
