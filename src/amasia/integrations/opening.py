"""What an address ``amasia://workspace/repository`` holds, as the engine for Xarray gives it."""

import os
from collections.abc import Iterable
from typing import Any, Self

import xarray as xr

from amasia.client.arrays import Repository, open_repo
from amasia.client.refs import named
from amasia.errors import InvalidRequest

SCHEME = "amasia://"
Drop = str | Iterable[str] | None


def group(url: Any, path: str | None, ref: str | None, drop: Drop) -> xr.Dataset:
    """One group, read when it is used."""
    repo, ref = _opened(url, ref)
    return pinned(repo.to_xarray(path or "/", ref=ref, drop_variables=drop))


def groups(url: Any, path: str | None, ref: str | None, drop: Drop) -> dict[str, xr.Dataset]:
    """A group and all that are in it, of one snapshot, by their paths from it."""
    repo, ref = _opened(url, ref)
    snapshot = repo.snapshot(ref)
    root = (path or "").strip("/")
    inside = [path for path in repo.groups(snapshot) if path == root or path.startswith(f"{root}/") or not root]
    found = {
        "/" + path.strip("/").removeprefix(root).strip("/"): pinned(
            repo.to_xarray(path, ref=snapshot, drop_variables=drop)
        )
        for path in inside
    }
    return found if "/" in found else {"/": xr.Dataset(), **found}


class Pinned(xr.Variable):
    """A variable whose Dask name holds its snapshot.

    Xarray names the Dask arrays of a dataset after its URL, and the URL of a branch means other data tomorrow: a
    cluster that still holds yesterday's chunks under the same names would give them for today's.
    """

    def chunk(self, *arguments: Any, from_array_kwargs: Any = None, **options: Any) -> Self:
        wished = dict(from_array_kwargs or {})
        if "name" in wished:
            wished["name"] = f"{wished['name']}-{self.encoding.get('source', '').rpartition('@')[2]}"
        plain = xr.Variable(self.dims, self._data, self.attrs, self.encoding, fastpath=True)
        options["from_array_kwargs"] = wished or None
        return plain.chunk(*arguments, **options)  # type: ignore[return-value]


def pinned(ds: xr.Dataset) -> xr.Dataset:
    """The same dataset with `Pinned` variables; indexes are in memory already and stay as they are."""
    source = ds.encoding["source"]
    swapped = {
        name: Pinned(variable.dims, variable._data, variable.attrs, {**variable.encoding, "source": source}, True)
        for name, variable in ds.variables.items()
        if name not in ds.xindexes
    }
    coords = [name for name in swapped if name in ds.coords]
    return ds.assign_coords({name: swapped.pop(name) for name in coords}).assign(swapped)


def _opened(url: Any, ref: str | None) -> tuple[Repository, str]:
    text = os.fspath(url)
    if not isinstance(text, str) or not text.startswith(SCHEME):
        raise InvalidRequest(f"{text!r} is no address of a repository.", cure="Write amasia://workspace/repository.")
    name, at = named(text)
    return open_repo(name), ref or at
