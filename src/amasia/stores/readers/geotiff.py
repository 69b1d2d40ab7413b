"""GeoTIFF and COG by rioxarray."""

from contextlib import ExitStack
from pathlib import Path

import xarray as xr

from amasia.stores.readers.contents import Contents, corrupt

NAME = "band_data"
"""Of the one variable of a GeoTIFF, as Xarray's engine for them calls it."""


def read(file: Path, stack: ExitStack) -> Contents:
    """Bands with coordinates, the CRS and the affine transform in ``spatial_ref``."""
    import rasterio  # noqa: PLC0415  half a second to import, and for this format only
    import rioxarray  # noqa: PLC0415
    from rasterio.errors import RasterioError  # noqa: PLC0415

    try:
        with rasterio.open(file) as opened:
            overviews, nodata, dtype = opened.overviews(1), opened.nodata, opened.dtypes[0]
            opened.checksum(1)  # reads each block: a file that was cut short says so here
        found = rioxarray.open_rasterio(file, mask_and_scale=True)
    except (RasterioError, OSError, ValueError) as error:
        raise corrupt(file, error, cure="Fetch the file again; `rio info` shows whether it can be read.") from error
    parts = found if isinstance(found, list) else [found]
    for part in parts:
        stack.callback(part.close)
    datasets = [_dataset(part) for part in parts]
    groups = {"/": datasets[0]} if len(datasets) == 1 else {f"/part_{n}": ds for n, ds in enumerate(datasets)}
    return Contents("GeoTIFF", groups, tuple(_notes(overviews, nodata, dtype)))


def _dataset(found: xr.Dataset | xr.DataArray) -> xr.Dataset:
    """The link to the CRS is an attribute here: as encoding it would be lost with the file's other encodings."""
    ds = found.to_dataset(name=NAME) if isinstance(found, xr.DataArray) else found
    for variable in ds.data_vars.values():
        if "grid_mapping" in variable.encoding:
            variable.attrs["grid_mapping"] = variable.encoding["grid_mapping"]
    return ds


def _notes(overviews: list[int], nodata: float | None, dtype: str) -> list[str]:
    notes = []
    if overviews:
        notes.append(f"Its overviews (by {', '.join(map(str, overviews))}) are left out: only full resolution is kept.")
    if nodata is not None:
        notes.append(f"Its nodata value {nodata:g} ({dtype}) is stored as NaN.")
    return notes
