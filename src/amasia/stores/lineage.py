"""Which snapshots a dataset was made from, found in what it still holds."""

import io
import threading
from typing import Any

import cloudpickle
import icechunk
import numpy as np
import xarray as xr
from icechunk import IcechunkStore
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from amasia.models.repositories import Input
from amasia.stores.failures import translated
from amasia.stores.leases import Source

_opened: dict[Input, None] = {}
_lock = threading.Lock()


class MarkedStore(IcechunkStore):
    """A read-only store that knows which repository and snapshot it shows; it keeps that when it is pickled.

    Its failures come as Amasia's, because they come late: when something lazy is computed, perhaps on a worker.
    """

    origin: Input
    source: Source | None

    def with_read_only(self, read_only: bool = False) -> "MarkedStore":
        return _marked(self._store, self.origin, self.source, read_only)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        with translated(self.source):
            return await super().get(key, prototype, byte_range)


def mark(session: icechunk.Session, repository: str, source: Source | None = None) -> MarkedStore:
    """The store of a read-only session, marked; and remembered as opened by this process."""
    origin = Input(repository=repository, snapshot=session.snapshot_id)
    with _lock:
        _opened[origin] = None
    return _marked(session.store._store, origin, source, read_only=True)


def opened() -> tuple[Input, ...]:
    """Everything that this process read from, oldest first."""
    with _lock:
        return tuple(_opened)


def inputs(ds: xr.Dataset) -> tuple[Input, ...]:
    """Repositories and snapshots that a dataset was read from.

    Parameters
    ----------
    ds
        Lazy, from Dask or not: its graph and its lazy arrays are searched for marked stores. A data variable that is
        in memory no longer tells; then everything that this process opened counts, which may be too much and is
        never too little.

    Returns
    -------
    tuple of Input
        In the order in which they were found; empty when nothing was opened.
    """
    finder = _Finder()
    if not finder.search(ds) or any(_in_memory(variable) for variable in ds.data_vars.values()):
        return tuple(dict.fromkeys([*finder.found, *opened()]))
    return tuple(finder.found)


class _Finder(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles into nothing, and looks at each object on the way. Arrays are passed over, never copied."""

    def __init__(self) -> None:
        super().__init__(_Nothing())
        self.found: dict[Input, None] = {}

    def search(self, ds: xr.Dataset) -> bool:
        """Whether everything could be looked at."""
        try:
            self.dump(ds)
        except Exception:
            # A graph may hold what cannot be pickled (a lock, a file): then it could not run on workers either.
            return False
        return True

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, MarkedStore):
            self.found[obj.origin] = None
            return str, ()
        if isinstance(obj, np.ndarray):
            return str, ()
        return super().reducer_override(obj)


class _Nothing(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return memoryview(data).nbytes


def _marked(store: Any, origin: Input, source: Source | None, read_only: bool) -> MarkedStore:
    marked = MarkedStore(store, read_only=read_only)
    marked.origin, marked.source = origin, source
    return marked


def _in_memory(array: xr.DataArray) -> bool:
    return array.variable._in_memory
