"""Whether references may be joined.

Arrays that are joined share one description (dtype, chunks, codecs, fill value, scale, offset, units, calendar). A file
that differs in any of it would be read under the description of another, silently wrong: it is refused by name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import xarray as xr
import zarr

from amasia import errors
from amasia.stores import writing

CURE = "Take it as a copy with --native, into a group of its own."
_ATTRIBUTES = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", "units", "calendar")


def check_files(datasets: Sequence[xr.Dataset], dim: str) -> None:
    """Refuse files of which one would be read under the description of another.

    Raises
    ------
    DoesNotFit
    """
    said = {name: dict(_offered(variable)) for name, variable in datasets[0].variables.items()}
    for before, ds in pairwise(datasets):
        _check_names(before.variables.keys(), ds)
        for name, variable in ds.variables.items():
            _check_like(str(name), said[name], variable)
            _check_fixed(str(name), variable, dim)
            if dim in variable.dims and is_virtual(variable):
                _check_full(str(name), dim, before.sizes[dim], _chunk(before.variables[name], dim))


def check_stored(stored: zarr.Group, ds: xr.Dataset, dim: str) -> None:
    """Refuse what would be read under the description of what is stored.

    Raises
    ------
    DoesNotFit
    """
    _check_names({name for name, _ in stored.arrays()}, ds)
    held = xr.open_zarr(stored.store, group=stored.path or None, consolidated=False, chunks=None)
    for name, variable in ds.variables.items():
        array: Any = stored[str(name)]
        _check_like(str(name), dict(_stored(array)), variable)
        _check_fixed(str(name), variable, dim)
        if dim not in variable.dims and not variable.equals(held.variables[name]):  # type: ignore[no-untyped-call]
            raise errors.DoesNotFit(f"Variable {name!r}: the values differ from those that are stored.", cure=CURE)
        if dim in variable.dims and is_virtual(variable):
            axis = variable.dims.index(dim)
            _check_full(str(name), dim, array.shape[axis], array.chunks[axis])


def check_order(stored: xr.Dataset, offered: xr.Dataset, dim: str) -> None:
    """Refuse steps that do not come after those that are stored."""
    ruler = writing.ruler(stored, dim)
    if ruler is not None and not is_virtual(offered.variables[ruler]):
        writing.check_order(str(ruler), stored.variables[ruler], offered.variables[ruler])


def is_virtual(variable: xr.Variable) -> bool:
    """Whether its values are references."""
    return type(variable._data).__name__ == "ManifestArray"


def _check_names(known: Iterable[Any], ds: xr.Dataset) -> None:
    odd = sorted(set(map(str, known)) ^ set(map(str, ds.variables)))
    if odd:
        raise errors.DoesNotFit(f"Its variables differ from what is stored: {', '.join(odd)}.", cure=CURE)


def _check_like(name: str, stored: Mapping[str, Any], variable: xr.Variable) -> None:
    differs = [
        f"{what} is {stored.get(what)!r} in what is stored and {now!r} in it"
        for what, now in _offered(variable)
        if not _alike(stored.get(what), now)
    ]
    if differs:
        raise errors.DoesNotFit(
            f"Variable {name!r} cannot be joined as references: its {'; its '.join(differs)}.",
            cure=CURE,
            variable=name,
        )


def _check_fixed(name: str, variable: xr.Variable, dim: str) -> None:
    if dim not in variable.dims and is_virtual(variable):
        raise errors.DoesNotFit(
            f"Variable {name!r} does not have {dim!r} and is too large to be compared with what is stored.", cure=CURE
        )


def _check_full(name: str, dim: str, steps: int, chunk: int) -> None:
    if steps % chunk:
        raise errors.DoesNotFit(
            f"Variable {name!r} cannot be joined as references: the last chunk of what is stored along {dim!r} "
            f"is not full ({steps} steps in chunks of {chunk}).",
            cure=CURE,
        )


def _chunk(variable: xr.Variable, dim: str) -> int:
    return int(variable.data.metadata.chunks[variable.dims.index(dim)])


def _stored(array: Any) -> Iterator[tuple[str, Any]]:
    """What an array in a repository says of itself."""
    yield "dimensions", tuple(array.metadata.dimension_names or ())
    yield from ((key, array.attrs.get(key)) for key in _ATTRIBUTES)
    yield "dtype", str(array.metadata.data_type)
    yield "chunks", tuple(array.chunks)
    yield "codecs", str(array.metadata.codecs)
    yield "fill value", array.metadata.fill_value


def _offered(variable: xr.Variable) -> Iterator[tuple[str, Any]]:
    """What a file says of a variable, as far as it counts."""
    said = dict(variable.encoding) | dict(variable.attrs)
    yield "dimensions", tuple(map(str, variable.dims))
    if not is_virtual(variable):
        # What is copied is encoded anew; then only its meaning counts.
        yield from ((key, said.get(key)) for key in ("units", "calendar"))
        return
    yield from ((key, said.get(key)) for key in _ATTRIBUTES)
    metadata = variable.data.metadata
    yield "dtype", str(metadata.data_type)
    yield "chunks", tuple(metadata.chunks)
    yield "codecs", str(metadata.codecs)
    yield "fill value", metadata.fill_value


def _alike(was: Any, now: Any) -> bool:
    if isinstance(was, str) and isinstance(now, str):
        return _meaning(was) == _meaning(now)
    try:
        return bool(was == now) or str(was) == str(now) == "nan"
    except ValueError:  # arrays
        return str(was) == str(now)


def _meaning(said: str) -> str:
    """Units and calendars have several spellings: midnight may be written or not, CF renamed gregorian."""
    return re.sub(r"[ T]0?0:00(:00(\.0+)?)?$", "", said) if said != "gregorian" else "standard"
