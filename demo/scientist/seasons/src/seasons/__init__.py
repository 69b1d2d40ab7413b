"""Normals of a season, and departures from them."""

import numpy as np
import xarray as xr

EDITION = "first"


def normals(ds: xr.Dataset, time: str) -> xr.Dataset:
    """The monthly climatology of every variable that has the time dimension."""
    timed = ds[[name for name in ds.data_vars if time in ds[name].dims and ds[name].dtype.kind == "f"]]
    return timed.groupby(f"{time}.month").mean()


def departure(values: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """How far values are from normal. Runs on the workers, which must have this very package."""
    return values - normal


def edition() -> str:
    """Which edition of this package runs here."""
    return EDITION
