"""What was read from files into a session; the files of a series are joined first."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask
import icechunk
import numpy as np
import xarray as xr

from amasia import errors
from amasia.stores import readers, reading, sources, writing
from amasia.stores.encoding import chunk_lengths
from amasia.stores.readers.contents import Contents, Options, corrupt

_LARGE = 128 << 20
"""Bytes of a variable above which it is read piece by piece."""


@dataclass(frozen=True)
class Ingested:
    """What a file became."""

    path: str
    groups: tuple[str, ...]
    variables: tuple[str, ...]
    nbytes: int
    """Before compression."""
    appended: bool
    snapshot: str = ""
    """Of its commit."""
    format: str = ""
    how: str = "native"
    """``native``: decoded and copied. ``virtual``: references to the file, which must stay where it is."""
    why: str = ""
    """Why it was chosen."""
    notes: tuple[str, ...] = ()
    """What is not kept as the file has it."""
    digest: str = ""
    """SHA-256 of its content."""


def ingest(
    session: icechunk.Session,
    path: str | Path,
    group: str | None = None,
    append_dim: str | None = None,
    chunks: Mapping[str, int] | None = None,
    options: Options | None = None,
) -> Ingested:
    """Put a file into a session; commit it afterwards.

    Parameters
    ----------
    session
        Writable and without changes.
    path
        A file or URL of any format that `readers` knows. GRIB is decoded by ecCodes in this very process.
    group
        Where to; by default a group named for the file. A file's own groups are kept below it.
    append_dim
        The file continues what is stored in ``group`` along this dimension; the first one makes the group.
    chunks
        Chunk lengths by dimension.
    options
        How to read it.

    Raises
    ------
    CorruptFile, DataRejected, DoesNotFit, Conflict
        Nothing was written; the file is named.
    """
    with sources.at_hand(str(path)) as local, readers.read(local, options) as contents:
        digest = sources.digest(local)
        return put(session, [reading.Found(str(path), digest, contents)], group, append_dim, chunks)[0]


def put(
    session: icechunk.Session,
    found: Sequence[reading.Found],
    group: str | None = None,
    append_dim: str | None = None,
    chunks: Mapping[str, int] | None = None,
    scheduler: Any = "threads",
) -> list[Ingested]:
    """Put what was read into a session: one file, or several that continue each other along a dimension.

    Values that are tasks of Dask are computed by ``scheduler``, and written where they are computed.

    Raises
    ------
    CorruptFile, DataRejected, DoesNotFit, Conflict
        Drop the session; names the file where it is one.
    """
    base = base_group(found[0].source, group)
    with _named(found), dask.config.set(scheduler=scheduler):
        groups = _groups(found, append_dim)
        writing.check_chunks(chunks, groups.values())
        written = {inner: _target(base, inner) for inner in groups}
        appended = [_put(session, ds, written[inner], append_dim, chunks) for inner, ds in groups.items()]
    return [
        Ingested(
            one.source,
            tuple(written.values()),
            tuple(str(name) for ds in _contents(one).groups.values() for name in ds.data_vars),
            sum(ds.nbytes for ds in _contents(one).groups.values()),
            any(appended) or index > 0,
            format=_contents(one).format,
            notes=_contents(one).notes,
            digest=one.digest,
        )
        for index, one in enumerate(found)
    ]


def base_group(source: str, group: str | None) -> str:
    """Where a file goes; each group has one way to be written."""
    if group is None:
        return readers.group_name(source.rstrip("/"))
    parts = [part for part in group.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise errors.InvalidRequest(
            f"{group!r} is no group's name: it has a part of dots.", cure="Write it as air/daily."
        )
    return "/".join(parts)


@contextmanager
def opened(found: reading.Found, options: Options | None = None) -> Iterator[reading.Found]:
    """With contents: in memory already, from disk where it was put as Zarr, or else from the file itself, lazily."""
    if found.contents is not None:
        yield found
        return
    if not found.spilled:
        with sources.at_hand(found.source) as path, readers.read(path, options) as contents:
            yield replace(found, contents=contents)
        return
    groups = xr.open_groups(found.spilled, engine="zarr", consolidated=False, chunks=None)
    try:
        held = {path: ds for path, ds in groups.items() if ds.variables or ds.attrs}
        yield replace(found, contents=Contents(found.format, held, found.notes))
    finally:
        for ds in groups.values():
            ds.close()
        shutil.rmtree(found.spilled)


def join(datasets: Sequence[xr.Dataset], dim: str) -> xr.Dataset:
    """Datasets, one after the other along a dimension, each checked against the one before it.

    Raises
    ------
    DoesNotFit
    """
    first = datasets[0]
    for before, after in pairwise(datasets):
        writing.check_append(before, after, dim)
    joined = {}
    for name, variable in first.variables.items():
        if dim not in variable.dims:
            continue
        # Of NumPy, of Dask, or references: each has its own way to be joined.
        values = np.concatenate([ds.variables[name].data for ds in datasets], axis=variable.dims.index(dim))
        joined[name] = xr.Variable(variable.dims, values, variable.attrs, variable.encoding)
    rest = first.drop_vars(list(joined))
    coords = {name: variable for name, variable in joined.items() if name in first.coords}
    data = {name: variable for name, variable in joined.items() if name not in first.coords}
    return rest.assign_coords(coords).assign(data)


def _contents(found: reading.Found) -> Contents:
    assert found.contents is not None
    return found.contents


def _groups(found: Sequence[reading.Found], dim: str | None) -> Mapping[str, xr.Dataset]:
    """The groups of one file, or of several, joined."""
    groups = [_contents(one).groups for one in found]
    if dim is not None and not any(dim in ds.sizes for ds in groups[0].values()):
        there = sorted({str(one) for ds in groups[0].values() for one in ds.sizes})
        raise errors.DoesNotFit(
            f"There is no dimension {dim!r} to append along; there are {', '.join(map(repr, there)) or 'none'}.",
            cure="Name one of them.",
        )
    if len(groups) == 1 or dim is None:
        return groups[0]
    for one, other in zip(found[1:], groups[1:], strict=True):
        if other.keys() != groups[0].keys():
            raise errors.DoesNotFit(
                f"{one.source} has the groups {', '.join(other)}; those before it have {', '.join(groups[0])}.",
                cure="Ingest it into a group of its own.",
            )
    return {path: join([other[path] for other in groups], dim) if dim in ds.sizes else ds
            for path, ds in groups[0].items()}  # fmt: skip


def _target(base: str, inner: str) -> str:
    return "/" + "/".join(part for part in (base.strip("/"), inner.strip("/")) if part)


@contextmanager
def _named(found: Sequence[reading.Found]) -> Iterator[None]:
    """Errors with the name of the file."""
    name = found[0].source if len(found) == 1 else f"{found[0].source} … {found[-1].source}"
    try:
        yield
    except errors.AmasiaError as error:
        if name in error.message:
            raise
        raise type(error)(f"{name}: {error.message}", cure=error.cure, **error.detail) from error
    except (OSError, RuntimeError) as error:
        if isinstance(error, icechunk.IcechunkError):
            raise
        # The header was whole and what it points to is not.
        raise corrupt(Path(name), error) from error


def _put(
    session: icechunk.Session,
    ds: xr.Dataset,
    group: str,
    append_dim: str | None,
    chunks: Mapping[str, int] | None,
) -> bool:
    pieces = _pieces(ds, append_dim)
    if append_dim is None or not writing.exists(session, group):
        growing = append_dim if append_dim in ds.sizes else None
        # Of a file's groups each may have some of the dimensions only.
        here = {dim: length for dim, length in (chunks or {}).items() if dim in ds.sizes}
        writing.write(session, pieces, group, growing=growing, chunks=here)
        return False
    if append_dim not in ds.sizes:
        writing.check_same(session, ds, group)
        return False
    writing.append(session, pieces, group, append_dim)
    return True


def _pieces(ds: xr.Dataset, growing: str | None) -> xr.Dataset:
    """Large variables as Dask arrays, so that no file needs more memory than a few of its chunks."""
    large = {}
    for name, variable in ds.variables.items():
        if variable.nbytes > _LARGE and variable.chunks is None:
            lengths = chunk_lengths(variable.sizes, variable.dtype.itemsize, growing)
            large[name] = ds[name].variable.chunk(dict(zip(variable.dims, lengths, strict=True)))
    return ds.assign(large) if large else ds
