"""Real files in, and the same values out; bad ones refused with nothing written."""

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from amasia import errors
from amasia.stores import ingest, leases, processes, readers, reading, repositories

NEMO = [f"ocean/nemo_1m_20150{a}01-20150{a + 1}01_grid-T.nc" for a in (1, 2, 3)]


def take(source: leases.Source, path: Path, **options) -> ingest.Ingested:
    session = repositories.open(source).writable_session("main")
    with processes.Readers(1) as pool:
        apart = reading.is_apart(str(path))
        found = pool.submit(reading.look, reading.Wanted(str(path))).result() if apart else None
    done = ingest.put(session, [found], **options)[0] if found else ingest.ingest(session, path, **options)
    repositories.commit(source, session, f"ingest {path.name}", {})
    return done


def stored(source: leases.Source, group: str, **ref) -> xr.Dataset:
    session = repositories.open(source).readonly_session(**(ref or {"branch": "main"}))
    return xr.open_zarr(session.store, group=group.strip("/") or None, consolidated=False, chunks=None)


def messages(source: leases.Source) -> list[str]:
    return [snapshot.message for snapshot in repositories.history(repositories.open(source))]


@pytest.mark.parametrize(
    ("file", "engine"),
    [
        ("climatology/monthly_navy_winds.cdf", "scipy"),
        ("reanalysis/eraint_uvz.nc", "scipy"),
        ("reanalysis/air.nc", "h5netcdf"),
        ("ocean/orca2_votemper.nc", "h5netcdf"),
        ("mesh/tas_rotated_grid_EUR11.nc", "scipy"),
        ("satellite/ascat_20150702_084200_metopa_45145_eps_o_250_2300_ovw.l2.nc", "scipy"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_comes_out_is_what_xarray_reads(on_disk: leases.Source, data: Path, file: str, engine: str) -> None:
    done = take(on_disk, data / file)
    assert done.groups == ("/" + readers.group_name(file),)
    with xr.open_dataset(data / file, engine=engine) as expected:
        found = stored(on_disk, done.groups[0])
        xr.testing.assert_equal(found, expected)
        assert {n: v.dtype.kind for n, v in found.variables.items()} == {
            n: v.dtype.kind for n, v in expected.variables.items()
        }
        assert found.attrs.keys() == expected.attrs.keys()


_CFGRIB = """
import os, pickle, pyproj, sys, xarray as xr  # pyproj before ecCodes, and no orderly exit: they abort it
ds = xr.open_dataset(sys.argv[1], engine="cfgrib", backend_kwargs={"indexpath": ""}).load().drop_encoding()
pickle.dump(ds, sys.stdout.buffer)
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.parametrize("file", ["reanalysis/era5-2mt-2019-03-uk.grib", "reanalysis/era5-levels-members.grib"])
def test_grib_comes_out_as_cfgrib_reads_it_and_leaves_no_index(on_disk: leases.Source, data: Path, file: str) -> None:
    before, loaded = set((data / file).parent.iterdir()), set(sys.modules)
    done = take(on_disk, data / file)
    assert "eccodes" not in set(sys.modules) - loaded
    reference = subprocess.run([sys.executable, "-c", _CFGRIB, data / file], capture_output=True, check=True)
    xr.testing.assert_equal(stored(on_disk, done.groups[0]), pickle.loads(reference.stdout))
    assert set((data / file).parent.iterdir()) == before


def test_a_grib_file_makes_the_same_commit_wherever_and_whenever_it_is_read(on_disk: leases.Source, data: Path) -> None:
    done = take(on_disk, data / "reanalysis/era5-2mt-2019-03-uk.grib")
    said = stored(on_disk, done.groups[0]).attrs["history"]
    assert re.fullmatch(r"GRIB to CDM\+CF via cfgrib-\S+/ecCodes-\S+", said)


def test_files_are_appended_one_commit_each_while_a_reader_keeps_the_first(source: leases.Source, data: Path) -> None:
    first = None
    for file in NEMO:
        done = take(source, data / file, group="ocean", append_dim="time_counter")
        first = first or repositories.history(repositories.open(source), limit=1)[0].id
        assert done.groups == ("/ocean",)
    with xr.open_mfdataset(
        [data / file for file in NEMO], engine="h5netcdf", combine="nested", concat_dim="time_counter",
        data_vars="minimal", coords="minimal", compat="override", join="override",
    ) as expected:  # fmt: skip
        xr.testing.assert_equal(stored(source, "ocean"), expected.load())
    with xr.open_dataset(data / NEMO[0], engine="h5netcdf") as expected:
        xr.testing.assert_equal(stored(source, "ocean", snapshot_id=first), expected)
    assert len(messages(source)) == 4


def test_groups_of_a_file_are_kept_below_its_own(on_disk: leases.Source, data: Path) -> None:
    done = take(on_disk, data / "satellite/TEMPO_NO2_L2_V03_20240601T210934Z_S012G01_subsetted.nc4", group="tempo")
    assert set(done.groups) == {"/tempo", "/tempo/geolocation", "/tempo/product"}
    tree = xr.open_groups(data / "satellite/TEMPO_NO2_L2_V03_20240601T210934Z_S012G01_subsetted.nc4", engine="h5netcdf")
    xr.testing.assert_equal(stored(on_disk, "tempo/product"), tree["/product"])


def cut(data: Path, tmp_path: Path, file: str, fraction: float = 0.6) -> Path:
    whole = (data / file).read_bytes()
    short = tmp_path / Path(file).name
    short.write_bytes(whole[: int(len(whole) * fraction)])
    return short


def spoilt(data: Path, tmp_path: Path) -> Path:
    """A NetCDF 4 file with a hole of zeros in its middle: the header is whole, a chunk is not."""
    content = bytearray((data / NEMO[0]).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200_000] = bytes(200_000)
    path = tmp_path / "spoilt.nc"
    path.write_bytes(content)
    return path


def other(content: bytes) -> Callable[[Path, Path], Path]:
    def make(_: Path, tmp_path: Path) -> Path:
        (tmp_path / "other.nc").write_bytes(content)
        return tmp_path / "other.nc"

    return make


@pytest.mark.parametrize(
    ("make", "error", "names"),
    [
        (lambda d, t: cut(d, t, "climatology/monthly_navy_winds.cdf"), errors.CorruptFile, "cut short"),
        (lambda d, t: cut(d, t, NEMO[0]), errors.CorruptFile, "cut short"),
        (lambda d, t: cut(d, t, "reanalysis/era5-2mt-2019-03-uk.grib"), errors.CorruptFile, "cut short"),
        (lambda d, t: cut(d, t, NEMO[0], 0.001), errors.CorruptFile, "cut short"),
        (spoilt, errors.CorruptFile, "damaged"),
        (other(b""), errors.CorruptFile, "is empty"),
        (other(b"\x89PNG\r\n\x1a\n"), errors.CorruptFile, "no format"),
        (lambda d, _: d / "basemap/land-110m.json", errors.DataRejected, "TopoJSON"),
        (lambda d, _: d / "climatology/coads_climatology.cdf", errors.DataRejected, "'TIME'.*hour since 0000-01-01"),
        (lambda d, _: d / "nowhere.nc", errors.NotFound, "Check its path"),
    ],
    ids=["netcdf3", "netcdf4", "grib", "header", "spoilt", "empty", "png", "topojson", "year0", "missing"],
)
def test_a_bad_file_is_named_and_changes_nothing(
    on_disk: leases.Source, data: Path, tmp_path: Path, make, error, names: str
) -> None:
    take(on_disk, data / "reanalysis/air.nc")
    before = messages(on_disk)
    path = make(data, tmp_path)
    with pytest.raises(error, match=f"(?s){path.name}.*{names}") as caught:
        take(on_disk, path)
    assert caught.value.cure
    assert messages(on_disk) == before
    assert type(caught.value) is error


def test_the_kind_of_a_file_is_its_first_bytes_not_its_name(data: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.grib"
    odd.write_bytes((data / "reanalysis/air.nc").read_bytes())
    with readers.read(odd) as found:
        assert "air" in found.groups["/"]


@pytest.mark.parametrize(
    ("name", "group"),
    [("a.b.nc", "a"), ("2 mètre t.nc", "2_m_tre_t"), ("...", "data"), ("x" * 200 + ".nc", "x" * 60)],
)
def test_a_group_is_named_for_its_file(name: str, group: str) -> None:
    assert readers.group_name(name) == group


def test_a_large_variable_is_read_piece_by_piece_and_comes_out_equal(
    on_disk: leases.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "_LARGE", 1 << 20)
    values = np.random.default_rng(0).random((40, 200, 300)).astype("f4")
    ds = xr.Dataset({"t": (("time", "y", "x"), values)}, {"time": np.arange(40)})
    ds.to_netcdf(tmp_path / "large.nc", engine="h5netcdf")
    take(on_disk, tmp_path / "large.nc", append_dim="time")
    xr.testing.assert_equal(stored(on_disk, "large"), ds)
