"""References read as the file does; files that differ are never joined; a file that changed is refused."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import icechunk
import numpy as np
import pytest
import xarray as xr

from amasia import errors
from amasia.stores import virtual
from amasia.stores.reading import Wanted


class Place:
    """A repository in a directory, and a folder of files."""

    def __init__(self, tmp_path: Path) -> None:
        self.files = tmp_path / "files"
        self.files.mkdir()
        self._where = icechunk.local_filesystem_storage(str(tmp_path / "repository"))
        self.repo = virtual.name_prefixes(icechunk.Repository.create(self._where), [f"{self.files.as_uri()}/"])

    def file(self, name: str, start: int, encoding: dict[str, object] | None = None, steps: int = 4, **other) -> Path:
        """Packed temperatures of a few days."""
        times = np.datetime64("2020-01-01", "ns") + np.arange(start, start + steps) * np.timedelta64(1, "D")
        values = 270 + np.random.default_rng(start).integers(0, 100, (steps, 8, 8)) / 10
        packed = {
            "dtype": "int16",
            "scale_factor": 0.1,
            "add_offset": 270.0,
            "_FillValue": -9999,
            "chunksizes": (2, 8, 8),
        }
        ds = xr.Dataset({"t": (("time", "y", "x"), values, {"units": other.get("units", "K")})}, {"time": times})
        clock = {"units": "days since 2000-01-01", "calendar": "standard"} | other.get("time", {})
        path = self.files / name
        ds.to_netcdf(path, engine="h5netcdf", encoding={"t": packed | (encoding or {}), "time": clock})
        return path

    def take(self, path: Path, append_dim: str | None = "time") -> None:
        session = self.repo.writable_session("main")
        found = virtual.look(Wanted(str(path), append_dim=append_dim))
        virtual.put(session, [found], "series", append_dim)
        session.commit(path.name)

    def stored(self) -> xr.Dataset:
        store = self.repo.readonly_session("main").store
        return xr.open_zarr(store, group="series", consolidated=False, chunks=None)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_references_read_as_the_file_does_and_hold_no_copy(place: Place) -> None:
    one, two = place.file("one.nc", 0), place.file("two.nc", 4)
    place.take(one)
    place.take(two)
    with xr.open_mfdataset([one, two], engine="h5netcdf", combine="nested", concat_dim="time") as expected:
        xr.testing.assert_identical(place.stored().load(), expected.load())


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda p: p.file("b.nc", 4, {"scale_factor": 0.2}), "scale_factor is 0.1 in what is stored and 0.2"),
        (lambda p: p.file("b.nc", 4, {"add_offset": 260.0}), "add_offset"),
        (lambda p: p.file("b.nc", 4, {"_FillValue": -1}), "_FillValue|fill value"),
        (lambda p: p.file("b.nc", 4, {"chunksizes": (4, 8, 8)}), "chunks"),
        (lambda p: p.file("b.nc", 4, {"dtype": "int32"}), "dtype"),
        (lambda p: p.file("b.nc", 4, {"compression": "gzip"}), "codecs"),
        (lambda p: p.file("b.nc", 4, units="degC"), "units is 'K'"),
        (lambda p: p.file("b.nc", 4, time={"units": "hours since 2000-01-01"}), "units is 'days since"),
        (lambda p: p.file("b.nc", 4, time={"calendar": "noleap"}), "calendar"),
        (lambda p: p.file("b.nc", 2), "overlap"),
    ],
    ids=["scale", "offset", "fill", "chunks", "dtype", "codec", "units", "time units", "calendar", "order"],
)
def test_a_file_that_differs_is_refused_by_name_and_nothing_is_joined(
    place: Place, other: Callable[[Place], Path], says: str
) -> None:
    place.take(place.file("a.nc", 0))
    before = place.stored().load()
    with pytest.raises(errors.DoesNotFit, match=rf"(?s)b\.nc.*({says})") as caught:
        place.take(other(place))
    assert "--native" in caught.value.cure or "Nothing was written" in caught.value.cure
    xr.testing.assert_identical(place.stored().load(), before)


def test_after_a_chunk_that_is_not_full_nothing_can_be_joined(place: Place) -> None:
    place.take(place.file("a.nc", 0, steps=3))
    with pytest.raises(errors.DoesNotFit, match="last chunk of what is stored along 'time' is not full"):
        place.take(place.file("b.nc", 3))


def test_a_source_that_was_overwritten_is_refused_and_not_read_as_something_else(place: Place) -> None:
    path = place.file("a.nc", 0)
    place.take(path)
    other = place.file("other.nc", 8)
    other.replace(path)
    os.utime(path, (time.time() + 5, time.time() + 5))
    with pytest.raises(icechunk.IcechunkError, match=r"(?i)modified|checksum|changed"):
        place.stored().t.load()


def test_who_did_not_allow_a_prefix_reads_nothing_from_it(place: Place, tmp_path: Path) -> None:
    place.take(place.file("a.nc", 0))
    plain = icechunk.Repository.open(icechunk.local_filesystem_storage(str(tmp_path / "repository")))
    for allowed, reads in (
        ((), False),
        ((f"{tmp_path.as_uri()}/elsewhere/",), False),
        ((f"{tmp_path.as_uri()}/",), True),
    ):
        opened = virtual.allow(plain, allowed)
        ds = xr.open_zarr(opened.readonly_session("main").store, group="series", consolidated=False, chunks=None)
        if reads:
            xr.testing.assert_identical(ds.load(), place.stored().load())
        else:
            with pytest.raises(icechunk.IcechunkError):
                ds.t.load()


def test_what_cannot_be_referred_to_says_what_can(place: Place) -> None:
    path = place.files / "t.grib"
    path.write_bytes(b"GRIB" + bytes(100))
    with pytest.raises(errors.DataRejected, match=r"t\.grib has a format that cannot be referred to"):
        place.take(path)
