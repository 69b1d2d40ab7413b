"""NetCDF 3 by scipy; NetCDF 4, HDF5 and HDF-EOS5 by h5netcdf; CfRadial, which is NetCDF, goes to the radar's reader."""

from contextlib import ExitStack
from pathlib import Path

import xarray as xr

from amasia import errors
from amasia.stores.readers import eos, radar
from amasia.stores.readers.contents import Contents, Options, corrupt


def read_classic(file: Path, stack: ExitStack, options: Options) -> Contents:
    """NetCDF 3, whose header tells how long it must be."""
    _check_size(file)
    try:
        ds = stack.enter_context(xr.open_dataset(file, engine="scipy", chunks=None, decode_times=options.decode_times))
    except Exception as error:
        raise _refusal(file, "scipy", error) from error
    if radar.is_cfradial(ds):
        return radar.read_cfradial(file, "scipy", stack)
    return Contents("NetCDF 3", {"/": ds})


def read_hdf5(file: Path, stack: ExitStack, options: Options) -> Contents:
    """NetCDF 4 and HDF5 with all their groups. HDF5 names no dimensions: HDF-EOS5 does, elsewhere they are counted."""
    try:
        groups = xr.open_groups(
            file, engine="h5netcdf", phony_dims="access", chunks=None, decode_times=options.decode_times
        )
    except Exception as error:
        # Whatever a damaged file makes the libraries below raise; nothing has been written yet.
        raise _refusal(file, "h5netcdf", error) from error
    for ds in groups.values():
        stack.callback(ds.close)
    if radar.is_cfradial(groups["/"]):
        return radar.read_cfradial(file, "h5netcdf", stack)
    found = {path: ds for path, ds in groups.items() if ds.variables or ds.attrs} or {"/": groups["/"]}
    if "/HDFEOS INFORMATION" in groups:
        return eos.named(file, found)
    if any(str(dim).startswith("phony_dim_") for ds in found.values() for dim in ds.dims):
        note = "Some of its dimensions have no name in the file; they are counted: phony_dim_0, phony_dim_1, …"
        return Contents("HDF5", found, (note,))
    return Contents("NetCDF 4", found)


def _refusal(file: Path, engine: str, error: Exception) -> errors.AmasiaError:
    name, units = _undecodable(file, engine)
    if name:
        return errors.DataRejected(
            f"{file}: the times of variable {name!r} cannot be decoded; its units are {units!r}.",
            cure="Take its times as the numbers that they are with --no-decode-times; or open it with "
            "xr.open_dataset(path, decode_times=False), correct the units (CF has no year 0), and call "
            "repository.write.",
            variable=name,
            units=units,
        )
    return corrupt(file, error, cure="Fetch the file again; `ncdump -h` shows whether it can be read.")


def _undecodable(file: Path, engine: str) -> tuple[str, str]:
    """The first variable with units that Xarray refuses; empty when that is not what is wrong."""
    try:
        raw = xr.open_dataset(file, engine=engine, decode_times=False)
    except Exception:
        return "", ""
    with raw:
        for name, variable in raw.variables.items():
            units = variable.attrs.get("units", "")
            if " since " not in str(units):
                continue
            try:
                xr.decode_cf(raw[[name]] if name not in raw.dims else raw[[name]].coords.to_dataset())
            except Exception:
                return str(name), str(units)
    return "", ""


def _check_size(file: Path) -> None:
    """NetCDF 3 has no checksum and its reader maps what is there: the header tells how long it must be."""
    from scipy.io import netcdf_file  # noqa: PLC0415  a second to import, and for this format only

    try:
        with netcdf_file(file, mmap=False):
            return
    except Exception as error:
        raise corrupt(file, error if str(error) else "short file") from error
