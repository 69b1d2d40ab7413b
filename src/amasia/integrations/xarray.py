"""``xr.open_dataset("amasia://demo/reanalysis", engine="amasia")``."""

import os
from collections.abc import Iterable
from typing import Any, Self

# Xarray loads all engines in the order of their names: PROJ has to come before cfgrib's ecCodes, or the process aborts
# when it ends.
import pyproj  # noqa: F401
import xarray as xr
from xarray.backends import BackendEntrypoint

from amasia.client.arrays import Repository, open_repo
from amasia.client.refs import named
from amasia.errors import InvalidRequest

SCHEME = "amasia://"


class AmasiaBackend(BackendEntrypoint):
    """Opens ``amasia://workspace/repository[@branch, tag, snapshot or time]``."""

    description = "Open versioned repositories of an Amasia control plane"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "group", "ref")
    supports_groups = True

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        ref: str | None = None,
    ) -> xr.Dataset:
        """Open one group.

        Parameters
        ----------
        filename_or_obj
            The URL.
        group
            Path of the group; None for the root.
        ref
            Branch, tag or snapshot id; None for that of the URL, or else ``main``.
        """
        repo, ref = _opened(filename_or_obj, ref)
        ds = repo.to_xarray(group or "/", ref=ref, drop_variables=drop_variables)
        return pinned(ds)

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        group: str | None = None,
        ref: str | None = None,
    ) -> dict[str, xr.Dataset]:
        repo, ref = _opened(filename_or_obj, ref)
        snapshot = repo.snapshot(ref)
        root = (group or "").strip("/")
        inside = [path for path in repo.groups(snapshot) if path == root or path.startswith(f"{root}/") or not root]
        found = {
            "/" + path.strip("/").removeprefix(root).strip("/"): pinned(
                repo.to_xarray(path, ref=snapshot, drop_variables=drop_variables)
            )
            for path in inside
        }
        return found if "/" in found else {"/": xr.Dataset(), **found}

    def open_datatree(self, filename_or_obj: Any, **options: Any) -> xr.DataTree:
        return xr.DataTree.from_dict(self.open_groups_as_dict(filename_or_obj, **options))


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
