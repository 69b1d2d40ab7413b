"""GRIB, read in a process of its own: `python -m amasia.stores.grib FILE DIRECTORY`.

ecCodes and pyproj in one process abort it at exit when imported in the wrong order, so ecCodes stays out of ours.
The child writes a plain Zarr of the decoded messages; an error comes back as one line of JSON.
"""

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import xarray as xr

from amasia import errors

_FAILED = 3
_LARGE = 512 << 20
"""Bytes above which messages are read a few at a time."""


def convert(path: Path, directory: Path) -> None:
    """Write a GRIB file as Zarr into a directory, with no index file left beside the data.

    Raises
    ------
    MixedGrids
        Its messages do not make one hypercube; names what differs.
    CorruptFile
    """
    command = [sys.executable, "-m", "amasia.stores.grib", str(path.absolute()), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == _FAILED:
        raise errors.from_wire(json.loads(done.stdout.splitlines()[-1]))
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise errors.CorruptFile(
            f"{path}: its GRIB messages cannot be read ({last}).", cure="Fetch the file again, or check it: grib_ls."
        )


def _main(path: Path, directory: Path) -> None:
    try:
        _check_messages(path)
        _write(path, directory)
    except errors.AmasiaError as error:
        print(json.dumps(errors.to_wire(error)))
        sys.exit(_FAILED)


def _write(path: Path, directory: Path) -> None:
    from cfgrib.dataset import DatasetBuildError  # noqa: PLC0415  ecCodes is loaded in the child only

    options: dict[str, Any] = {"indexpath": "", "errors": "raise"}
    try:
        ds = xr.open_dataset(path, engine="cfgrib", backend_kwargs=options)
    except DatasetBuildError as error:
        raise _mixed(path, str(error)) from error
    except (ValueError, OSError, EOFError) as error:
        raise errors.CorruptFile(f"{path}: no GRIB dataset in it ({error}).", cure="Check it with: grib_ls.") from error
    if ds.nbytes > _LARGE:
        ds = ds.chunk(dict.fromkeys(list(ds.dims)[:1], 16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.drop_encoding().to_zarr(directory, zarr_format=3, consolidated=False)


def _check_messages(path: Path) -> None:
    """Each message says its length and ends in 7777; ecCodes skips a last one that is cut short."""
    size, place = path.stat().st_size, 0
    with path.open("rb") as file:
        while place < size:
            file.seek(place)
            head = file.read(16)
            if head[:4] != b"GRIB":
                found = head.find(b"GRIB")
                if not head.strip(b"\0\n\r ") or found > 0:
                    place += found if found > 0 else len(head)
                    continue
                raise _corrupt(path, place, "there is no message")
            length = int.from_bytes(head[8:16]) if head[7] == 2 else int.from_bytes(head[4:7])
            if head[7] == 1 and length & 0x800000:
                return  # GRIB 1 above 8 MiB hides its length; ecCodes knows how.
            if length < 16 or place + length > size:
                raise _corrupt(path, place, f"a message of {length} bytes begins where {size - place} are left")
            file.seek(place + length - 4)
            if file.read(4) != b"7777":
                raise _corrupt(path, place, "a message does not end as it should")
            place += length


def _corrupt(path: Path, place: int, what: str) -> errors.CorruptFile:
    return errors.CorruptFile(
        f"{path} is damaged or was cut short: at byte {place} {what}.", cure="Fetch the file again."
    )


def _mixed(path: Path, said: str) -> errors.MixedGrids:
    found: dict[str, list[str]] = {}
    for line in re.findall(r"filter_by_keys=\{(.*?)\}", said):
        for key, value in re.findall(r"'(\w+)': '?([^',}]+)'?", line):
            if value not in found.setdefault(key, []):
                found[key].append(value)
    differs = "; ".join(f"{key}: {', '.join(values)}" for key, values in found.items()) or said.splitlines()[0]
    key = next(iter(found), "typeOfLevel")
    return errors.MixedGrids(
        f"{path} holds messages of several kinds that make no single dataset ({differs}).",
        cure=f"Split it, and ingest each part into a group of its own: grib_copy {path.name} '[{key}].grib'",
        **{name: list(values) for name, values in found.items()},
    )


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
