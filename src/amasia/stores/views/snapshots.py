"""The source at one snapshot: rows on demand, and never more than was asked for."""

from collections.abc import Collection
from typing import Any

import icechunk
import numpy as np
import xarray as xr
import zarr

from amasia import errors


class Snapshot:
    """One group at one snapshot. It travels to workers, and is opened there anew."""

    def __init__(self, session: icechunk.Session, group: str, along: str) -> None:
        self.session, self.group, self.along = session, group, along
        self.nbytes = 0
        """Read so far; whoever asks for rows adds to it."""
        self._arrays: dict[str, zarr.Array[Any]] | None = None
        self._whole: xr.Dataset | None = None
        self._open: tuple[Collection[str] | None, xr.Dataset] | None = None
        self._last: tuple[tuple[int, int], xr.Dataset] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": None, "_whole": None, "_open": None, "_last": None, "nbytes": 0}

    @property
    def arrays(self) -> dict[str, zarr.Array[Any]]:
        """As they are stored."""
        if self._arrays is None:
            group = zarr.open_group(self.session.store, path=self.group.strip("/") or None, mode="r")
            self._arrays = dict(group.arrays())
        return self._arrays

    def exists(self) -> bool:
        try:
            return bool(self.arrays)
        except (FileNotFoundError, zarr.errors.GroupNotFoundError, zarr.errors.NodeNotFoundError):
            return False

    def dataset(self, wanted: Collection[str] | None = None) -> xr.Dataset:
        """Lazy rows of some variables; what has no rows is in memory."""
        if self._open is None or self._open[0] != wanted:
            ds = self.lazy()
            if wanted is not None:
                ds = ds.drop_vars([name for name in ds.variables if name not in wanted])
            for name, variable in ds.variables.items():
                if self.along not in variable.dims:
                    variable.load()
                if variable.dims == (name,) and name != self.along:
                    ds = ds.set_xindex(str(name))
            self._open = wanted, ds
        return self._open[1]

    def lazy(self) -> xr.Dataset:
        """Everything, without any index: those of the dimension would be as long as the history."""
        if self._whole is None:
            self._whole = xr.open_dataset(
                self.session.store,  # type: ignore[arg-type]
                engine="zarr",
                group=self.group.strip("/") or None,
                consolidated=False,
                zarr_format=3,
                chunks=None,
                create_default_indexes=False,
            )
        return self._whole

    def rows(self, start: int, stop: int, wanted: Collection[str] | None = None) -> xr.Dataset:
        """Some rows, in memory, as Xarray decodes them."""
        ds = self.dataset(wanted)
        if self._last is None or self._last[0] != (start, stop):
            found = ds.isel({self.along: slice(start, stop)}).load()
            if self.along in found.coords:
                found = found.set_xindex(self.along)
            self._last = (start, stop), found
        return self._last[1].copy()

    def times(self, start: int, stop: int) -> xr.DataArray:
        """The coordinate of the dimension alone."""
        ds = self.lazy()
        if self.along not in ds.coords:
            raise errors.ViewRefused(
                f"The source has no coordinate {self.along!r} to resample by.", cure="Write one with the data."
            )
        found = ds[self.along].variable[start:stop].load()
        return xr.DataArray(np.arange(start, stop), dims=[self.along], coords={self.along: found})

    @property
    def size(self) -> int:
        return int(self.lazy().sizes[self.along])

    def row_nbytes(self, wanted: Collection[str] | None) -> int:
        """Bytes of one row."""
        ds = self.dataset(wanted)
        each = (one for one in ds.variables.values() if self.along in one.dims)
        return int(max(sum(one.dtype.itemsize * one.size // max(one.sizes[self.along], 1) for one in each), 1))


def dimensions(array: zarr.Array[Any]) -> tuple[str | None, ...]:
    """Names of an array's dimensions, as Xarray writes them."""
    return tuple(getattr(array.metadata, "dimension_names", None) or ())
