"""Radar volumes by xradar, as a group for each sweep: NEXRAD level 2, ODIM in HDF5, CfRadial in NetCDF."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import xarray as xr

from amasia.stores.readers.contents import Contents, corrupt


def is_odim(file: Path) -> bool:
    """Whether an HDF5 file follows ODIM and holds a volume or scan."""
    try:
        with h5py.File(file) as opened:
            what = opened["what"].attrs if "what" in opened else {}
            return _text(opened.attrs.get("Conventions", "")).startswith("ODIM_H5") and _text(
                what.get("object", "")
            ) in {"PVOL", "SCAN", "ELEV", "AZIM"}
    except OSError:
        return False  # the reader of HDF5 says what is wrong with it


def is_cfradial(root: xr.Dataset) -> bool:
    """Whether a NetCDF file is CfRadial 1."""
    said = " ".join(str(root.attrs.get(key, "")) for key in ("Conventions", "version", "Sub_conventions")).lower()
    return ("cf-radial" in said or "cf/radial" in said or "cfradial" in said) and "sweep_start_ray_index" in root


def read_odim(file: Path, stack: ExitStack) -> Contents:
    return _read("ODIM radar volume", file, stack, lambda io: io.open_odim_datatree(file))


def read_nexrad(file: Path, stack: ExitStack) -> Contents:
    return _read("NEXRAD level 2 radar volume", file, stack, lambda io: io.open_nexradlevel2_datatree(file))


def read_cfradial(file: Path, engine: str, stack: ExitStack) -> Contents:
    return _read("CfRadial radar volume", file, stack, lambda io: io.open_cfradial1_datatree(file, engine=engine))


def _read(format: str, file: Path, stack: ExitStack, read: Callable[[Any], xr.DataTree]) -> Contents:
    import xradar  # noqa: PLC0415  a second to import, and for these formats only

    try:
        tree = read(xradar.io)
        stack.callback(tree.close)
        # What is cut short shows when a sweep is read, and then something is written already: sweeps are small.
        groups = {node.path: node.to_dataset(inherit=False).load() for node in tree.subtree}
    except Exception as error:
        raise corrupt(file, error) from error
    return Contents(format, groups)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
