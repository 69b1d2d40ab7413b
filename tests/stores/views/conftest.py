"""Two repositories in memory, and a view between them."""

from collections.abc import Callable
from typing import Any

import icechunk
import numpy as np
import pytest
import xarray as xr
import zarr
from icechunk.xarray import to_icechunk

from amasia.models.views import Applied
from amasia.stores import views
from amasia.stores.views import Definition


def daily(rows: int, start: str = "2001-01-15", seed: int = 1) -> xr.Dataset:
    """Temperatures of so many days on a small grid, with some missing, and a count."""
    numbers = np.random.default_rng(seed)
    t = numbers.normal(280, 10, (rows, 3))
    t[numbers.random((rows, 3)) < 0.1] = np.nan
    return xr.Dataset(
        {"t": (("time", "x"), t, {"units": "K"}), "n": ("time", numbers.integers(0, 9, rows))},
        coords={"time": xr.date_range(start, periods=rows, freq="D"), "x": [0.0, 1.0, 2.0]},
        attrs={"title": "daily"},
    )


class Pair:
    """A source with a history, and a target that follows it."""

    def __init__(self) -> None:
        self.source, self.target = new(), new()

    def write(self, ds: xr.Dataset, group: str | None = None, **chunks: int) -> str:
        session = self.source.writable_session("main")
        encoding: dict[Any, Any] = {
            name: {"chunks": tuple(chunks.get(str(dim), size) for dim, size in one.sizes.items())}
            for name, one in ds.variables.items()
        }
        encoding["time"] |= {"units": "seconds since 1970-01-01", "dtype": "int64"}
        to_icechunk(ds, session, group=group, mode="a", encoding=encoding)
        return str(session.commit("write"))

    def append(self, ds: xr.Dataset) -> str:
        session = self.source.writable_session("main")
        to_icechunk(ds.drop_vars("x"), session, append_dim="time", align_chunks=True)
        return str(session.commit("append"))

    def change(self, name: str, place: Any, value: Any) -> str:
        session = self.source.writable_session("main")
        zarr.open_group(session.store)[name][place] = value
        return str(session.commit(f"change {name}"))

    def refresh(self, definition: Definition, **options: Any) -> list[Applied]:
        return views.refresh(self.source, self.target, definition, view="v", source_name="s", commit=commit, **options)

    @property
    def now(self) -> xr.Dataset:
        return opened(self.source)

    @property
    def found(self) -> xr.Dataset:
        return opened(self.target)


def new() -> icechunk.Repository:
    return icechunk.Repository.create(icechunk.in_memory_storage())


def opened(repository: icechunk.Repository, group: str | None = None) -> xr.Dataset:
    store = repository.readonly_session("main").store
    return xr.open_zarr(store, group=group, consolidated=False, zarr_format=3, chunks=None).load()


def commit(session: icechunk.Session, message: str, metadata: dict[str, Any]) -> str:
    return str(session.commit(message, metadata, rebase_with=icechunk.ConflictDetector()))


@pytest.fixture
def pair() -> Pair:
    made = Pair()
    made.write(daily(100), time=7, x=2)
    return made


@pytest.fixture
def days() -> Callable[..., xr.Dataset]:
    return daily


@pytest.fixture
def empty() -> Callable[[], icechunk.Repository]:
    return new


@pytest.fixture
def open_target() -> Callable[..., xr.Dataset]:
    return opened


@pytest.fixture
def commits() -> Callable[..., str]:
    return commit
