"""Zarr 2 and 3 in directories, and Kerchunk's references in JSON or parquet."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import xarray as xr

from amasia import errors
from amasia.stores.readers.contents import Contents, Options, corrupt

KERCHUNK = "Kerchunk references"
_ZARR = {"zarr.json": "Zarr 3", ".zgroup": "Zarr 2", ".zmetadata": "Zarr 2"}
_CURE = "Give a Zarr group (a directory with zarr.json or .zgroup in it), or Kerchunk references."


def read_directory(directory: Path, stack: ExitStack, options: Options) -> Contents:
    """A Zarr group with all groups below it; or Kerchunk's parquet, which is a directory too."""
    if is_parquet(directory):
        return _references(directory, stack, options)
    format = next((kind for name, kind in _ZARR.items() if (directory / name).exists()), "")
    if not format:
        raise errors.DataRejected(f"{directory} is a directory and holds no Zarr group.", cure=_CURE)
    try:
        groups = xr.open_groups(directory, engine="zarr", chunks=None, decode_times=options.decode_times)
    except Exception as error:
        raise corrupt(directory, error, cure="Copy it again; is each zarr.json (or .zarray) there?") from error
    for ds in groups.values():
        stack.callback(ds.close)
    return Contents(format, {path: ds for path, ds in groups.items() if ds.variables or ds.attrs} or {"/": groups["/"]})


def read_references(file: Path, stack: ExitStack, options: Options) -> Contents:
    """Kerchunk's JSON; the bytes that it points to are read, and copied."""
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise corrupt(file, error) from error
    if isinstance(content, dict) and content.get("type") == "Topology":
        raise errors.DataRejected(
            f"{file} is TopoJSON: shapes of coastlines or borders, and no arrays.",
            cure="Keep it as a file; repositories hold arrays.",
        )
    if not isinstance(content, dict) or not ("refs" in content or ".zgroup" in content):
        raise errors.DataRejected(
            f"{file} is JSON and no Kerchunk reference: it has no 'refs'.",
            cure="Repositories hold arrays; convert it to NetCDF first if it holds any.",
        )
    return _references(file, stack, options)


def _references(path: Path, stack: ExitStack, options: Options) -> Contents:
    try:
        # Kerchunk's engine makes Dask arrays where it is not told otherwise, whatever Xarray is told.
        how = {"chunks": None, "decode_times": options.decode_times}
        ds: Any = xr.open_dataset(str(path), engine="kerchunk", open_dataset_options=how)
        stack.callback(ds.close)
    except Exception as error:
        raise corrupt(
            path, error, cure="Are the files that it refers to where they were? Make the references again."
        ) from error
    return Contents(KERCHUNK, {"/": ds})


def is_parquet(directory: Path) -> bool:
    """Kerchunk's has one ``.zmetadata`` with the size of its records."""
    try:
        return "record_size" in json.loads((directory / ".zmetadata").read_bytes())
    except (OSError, ValueError):
        return False
