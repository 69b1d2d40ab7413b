"""A group of a repository, described."""

import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import icechunk
import xarray as xr

from amasia.models.datasets import Box, Content, Contents, Variable
from amasia.stores import repositories
from amasia.stores.describing import places, previews, times
from amasia.stores.encoding import plain
from amasia.stores.failures import translated
from amasia.stores.leases import Source

_GROUPS = 200
_VARIABLES = 500
_PREVIEWS = 24
_LONGEST = 4000
"""Letters of an attribute that are kept."""

_STYLE = re.compile(r"""(<[a-z]+[^<>]*?)\sstyle=(?:'[^'<>]*'|"[^"<>]*")""")
"""Within a tag only: what people wrote is escaped, so it has no ``<``."""


def describe(source: Source, branch: str = "main") -> Contents:
    """What is in a repository at the head of a branch.

    Parameters
    ----------
    source
        Gives a lease with the right to read.

    Raises
    ------
    NotFound, StoreDown, PermissionDenied
    """
    repository = repositories.open(source)
    with translated(source):
        session = repository.readonly_session(branch)
        paths = repositories.groups(session)
        found = tuple(content(session, path) for path in paths[:_GROUPS])
    notes = (f"Only the first {_GROUPS} of {len(paths)} groups are in the catalog.",) if len(paths) > _GROUPS else ()
    return Contents(snapshot=session.snapshot_id, groups=found, notes=notes)


def content(session: icechunk.Session, path: str) -> Content:
    """One group. What cannot be read of it is said in its notes, and the rest is there all the same."""
    notes: list[str] = []
    try:
        ds = open_group(session, path, notes)
    except Exception as error:  # another tool may have written anything that Zarr allows
        return Content(group=path, title=path.strip("/"), notes=(f"Xarray cannot open it: {_first(error)}",))
    return of_dataset(ds, path, notes)


def open_group(session: icechunk.Session, path: str, notes: list[str] | None = None) -> xr.Dataset:
    """Lazy and without Dask; with times as numbers, and a note, where they cannot be decoded."""
    try:
        ds: xr.Dataset = xr.open_zarr(session.store, group=path, consolidated=False, chunks=None)
    except (ValueError, OverflowError) as error:
        ds = xr.open_zarr(session.store, group=path, consolidated=False, chunks=None, decode_times=False)
        if notes is not None:
            notes.append(f"Its times cannot be decoded: {_first(error)}")
    return ds


def of_dataset(ds: xr.Dataset, path: str = "/", notes: Iterable[str] = ()) -> Content:
    """Describe any dataset; it needs no repository.

    Parameters
    ----------
    ds
        As Xarray opens it, lazily.
    path
        Of its group.
    notes
        What is known already.
    """
    told = list(notes)
    names = [name for name in ds.data_vars if _is_data(ds, name)]
    told_of = [*names, *(name for name in ds.variables if name not in set(names))]
    if len(ds.variables) > _VARIABLES:
        told.append(f"Only {_VARIABLES} of its {len(ds.variables)} variables are in the catalog.")
    variables = [_variable(ds, name, data=name in names) for name in told_of[:_VARIABLES]]
    where = _where(ds, told)
    data = [one for one in variables if not one.coordinate]
    attributes = _attributes(ds.attrs)
    return Content(
        group=path,
        title=_title(attributes, path),
        summary=_first_of(attributes, "summary", "description", "abstract", "comment")[:1000],
        dims={str(dim): size for dim, size in ds.sizes.items()},
        names=tuple(one.name for one in data),
        standard_names=tuple(dict.fromkeys(one.standard_name for one in data if one.standard_name)),
        size=sum(one.size for one in variables),
        variables=tuple(variables),
        attributes=attributes,
        html=_html(ds),
        previews=_previews(ds, names, told),
        **where,
        **_when(ds, told),
        notes=tuple(told),
    )


def _variable(ds: xr.Dataset, name: Hashable, *, data: bool) -> Variable:
    found = ds.variables[name]
    attributes = _attributes(found.attrs)
    return Variable(
        name=str(name),
        dims=tuple(map(str, found.dims)),
        shape=found.shape,
        chunks=tuple(found.encoding.get("chunks") or ()),
        dtype=str(found.dtype),
        standard_name=_first_of(attributes, "standard_name"),
        long_name=_first_of(attributes, "long_name"),
        units=_first_of(attributes, "units") or str(found.encoding.get("units", "")),
        size=int(found.nbytes),
        coordinate=not data,
        attributes=attributes,
    )


def _where(ds: xr.Dataset, notes: list[str]) -> dict[str, Any]:
    """Box and projection; around all grids of the group."""
    try:
        grids = places.grids(ds)
        boxes = [(one, one.box()) for one in grids]
    except Exception as error:  # a projection that cannot be computed is no reason to lose the rest
        notes.append(f"Where it is could not be found out: {_first(error)}")
        return {}
    known = [(one, box) for one, box in boxes if box is not None]
    if not known:
        notes.append("It has no coordinates that say where on Earth it is.")
        return {}
    largest, box = max(known, key=lambda item: _extent(item[1]))
    return {"box": box, "crs": largest.name}


def _extent(box: Box) -> float:
    return ((box.east - box.west) % 360 or 360) * (box.north - box.south)


def _when(ds: xr.Dataset, notes: list[str]) -> dict[str, Any]:
    try:
        return times.span(ds)
    except Exception as error:
        notes.append(f"Its times cannot be read: {_first(error)}")
        return {}


def _previews(ds: xr.Dataset, names: Iterable[Hashable], notes: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    # The fields before what is counted along one dimension: the first preview stands for the dataset.
    for name in sorted(names, key=lambda name: -min(ds.variables[name].ndim, 2))[:_VARIABLES]:
        if len(found) == _PREVIEWS:
            notes.append(f"Previews of the first {_PREVIEWS} variables only.")
            break
        try:
            picture = previews.draw(ds, name)
        except Exception as error:
            notes.append(f"No preview of {name}: {_first(error)}")
            continue
        if picture:
            found[str(name)] = picture
    return found


def _html(ds: xr.Dataset) -> str:
    """Xarray's repr without style: the sheet is the same for all, and a page's security policy refuses inline ones."""
    with xr.set_options(display_max_rows=60, display_expand_attrs=False):  # type: ignore[no-untyped-call]
        text = str(ds._repr_html_())
    head, opened, rest = text.partition("<style>")
    if not opened:
        return text
    return _STYLE.sub(r"\1", head + rest.partition("</style>")[2])


def _title(attributes: Mapping[str, Any], path: str) -> str:
    return (_first_of(attributes, "title", "Title", "TITLE", "long_name") or path.strip("/"))[:300]


def _first_of(attributes: Mapping[str, Any], *names: str) -> str:
    return next((str(attributes[name]).strip() for name in names if str(attributes.get(name, "")).strip()), "")


def _attributes(found: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _short(plain(value)) for key, value in found.items()}


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else str(value)
    return value if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _is_data(ds: xr.Dataset, name: Hashable) -> bool:
    """Not what only says where the data are: files often keep that among their data."""
    variable = ds.variables[name]
    mapping = variable.ndim == 0 and {"grid_mapping_name", "crs_wkt", "spatial_ref"} & set(variable.attrs)
    return not mapping and not places.is_place(ds, name) and not places.is_bounds(ds, name)


def _first(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
