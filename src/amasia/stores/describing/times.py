"""When: the first and last time of a dataset, in whatever calendar."""

from typing import Any

import cftime
import numpy as np
import xarray as xr

from amasia.models.datasets import days

_MOST = 4_000_000
"""Times that are read; of a longer axis only its ends are."""


def span(ds: xr.Dataset) -> dict[str, Any]:
    """The fields of a `models.datasets.Summary` that say when; none where a dataset has no time."""
    found = [_ends(variable) for variable in _axes(ds)]
    ends = [one for one in found if one is not None]
    if not ends:
        return {}
    begin, end, calendar = ends[0]
    return {
        "begin": _iso(begin),
        "end": _iso(end),
        "calendar": calendar,
        "begin_at": _seconds(begin),
        "end_at": _seconds(end),
    }


def _axes(ds: xr.Dataset) -> list[xr.Variable]:
    """Those that may be the time of the data, the likeliest first; not when a forecast was made."""
    timed = [
        (name, variable)
        for name, variable in ds.variables.items()
        if _is_time(variable) and variable.attrs.get("standard_name") != "forecast_reference_time"
    ]

    def unlikely(item: tuple[Any, xr.Variable]) -> tuple[bool, bool, bool, bool]:
        name, variable = item
        named = "time" not in str(name).lower()
        return variable.attrs.get("standard_name") != "time", name not in ds.coords, variable.dims != (name,), named

    return [variable for _, variable in sorted(timed, key=unlikely)]


def _is_time(variable: xr.Variable) -> bool:
    if variable.dtype.kind == "M":
        return True
    if variable.dtype.kind != "O" or variable.ndim > 1 or not variable.size:
        return False
    first = variable[(0,) * variable.ndim].values.item()
    return isinstance(first, cftime.datetime)


def _ends(variable: xr.Variable) -> tuple[Any, Any, str] | None:
    if not variable.size:
        return None
    if variable.size > _MOST:
        if variable.ndim > 1:
            return None
        variable = variable.isel({variable.dims[0]: [0, -1]})
    values = np.asarray(variable.values).ravel()
    if values.dtype.kind == "M":
        values = values[~np.isnat(values)]
        return (values.min(), values.max(), "proleptic_gregorian") if values.size else None
    held = [one for one in values if isinstance(one, cftime.datetime)]
    return (min(held), max(held), held[0].calendar) if held else None


def _iso(time: Any) -> str:
    if isinstance(time, np.datetime64):
        return str(time.astype("datetime64[s]"))
    return str(time.isoformat(timespec="seconds"))


def _seconds(time: Any) -> int:
    if isinstance(time, np.datetime64):
        return int(time.astype("datetime64[s]").astype(np.int64))
    whole: int = days(time.year, time.month, time.day) * 86400 + time.hour * 3600 + time.minute * 60 + time.second
    return whole
