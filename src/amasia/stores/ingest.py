"""Files into a session, one file at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dask
import icechunk
import xarray as xr

from amasia import errors
from amasia.stores import readers, writing
from amasia.stores.encoding import chunk_lengths

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


def ingest(
    session: icechunk.Session,
    path: str | Path,
    group: str | None = None,
    append_dim: str | None = None,
    chunks: Mapping[str, int] | None = None,
) -> Ingested:
    """Put a file into a session; commit it afterwards.

    Parameters
    ----------
    session
        Writable and without changes.
    path
        NetCDF 3 or 4, HDF5 or GRIB.
    group
        Where to; by default a group named for the file. A file's own groups are kept below it.
    append_dim
        The file continues what is stored in ``group`` along this dimension; the first one makes the group.
    chunks
        Chunk lengths by dimension.

    Raises
    ------
    CorruptFile, MixedGrids, DataRejected, DoesNotFit, Conflict
        Nothing was written; the file is named.
    """
    base = group if group is not None else readers.group_name(path)
    done: list[str] = []
    names: list[str] = []
    nbytes, appended = 0, False
    with readers.read(path) as found, dask.config.set(scheduler="threads"):
        for inner, ds in found.items():
            target = "/" + "/".join(part for part in (base.strip("/"), inner.strip("/")) if part)
            try:
                appended = _put(session, _pieces(ds, append_dim), target, append_dim, chunks) or appended
            except errors.AmasiaError as error:
                raise type(error)(f"{path}: {error.message}", cure=error.cure, **error.detail) from error
            except OSError as error:
                # The header was whole and what it points to is not.
                raise errors.CorruptFile(
                    f"{path} is damaged inside group {inner!r} ({error}).", cure="Fetch the file again."
                ) from error
            done.append(target)
            names += [str(name) for name in ds.data_vars]
            nbytes += ds.nbytes
    return Ingested(str(path), tuple(done), tuple(names), nbytes, appended)


def _put(
    session: icechunk.Session,
    ds: xr.Dataset,
    group: str,
    append_dim: str | None,
    chunks: Mapping[str, int] | None,
) -> bool:
    if append_dim is None or append_dim not in ds.sizes or not writing.exists(session, group):
        writing.write(session, ds, group, growing=append_dim, chunks=chunks)
        return False
    writing.append(session, ds, group, append_dim)
    return True


def _pieces(ds: xr.Dataset, growing: str | None) -> xr.Dataset:
    """Large variables as Dask arrays, so that no file needs more memory than a few of its chunks."""
    large = {}
    for name, variable in ds.variables.items():
        if variable.nbytes > _LARGE and variable.chunks is None:
            lengths = chunk_lengths(variable.sizes, variable.dtype.itemsize, growing)
            large[name] = ds[name].variable.chunk(dict(zip(variable.dims, lengths, strict=True)))
    return ds.assign(large) if large else ds
