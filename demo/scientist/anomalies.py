"""Beside the script, and in no package: the workers must have it all the same."""

import seasons
import xarray as xr


def anomalies(ds: xr.Dataset, normal: xr.Dataset, time: str) -> xr.Dataset:
    """Each value less the normal of its month, computed block by block on the workers."""
    return xr.apply_ufunc(
        away, ds[list(normal.data_vars)].groupby(f"{time}.month"), normal, dask="parallelized", keep_attrs=True
    )


def away(values, normal):
    """By name, so that a worker has to import this file to run it."""
    return seasons.departure(values, normal)
