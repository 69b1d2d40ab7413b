"""Files as datasets, one module for each family of formats; known by their first bytes and not by their names."""

import gzip
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from amasia import errors
from amasia.stores.readers import geotiff, grib, netcdf, radar, zarrs
from amasia.stores.readers.contents import Contents, Options, corrupt
from amasia.stores.readers.keeping import kept

CLASSIC = (b"CDF\x01", b"CDF\x02")
HDF5 = b"\x89HDF\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NEXRAD = (b"AR2V", b"ARCHIVE2")
_CURE_FORMAT = (
    "Amasia reads NetCDF 3 and 4, HDF5, GRIB, GeoTIFF, Zarr, Kerchunk references and radar volumes (NEXRAD, ODIM, "
    "CfRadial). For others, open it with Xarray and call repository.write."
)
_NAME = 60


@contextmanager
def read(path: str | Path, options: Options | None = None) -> Iterator[Contents]:
    """Open a file; close it again at the end.

    Parameters
    ----------
    path
        Of one file; a directory for Zarr and for Kerchunk's parquet.
    options
        How to read it.

    Yields
    ------
    Contents
        Groups of lazily read, CF-decoded datasets; equal to what Xarray's, xradar's or rioxarray's own reader gives.

    Raises
    ------
    NotFound
    CorruptFile
        Cut short, damaged, or of no kind that is known here.
    DataRejected
        A variable that cannot be decoded, by name.
    """
    file = Path(path)
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield kept(_open(file, stack, options or Options()))


def group_name(path: str | Path) -> str:
    """A group for a file: its stem, with what Zarr paths cannot hold replaced."""
    stem = Path(path).name.partition(".")[0]
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in stem).strip("_-")
    return clean[:_NAME] or "data"


def is_grib(path: Path) -> bool:
    """Whether it must be read in a process of its own."""
    return not path.is_dir() and _magic(path).startswith(b"GRIB")


def _magic(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(8)
    except FileNotFoundError as error:
        raise errors.NotFound(f"There is no file {file}.", cure="Check its path.") from error
    except OSError as error:
        raise errors.DataRejected(f"{file} cannot be read ({error.strerror}).", cure="May you read it?") from error


def _open(file: Path, stack: ExitStack, options: Options) -> Contents:
    if file.is_dir():
        return zarrs.read_directory(file, stack, options)
    magic = _magic(file)
    if magic.startswith(CLASSIC):
        return netcdf.read_classic(file, stack, options)
    if magic.startswith(HDF5):
        return radar.read_odim(file, stack) if radar.is_odim(file) else netcdf.read_hdf5(file, stack, options)
    if magic.startswith(b"GRIB"):
        return grib.read(file, stack)
    if magic.startswith(_TIFF):
        return geotiff.read(file, stack)
    if magic.startswith(_NEXRAD):
        return radar.read_nexrad(file, stack)
    if magic.startswith(b"\x1f\x8b"):
        return _open(_unzipped(file, stack), stack, options)
    if magic.lstrip()[:1] == b"{":
        return zarrs.read_references(file, stack, options)
    what = "is empty" if not magic else f"begins with {magic!r}, which is no format known here"
    raise errors.CorruptFile(f"{file} {what}.", cure=_CURE_FORMAT)


def _unzipped(file: Path, stack: ExitStack) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amasia-gz-")))
    plain = folder / file.name.removesuffix(".gz")
    try:
        with gzip.open(file) as packed, plain.open("wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
    except (OSError, EOFError, zlib.error) as error:
        raise corrupt(file, error) from error
    return plain
