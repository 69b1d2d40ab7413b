"""Files as datasets: NetCDF 3, NetCDF 4, HDF5 and GRIB, known by their first bytes and not by their names."""

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import xarray as xr

from amasia import errors
from amasia.stores import grib

_CLASSIC = (b"CDF\x01", b"CDF\x02")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_CURE_FORMAT = "Amasia reads NetCDF 3 and 4, HDF5 and GRIB. For others, open it with Xarray and call repository.write."
_NAME = 60


@contextmanager
def read(path: str | Path) -> Iterator[Mapping[str, xr.Dataset]]:
    """Open a file; close it again at the end.

    Parameters
    ----------
    path
        Of one file.

    Yields
    ------
    mapping
        Group path (``"/"`` for the root) to a lazily read, CF-decoded dataset; equal to what Xarray's own reader gives.

    Raises
    ------
    NotFound
    CorruptFile
        Cut short, damaged, or of no kind that is known here.
    MixedGrids
        GRIB messages that make no single dataset.
    DataRejected
        A variable that cannot be decoded, by name.
    """
    file = Path(path)
    with ExitStack() as stack:
        yield _open(file, _magic(file), stack)


def group_name(path: str | Path) -> str:
    """A group for a file: its stem, with what Zarr paths cannot hold replaced."""
    stem = Path(path).name.partition(".")[0]
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in stem).strip("_-")
    return clean[:_NAME] or "data"


def _magic(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(8)
    except FileNotFoundError as error:
        raise errors.NotFound(f"There is no file {file}.", cure="Check its path.") from error
    except OSError as error:
        raise errors.DataRejected(f"{file} cannot be read ({error.strerror}).", cure="May you read it?") from error


def _open(file: Path, magic: bytes, stack: ExitStack) -> Mapping[str, xr.Dataset]:
    if magic.startswith(_CLASSIC):
        _check_classic_size(file)
        return _decoded(file, "scipy", stack)
    if magic.startswith(_HDF5):
        return _decoded(file, "h5netcdf", stack)
    if magic.startswith(b"GRIB"):
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amasia-grib-")))
        grib.convert(file, directory / "zarr")
        return {"/": stack.enter_context(xr.open_zarr(directory / "zarr", consolidated=False, chunks=None))}
    what = "is empty" if not magic else f"begins with {magic!r}, which is no format known here"
    raise errors.CorruptFile(f"{file} {what}.", cure=_CURE_FORMAT)


def _decoded(file: Path, engine: str, stack: ExitStack) -> Mapping[str, xr.Dataset]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if engine == "scipy":
                return {"/": stack.enter_context(xr.open_dataset(file, engine="scipy", chunks=None))}
            groups = xr.open_groups(file, engine="h5netcdf", phony_dims="access", chunks=None)
        except Exception as error:
            # Whatever a damaged file makes the libraries below raise; nothing has been written yet.
            raise _refusal(file, engine, error) from error
    for ds in groups.values():
        stack.callback(ds.close)
    return {path: ds for path, ds in groups.items() if ds.variables} or {"/": groups["/"]}


def _refusal(file: Path, engine: str, error: Exception) -> errors.AmasiaError:
    name, units = _undecodable(file, engine)
    if name:
        return errors.DataRejected(
            f"{file}: the times of variable {name!r} cannot be decoded; its units are {units!r}.",
            cure="Open it with xr.open_dataset(path, decode_times=False), correct the units (CF has no year 0), and "
            "call repository.write.",
            variable=name,
            units=units,
        )
    return errors.CorruptFile(
        f"{file} is damaged or was cut short ({type(error).__name__}: {str(error).splitlines()[0][:200]}).",
        cure="Fetch the file again; `ncdump -h` shows whether it can be read.",
    )


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


def _check_classic_size(file: Path) -> None:
    """NetCDF 3 has no checksum and its reader maps what is there: the header tells how long it must be."""
    from scipy.io import netcdf_file  # noqa: PLC0415  a second to import, and for this format only

    try:
        with netcdf_file(file, mmap=False):
            return
    except Exception as error:
        raise errors.CorruptFile(
            f"{file} is damaged or was cut short ({str(error).splitlines()[0][:200] if str(error) else 'short file'}).",
            cure="Fetch the file again.",
        ) from error
