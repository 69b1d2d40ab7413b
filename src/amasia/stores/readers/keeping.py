"""What Zarr cannot hold is left out or put in words, and each time a note says so."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from amasia.stores.readers.contents import Contents


def kept(contents: Contents) -> Contents:
    """Contents that can be stored, with a note for whatever is not as the file has it."""
    notes = list(contents.notes)
    groups = {path: _kept(ds, path, notes) for path, ds in contents.groups.items()}
    return replace(contents, groups=groups, notes=tuple(notes))


def _kept(ds: xr.Dataset, path: str, notes: list[str]) -> xr.Dataset:
    where = "" if path == "/" else f" of group {path}"
    unknown = [name for name, variable in ds.variables.items() if _is_nothing(variable)]
    if unknown:
        notes.append(f"Variable {_listed(unknown)}{where} has no value in the file and is left out.")
        ds = ds.drop_vars(unknown)
    for name, variable in ds.variables.items():
        if variable.dtype.kind == "V":
            notes.append(f"Variable {name!r}{where} is compound ({', '.join(variable.dtype.names or ())}): "
                         "few tools beside Xarray read such Zarr arrays.")  # fmt: skip
    for name, attributes in (("", ds.attrs), *((name, variable.attrs) for name, variable in ds.variables.items())):
        odd = [key for key, value in attributes.items() if not _is_finite(value)]
        if odd:
            owner = f"variable {name!r}" if name else "the file"
            notes.append(f"Attribute {_listed(odd)} of {owner}{where} is not finite and becomes text: JSON has no NaN.")
    return ds


def _is_nothing(variable: xr.Variable) -> bool:
    """Objects that are all None: xradar's word for what a volume does not say."""
    return variable.dtype.kind == "O" and variable.size <= 1000 and all(v is None for v in variable.values.flat)


def _is_finite(value: Any) -> bool:
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())
    return not isinstance(value, float) or math.isfinite(value)


def _listed(names: Any) -> str:
    return ", ".join(repr(str(name)) for name in names)
