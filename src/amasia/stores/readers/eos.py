"""HDF-EOS5: HDF5 whose dimensions are named in a text, ``StructMetadata``."""

import re
from collections.abc import Mapping
from pathlib import Path

import h5py
import xarray as xr

from amasia.stores.readers.contents import Contents

_FIELD = re.compile(r'(?:Geo|Data)FieldName="([^"]+)".*?DimList=\(([^)]*)\)', re.DOTALL)
_OWNER = re.compile(r'(?:Swath|Grid|Point|Za)Name="([^"]+)"')


def named(file: Path, groups: Mapping[str, xr.Dataset]) -> Contents:
    """Groups with the dimension names that ``StructMetadata`` gives; those it does not know stay counted."""
    fields = _fields(_structure(file))
    told: dict[str, xr.Dataset] = {}
    unnamed = False
    for path, ds in groups.items():
        known = fields.get(path.rpartition("/")[0].rpartition("/")[2], {})
        names = _names(ds, known)
        told[path] = ds.rename(names)
        unnamed |= any(str(dim).startswith("phony_dim_") for dim in told[path].dims)
    notes = ("Some dimensions are not in its StructMetadata; they are counted: phony_dim_0, …",) if unnamed else ()
    return Contents("HDF-EOS5", told, notes)


def _structure(file: Path) -> str:
    with h5py.File(file) as opened:
        inner = opened["HDFEOS INFORMATION"]
        parts = sorted(name for name in inner if name.startswith("StructMetadata"))
        return "".join(_text(inner[name][()]) for name in parts)


def _text(value: object) -> str:
    return value.decode(errors="replace").rstrip("\0") if isinstance(value, bytes) else str(value)


def _fields(structure: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """Dimensions by field, by the swath or grid that owns it."""
    places = [(found.group(1), found.start()) for found in _OWNER.finditer(structure)]
    ends = [start for _, start in places[1:]] + [len(structure)]
    return {
        owner: {name: tuple(re.findall(r'"([^"]+)"', dims)) for name, dims in _FIELD.findall(structure[start:end])}
        for (owner, start), end in zip(places, ends, strict=True)
    }


def _names(ds: xr.Dataset, fields: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """What the counted dimensions are called, where all fields that tell agree."""
    said: dict[str, set[str]] = {}
    for name, variable in ds.variables.items():
        dims = fields.get(str(name), ())
        if len(dims) == variable.ndim:
            for counted, called in zip(variable.dims, dims, strict=True):
                said.setdefault(str(counted), set()).add(called)
    sure = {counted: called.pop() for counted, called in said.items() if len(called) == 1}
    return sure if len(set(sure.values())) == len(sure) else {}
