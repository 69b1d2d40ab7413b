"""A small part of one variable as plain values, for those who cannot open a store."""

import json
import math
from typing import Any

import numpy as np
import xarray as xr

from amasia import errors
from amasia.models.datasets import Slice, Values
from amasia.stores import repositories
from amasia.stores.describing import datasets, reads
from amasia.stores.encoding import plain
from amasia.stores.failures import translated
from amasia.stores.leases import Source

MOST_VALUES = 10_000
MOST_BYTES = 1 << 20
"""Of the answer, as JSON."""


def read(source: Source, wanted: Slice, branch: str = "main") -> Values:
    """Read a part of one variable.

    Raises
    ------
    NotFound
        No such group, variable or dimension; the cure names those there are.
    InvalidRequest
        It has more values, or touches more chunks, than an answer may.
    """
    repository = repositories.open(source)
    with translated(source):
        session = repository.readonly_session(branch)
        ds = _opened(session, wanted.group)
        return of_dataset(ds, wanted)


def of_dataset(ds: xr.Dataset, wanted: Slice) -> Values:
    """A part of one variable of any dataset, bounded."""
    if wanted.variable not in ds.variables:
        raise errors.NotFound(
            f"There is no variable {wanted.variable!r}.", cure=f"It has: {', '.join(map(str, ds.variables))}."
        )
    variable = ds.variables[wanted.variable]
    sizes = {str(dim): size for dim, size in variable.sizes.items()}
    unknown = sorted(set(wanted.index) - set(sizes))
    if unknown:
        raise errors.NotFound(
            f"{wanted.variable} has no dimension {unknown[0]!r}.",
            cure=f"It has: {', '.join(f'{dim} ({size})' for dim, size in sizes.items()) or 'none'}.",
        )
    index = {dim: _index(dim, sizes[dim], wanted.index.get(dim)) for dim in sizes}
    lengths = {dim: 1 if isinstance(at, int) else len(range(*at.indices(sizes[dim]))) for dim, at in index.items()}
    count = math.prod(lengths.values())
    if count > MOST_VALUES:
        shape = " x ".join(f"{dim} {length}" for dim, length in lengths.items())
        raise errors.InvalidRequest(
            f"That is {count} values ({shape}), and an answer has at most {MOST_VALUES}.",
            cure="Take fewer places of a dimension, or a larger step; for all of them open the dataset with Xarray.",
        )
    _afford(variable, index, sizes)
    taken = variable.isel(index)
    found = Values(
        variable=wanted.variable,
        dims=tuple(map(str, taken.dims)),
        shape=taken.shape,
        dtype=str(taken.dtype),
        units=str(variable.attrs.get("units", "")),
        values=listed(taken.values),
        coordinates={dim: listed(ds.variables[dim].isel({dim: at}).values) for dim, at in index.items()
                     if dim in ds.variables and ds.variables[dim].dims == (dim,)},
        attributes={str(key): plain(value) for key, value in variable.attrs.items()},
    )  # fmt: skip
    if len(found.model_dump_json()) > MOST_BYTES:
        raise errors.InvalidRequest(
            f"The answer would have more than {MOST_BYTES} bytes.", cure="Take fewer places of a dimension."
        )
    return found


def listed(values: Any) -> Any:
    """Nested lists that JSON can hold: no number is null, a time is its text."""
    array = np.asarray(values)
    if array.dtype.kind == "M":
        texts = np.array(np.datetime_as_string(array, unit="s"), object)
        texts[np.isnat(array)] = None
        return texts.tolist()
    if array.dtype.kind == "m":
        return (array / np.timedelta64(1, "s")).tolist()
    if array.dtype.kind == "f":
        # Shortest text that gives the same number in its own type.
        short = [json.loads(repr(one.item()) if one.dtype == np.float64 else str(one)) if np.isfinite(one) else None
                 for one in array.ravel()]  # fmt: skip
        shaped = np.empty(array.size, object)
        shaped[:] = short
        return shaped.reshape(array.shape).tolist()
    return array.tolist() if array.dtype.kind in "iub" else np.vectorize(str, otypes=[object])(array).tolist()


def _index(dim: str, size: int, wished: int | tuple[int, ...] | None) -> int | slice:
    if wished is None:
        return slice(0, size)
    if isinstance(wished, int):
        if not -size <= wished < size:
            raise errors.InvalidRequest(f"{dim} has {size} places, and none is {wished}.", cure="Count from 0.")
        return wished % size
    if len(wished) == 3 and wished[2] <= 0:
        raise errors.InvalidRequest(f"A step of {wished[2]} along {dim} is not understood.", cure="Give 1 or more.")
    return slice(*wished)


def _afford(variable: xr.Variable, index: dict[str, int | slice], sizes: dict[str, int]) -> None:
    places: reads.Index = {
        dim: np.array([at]) if isinstance(at, int) else np.arange(sizes[dim])[at] for dim, at in index.items()
    }
    if all(at.size for at in places.values()) and reads.affordable(variable, places) is not places:
        raise errors.InvalidRequest(
            f"Reading that touches chunks of more than {reads.MOST_BYTES >> 20} MiB.",
            cure="Take places that lie close together; or open the dataset with Xarray.",
        )


def _opened(session: Any, group: str) -> xr.Dataset:
    try:
        return datasets.open_group(session, group)
    except (FileNotFoundError, KeyError) as error:
        raise errors.NotFound(
            f"There is no group {group!r}.", cure=f"There is: {', '.join(repositories.groups(session)) or 'none yet'}."
        ) from error
