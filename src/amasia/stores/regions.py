"""A part of what is stored, written anew: found by its coordinates, checked, and touching no metadata.

Writers of disjoint chunks do not disturb one another: nothing but chunks is written, so their commits are merged.
"""

from collections.abc import Hashable, Mapping
from typing import Literal

import icechunk
import numpy as np
import xarray as xr

from amasia import errors
from amasia.stores.writing import check_equal, check_variable, listed, opened, put

type Region = Literal["auto"] | Mapping[str, slice]

_CURE = "Nothing was written. Offer exactly the part that is to be written anew, or append what is new."


def write_region(session: icechunk.Session, ds: xr.Dataset, group: str = "/", region: Region = "auto") -> None:
    """Write a dataset over the part of a group that it stands for.

    Parameters
    ----------
    session
        Writable and without changes.
    ds
        Some of the stored variables, on a part of the stored grid. Its coordinates are compared and never written.
    group
        Path of a group that was written before.
    region
        Where it goes: ``"auto"`` to find it by the coordinates, or slices by dimension; a dimension that is not named
        is written whole.

    Raises
    ------
    NotFound
        Nothing is stored in the group.
    DoesNotFit
        Names the variable or dimension, what is stored and what was offered. Nothing was written.
    """
    stored = opened(session, group)
    if stored is None:
        raise errors.NotFound(f"Nothing is stored in group {group!r}.", cure="Write the first dataset with write.")
    extra = [name for name in ds.variables if name not in stored.variables]
    if extra:
        raise errors.DoesNotFit(
            f"Variable {listed(extra)} was offered; stored are {listed(stored.variables)}.", cure=_CURE
        )
    where = located(stored, ds, region)
    part = stored.isel(where)
    for name, variable in ds.variables.items():
        check_variable(str(name), part.variables[name], variable, None)
        if name in ds.coords:
            check_equal(str(name), part.variables[name], variable)
    offered = ds.drop_vars(list(ds.coords)).drop_encoding()
    fixed = [name for name, variable in offered.variables.items() if not variable.dims]
    if fixed or not offered.data_vars:
        raise errors.DoesNotFit(
            f"There is nothing to write in a region: {listed(fixed)} has no dimension."
            if fixed
            else "There is nothing to write: the dataset has coordinates only.",
            cure=_CURE,
        )
    offered.attrs = dict(stored.attrs)
    for name in offered.variables:
        offered[name].attrs = dict(stored[name].attrs)
    put(session, offered, group, region={dim: where[dim] for dim in offered.dims}, mode="r+")


def located(stored: xr.Dataset, ds: xr.Dataset, region: Region) -> dict[Hashable, slice]:
    """The slice of each of a dataset's dimensions in what is stored."""
    for dim in ds.dims:
        if dim not in stored.sizes:
            raise errors.DoesNotFit(
                f"There is no dimension {str(dim)!r}; stored are {listed(stored.dims)}.", cure=_CURE
            )
    if region == "auto":
        return {dim: _found(stored, ds, dim) for dim in ds.dims}
    unknown = [dim for dim in region if dim not in ds.dims]
    if unknown:
        raise errors.DoesNotFit(f"The region names {listed(unknown)}; the dataset has {listed(ds.dims)}.", cure=_CURE)
    return {dim: _given(stored, ds, dim, region.get(str(dim), slice(None))) for dim in ds.dims}


def _found(stored: xr.Dataset, ds: xr.Dataset, dim: Hashable) -> slice:
    if dim not in ds.indexes or dim not in stored.indexes:
        return _given(stored, ds, dim, slice(None))
    places = stored.get_index(dim).get_indexer(ds.get_index(dim))
    if (places < 0).any():
        first = ds[dim].values[int(np.argmax(places < 0))]
        raise errors.DoesNotFit(
            f"{dim!s} {first} was offered and is not stored: it goes from {stored[dim].values[0]} to "
            f"{stored[dim].values[-1]}.",
            cure=_CURE,
        )
    if len(places) > 1 and (np.diff(places) != 1).any():
        raise errors.DoesNotFit(
            f"The offered values of {str(dim)!r} are not next to each other, or not in the stored order.",
            cure="Nothing was written. Sort them, or write each stretch by itself.",
        )
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def _given(stored: xr.Dataset, ds: xr.Dataset, dim: Hashable, given: slice) -> slice:
    start, stop, step = given.indices(stored.sizes[dim])
    if step != 1 or stop - start != ds.sizes[dim]:
        raise errors.DoesNotFit(
            f"Along {str(dim)!r} the region {start}:{stop} of {stored.sizes[dim]} was named, and {ds.sizes[dim]} were "
            "offered.",
            cure=_CURE,
        )
    return slice(start, stop)
