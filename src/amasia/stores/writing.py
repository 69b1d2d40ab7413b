"""Datasets into a session: everything is checked before the first byte, and only a commit makes it visible."""

import math
import warnings
from collections.abc import Hashable, Iterable, Mapping
from itertools import accumulate
from typing import Any

import icechunk
import numpy as np
import xarray as xr
import zarr
from icechunk.xarray import to_icechunk
from xarray.coding.times import encode_cf_datetime

from amasia import errors
from amasia.stores.encoding import encoded, resolved

_CURE_APPEND = "Nothing was written. Make it like what is stored, or write it into a group of its own."


def write(
    session: icechunk.Session,
    ds: xr.Dataset,
    group: str = "/",
    mode: str = "w-",
    growing: Hashable | None = None,
    chunks: Mapping[str, int] | None = None,
) -> None:
    """Put a dataset into a group. Dask arrays are computed by the current scheduler and written by its workers.

    Parameters
    ----------
    session
        Writable and without changes; commit it afterwards, or drop it.
    ds
        Any dataset that Xarray can write to Zarr. Read from snapshots, not from ``session``.
    group
        Path; made with its parents.
    mode
        ``"w-"`` to make the group, ``"w"`` to replace it.
    growing
        Dimension that will be appended along.
    chunks
        Chunk lengths by dimension; by default about 16 MiB each.

    Raises
    ------
    Conflict
        The group has data already and mode is ``"w-"``.
    DataRejected
        It has a variable that Zarr cannot hold, or a name is that of a group and of a variable.
    DoesNotFit
        ``growing`` or one of ``chunks`` is no dimension of it.
    """
    if mode not in {"w", "w-"}:
        raise errors.InvalidRequest(f"mode is {mode!r}.", cure="Use 'w-' to make a group or 'w' to replace it.")
    if growing is not None and growing not in ds.sizes:
        raise errors.DoesNotFit(
            f"There is no dimension {growing!r} to append along; the dataset has {listed(ds.dims)}.",
            cure="Name one of them.",
        )
    if mode == "w-" and opened(session, group) is not None:
        raise errors.Conflict(
            f"Group {group!r} has data already.", cure="Use append, mode='w' to replace it, or another group."
        )
    check_chunks(chunks, [ds])
    check_names(session, ds, group)
    clean, encoding = encoded(ds, growing, chunks)
    # A group without data may have groups below it, which stay.
    put(session, clean, group, mode="a" if mode == "w-" else mode, encoding=encoding)


def append(session: icechunk.Session, ds: xr.Dataset, group: str = "/", dim: Hashable = "time") -> None:
    """Add a dataset at the end of a group, along one dimension.

    Parameters
    ----------
    session
        Writable and without changes.
    ds
        Has the stored variables, dtypes, coordinates and calendar; its ``dim`` begins after the stored end.
    group
        Path of a group that was written before.
    dim
        Name of the dimension.

    Raises
    ------
    NotFound
        Nothing is stored in the group.
    DoesNotFit
        Names the variable, what is stored and what was offered. Nothing was written.
    """
    stored = opened(session, group)
    if stored is None:
        raise errors.NotFound(f"Nothing is stored in group {group!r}.", cure="Write the first dataset with write.")
    check_append(stored, ds, dim)
    fixed = [name for name, variable in ds.variables.items() if dim not in variable.dims]
    offered = ds.drop_vars(fixed).drop_encoding()
    offered.attrs = dict(stored.attrs)
    for name in offered.variables:
        offered[name] = _countable(str(name), stored[name].variable, offered[name].variable)
        offered[name].attrs = dict(stored[name].attrs)
    put(session, offered, group, append_dim=dim)


def exists(session: icechunk.Session, group: str) -> bool:
    """Whether a group holds any variable."""
    return opened(session, group) is not None


def check_same(session: icechunk.Session, ds: xr.Dataset, group: str) -> None:
    """Raise `DoesNotFit` unless a dataset is what a group holds: that part of a file which a series does not grow."""
    stored = opened(session, group)
    if stored is None:
        return
    _check_names(stored, ds)
    for name, variable in stored.variables.items():
        check_equal(str(name), variable, ds.variables[name])


def check_append(stored: xr.Dataset, offered: xr.Dataset, dim: Hashable) -> None:
    """Raise `DoesNotFit` unless a dataset continues the stored one along a dimension."""
    for what, found in (("stored", stored), ("offered", offered)):
        if dim not in found.sizes:
            raise errors.DoesNotFit(
                f"There is no dimension {dim!r} in what is {what}; it has {listed(found.dims)}.", cure=_CURE_APPEND
            )
    _check_names(stored, offered)
    for name in stored.variables:
        check_variable(str(name), stored.variables[name], offered.variables[name], dim)
    for name, variable in stored.variables.items():
        if dim not in variable.dims:
            check_equal(str(name), variable, offered.variables[name])
    along = ruler(stored, dim)
    if along is not None:
        check_order(str(along), stored.variables[along], offered.variables[along])


def check_chunks(chunks: Mapping[str, int] | None, datasets: Iterable[xr.Dataset]) -> None:
    """Raise `DoesNotFit` for a chunk length along what is no dimension of any of them."""
    known = {str(dim): None for ds in datasets for dim in ds.sizes}
    unknown = [dim for dim in chunks or {} if dim not in known]
    if unknown:
        raise errors.DoesNotFit(
            f"There is no dimension {listed(unknown)} to chunk; there are {listed(known) or 'none'}.",
            cure="Nothing was written. Name one of them.",
        )


def check_names(session: icechunk.Session, ds: xr.Dataset, group: str) -> None:
    """Raise `DataRejected` where a name would be that of a group and of a variable too: Zarr has one place for both."""
    _check_storable(ds)
    parts = [part for part in group.split("/") if part]
    for path in accumulate(parts, "{}/{}".format):
        if isinstance(_node(session, path), zarr.Array):
            raise _is_variable(path)
    below = _node(session, "/".join(parts))
    taken = sorted(
        {str(name) for name in ds.variables} & set(below.group_keys() if isinstance(below, zarr.Group) else ())
    )
    if taken:
        raise errors.DataRejected(
            f"{listed(taken)} is a group that is stored, so it cannot be a variable of group {group!r} as well.",
            cure="Write into another group, or rename the variable.",
        )


def _node(session: icechunk.Session, path: str) -> zarr.Array[Any] | zarr.Group | None:
    try:
        return zarr.open(session.store, path=path, mode="r")
    except (FileNotFoundError, zarr.errors.NodeNotFoundError):
        return None


def _check_storable(ds: xr.Dataset) -> None:
    """Zarr would take such a name for a path, or for its own file, and the variable would be gone."""
    for name in ds.variables:
        if "/" in str(name) or str(name) == "zarr.json":
            raise errors.DataRejected(
                f"A variable cannot be called {name!r} in a repository.", cure=f"Rename it: ds.rename({{{name!r}: …}})."
            )


def _check_names(stored: xr.Dataset, offered: xr.Dataset) -> None:
    missing = [name for name in stored.variables if name not in offered.variables]
    extra = [name for name in offered.variables if name not in stored.variables]
    if missing:
        raise errors.DoesNotFit(
            f"Variable {listed(missing)} is stored and is missing in what was offered.", cure=_CURE_APPEND
        )
    if extra:
        raise errors.DoesNotFit(
            f"Variable {listed(extra)} was offered; stored are {listed(stored.variables)}.",
            cure=f"Nothing was written. Drop it (ds.drop_vars({[str(n) for n in extra]})), or write another group.",
        )


def check_variable(name: str, stored: xr.Variable, offered: xr.Variable, dim: Hashable) -> None:
    if stored.dims != offered.dims:
        raise _unlike(name, "dimensions", f"({listed(stored.dims)})", f"({listed(offered.dims)})")
    for one, size in stored.sizes.items():
        if one != dim and offered.sizes[one] != size:
            raise _unlike(name, f"size along {one!r}", size, offered.sizes[one])
    if _kind(stored) != _kind(offered):
        raise _unlike(name, "dtype", _kind(stored), _kind(offered))
    if stored.attrs.get("units", "") != offered.attrs.get("units", ""):
        raise _unlike(name, "units", stored.attrs.get("units", ""), offered.attrs.get("units", ""))


def _countable(name: str, stored: xr.Variable, offered: xr.Variable) -> xr.Variable:
    """Times as what is stored counts them. Xarray would count finer ones in units of their own, which nobody reads."""
    units = stored.encoding.get("units", "")
    if offered.dtype.kind != "M" or offered.chunks is not None or stored.encoding["dtype"].kind != "i":
        return offered
    exact = resolved(offered, units)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other units, which are refused below
        _, found, _ = encode_cf_datetime(exact.values, units, stored.encoding.get("calendar"), np.dtype("int64"))
    if found != units or not exact.equals(offered):  # type: ignore[no-untyped-call]
        raise errors.DoesNotFit(
            f"Variable {name!r} is stored as whole {units.partition(' ')[0]}, and finer times were offered: "
            f"{_some(offered)}.",
            cure=f"Nothing was written. Round them (ds[{name!r}].dt.round('s')), or write into a group of its own.",
            variable=name,
        )
    return exact


def check_equal(name: str, stored: xr.Variable, offered: xr.Variable) -> None:
    if offered.equals(stored):  # type: ignore[no-untyped-call]
        return
    raise _unlike(name, "values", _some(stored), _some(offered))


def ruler(stored: xr.Dataset, dim: Hashable) -> Hashable | None:
    """The variable that orders a dimension: its times; NEMO, for one, counts 0 in each file and has them beside it."""
    along = [name for name, variable in stored.coords.variables.items() if variable.dims == (dim,)]
    timely = [name for name in along if "times" in _kind(stored.variables[name])]
    if dim in timely or not timely:
        return dim if dim in along else None
    return timely[0]


def check_order(dim: str, stored: xr.Variable, offered: xr.Variable) -> None:
    """Raise `DoesNotFit` unless values go on after the stored ones, in their direction."""
    before, after = stored.values, offered.values
    if not after.size or before.dtype.kind not in "iufMO":
        return
    if (before.dtype.kind == "O") != (after.dtype.kind == "O"):
        raise errors.DoesNotFit(
            f"The values of {dim!r} that were offered ({_some(offered)}) are of another kind than what is stored "
            f"({_some(stored)}): their calendar differs, or one of them leaves what times in nanoseconds can hold.",
            cure="Nothing was written. Store both with the same units and calendar.",
        )
    falling = before.size > 1 and before[-1] < before[0]
    steps_ok = after.size < 2 or bool(((after[1:] < after[:-1]) if falling else (after[1:] > after[:-1])).all())
    if not steps_ok:
        raise errors.DoesNotFit(
            f"The values of {dim!r} that were offered are not in order, or repeat: {_some(offered)}.",
            cure=f"Nothing was written. Sort them: ds.sortby({dim!r}).drop_duplicates({dim!r}).",
        )
    if before.size and not (after[0] < before[-1] if falling else after[0] > before[-1]):
        raise errors.DoesNotFit(
            f"The offered {dim!r} begins at {after[0]} and what is stored ends at {before[-1]}: they overlap.",
            cure=f"Nothing was written. Offer only what comes after: ds.where(ds[{dim!r}] > end, drop=True).",
        )


def put(session: icechunk.Session, ds: xr.Dataset, group: str, **options: Any) -> None:
    path = group.strip("/") or None
    try:
        to_icechunk(ds, session, group=path, align_chunks=True, **options)
    except (TypeError, ValueError, NotImplementedError) as error:
        if isinstance(error, icechunk.IcechunkError):
            raise
        raise errors.DataRejected(
            f"The dataset cannot be stored in group {group!r}: {error}.",
            cure="Change or drop the variable that it names; nothing was committed.",
        ) from error


def opened(session: icechunk.Session, group: str) -> xr.Dataset | None:
    """What a group holds; None when it has no variable."""
    path = group.strip("/") or None
    try:
        ds = xr.open_zarr(session.store, group=path, consolidated=False, zarr_format=3, chunks=None)
    except (FileNotFoundError, zarr.errors.GroupNotFoundError):
        return None
    except zarr.errors.ContainsArrayError:
        raise _is_variable(path) from None
    return ds if ds.variables else None


def _is_variable(path: str | None) -> errors.DataRejected:
    return errors.DataRejected(
        f"{path!r} is a variable that is stored, so it cannot be a group as well.",
        cure="Choose a group of another name.",
    )


def _kind(variable: xr.Variable) -> str:
    """A dtype in words; resolutions of times do not matter, calendars do."""
    kind = variable.dtype.kind
    if kind == "M":
        return "times (standard calendar)"
    if kind == "m":
        return "durations"
    if kind == "O" and variable.size:
        first = variable[(0,) * variable.ndim].values.item()
        calendar = getattr(first, "calendar", None)
        return f"times ({calendar} calendar)" if calendar else "text"
    return "text" if kind in "UT" else str(variable.dtype)


def _unlike(name: str, what: str, stored: object, offered: object) -> errors.DoesNotFit:
    return errors.DoesNotFit(
        f"Variable {name!r} differs in {what}: stored is {stored}, offered was {offered}.",
        cure=_CURE_APPEND,
        variable=name,
    )


def _some(variable: xr.Variable) -> str:
    values = np.asarray(variable.values).ravel()
    if values.size <= 4:
        return str(values.tolist() if variable.dtype.kind != "M" else values.astype(str).tolist())
    return f"{values[0]} … {values[-1]} ({math.prod(variable.shape)} values)"


def listed(names: Any) -> str:
    return ", ".join(repr(str(name)) for name in names)
