"""Files as they come: each is taken as it is, or refused with one clear error and nothing half written."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from amasia import errors
from amasia.client import ingests
from tests.client.test_formats import Repo
from tests.client.test_ingests import SERIES, START, make, messages, stored, target


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


def packed(path: Path, start: int, scale: float, calendar: str = "standard") -> Path:
    times = xr.date_range("2020-01-01", periods=2, freq="D", calendar=calendar, use_cftime=calendar != "standard")
    times = times.shift(2 * start, "D") if start else times
    ds = xr.Dataset({"t": (("time", "x"), [[start + 0.5, 2.0], [3.0, 4.0]])}, {"time": times})
    encoding = {
        "t": {"dtype": "int16", "scale_factor": scale, "_FillValue": -9},
        "time": {"units": "days since 2000-01-01"},
    }
    ds.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path


def test_names_with_spaces_and_letters_of_all_kinds(repo: Repo, tmp_path: Path) -> None:
    folder = tmp_path / "März 2020 (neu)"
    (file,) = make(folder, 1)
    odd = file.rename(folder / "a b é.nc")
    for how in ("native", "virtual"):
        (taken,) = repo.take(odd, how=how, group=how, append_dim="time").taken
        assert taken.path == str(odd)
    xr.testing.assert_equal(repo.stored("virtual"), repo.stored("native"))
    assert repo.take(folder / "*.nc", odd.as_uri(), group="native", append_dim="time").taken == []
    odder = odd.rename(folder / "a#b?%20.nc")
    assert len(repo.take(odder, group="odder").taken) == 1
    with pytest.raises(errors.DataRejected, match="cannot be referred to"):
        repo.take(odder, how="virtual", group="odder")


def test_a_link_is_the_file_that_it_points_to(tmp_path: Path) -> None:
    files = make(tmp_path / "files", 2)
    for file in files:
        (tmp_path / file.name).symlink_to(file)
    report = ingests.ingest(target(tmp_path / "repo"), [tmp_path / "*.nc", *files], SERIES)
    assert (len(report.taken), len(report.skipped)) == (2, 2)


@pytest.mark.parametrize(
    ("name", "make_it", "says"),
    [
        ("empty.nc", lambda path: path.touch(), "is empty"),
        ("folder", lambda path: path.mkdir(), "is a directory and holds no Zarr group"),
        ("nowhere.nc", lambda path: path.symlink_to(path.parent / "gone"), "There is no file"),
        ("text.nc", lambda path: path.write_text("time,t"), "no format known here"),
    ],
)
@pytest.mark.parametrize("how", ["native", "virtual"])
def test_what_is_no_file_with_arrays_is_refused_by_name(
    repo: Repo,
    tmp_path: Path,
    name: str,
    make_it: Callable[[Path], None],
    says: str,
    how: ingests.How,
) -> None:
    path = tmp_path / name
    make_it(path)
    with pytest.raises(errors.AmasiaError, match=name) as caught:
        repo.take(path, how=how)
    assert caught.value.cure
    assert says in caught.value.message or how == "virtual"
    assert len(messages(repo.where)) == 1


def test_a_file_without_steps_is_taken_where_it_stands_alone_and_adds_nothing_to_a_series(tmp_path: Path) -> None:
    files = make(tmp_path / "files", 2)
    empty = tmp_path / "files/empty.nc"
    xr.load_dataset(files[0], engine="h5netcdf").isel(time=slice(0, 0)).to_netcdf(
        empty, engine="h5netcdf", unlimited_dims=["time"], encoding={"time": {"units": "hours since 2020-01-01"}}
    )
    report = ingests.ingest(target(tmp_path / "repo"), [empty, *files], SERIES)
    assert len(report.taken) == 2
    assert "no steps along 'time'" in report.refused[0].reason
    assert stored(tmp_path / "repo").sizes["time"] == 8
    ingests.ingest(target(tmp_path / "alone"), [empty], ingests.Plan(group="air"))
    assert stored(tmp_path / "alone").sizes["time"] == 0


@pytest.mark.parametrize("how", ["native", "virtual"])
def test_calendars_of_one_series_are_never_mixed(repo: Repo, tmp_path: Path, how: ingests.How) -> None:
    one = packed(tmp_path / "1.nc", 0, 0.5)
    two = packed(tmp_path / "2.nc", 1, 0.5, calendar="noleap")
    report = repo.take(one, two, how=how, group="air", append_dim="time", keep_going=True, order="given")
    assert [Path(one.path).name for one in report.refused] == ["2.nc"]
    assert "calendar" in report.refused[0].reason
    assert repo.stored("air").sizes["time"] == 2


def test_files_that_are_packed_differently_are_joined_as_values_and_never_as_references(
    repo: Repo,
    tmp_path: Path,
) -> None:
    files = [packed(tmp_path / f"{n}.nc", n, scale) for n, scale in enumerate((0.5, 0.25, 0.5))]
    report = repo.take(*files, how="virtual", group="refs", append_dim="time", keep_going=True)
    assert [Path(one.path).name for one in report.refused] == ["1.nc"]
    assert "scale_factor is 0.5 in what is stored and 0.25" in report.refused[0].reason
    np.testing.assert_array_equal(repo.stored("refs").t[:, 0], [0.5, 3.0, 2.5, 3.0])
    repo.take(*files, group="air", append_dim="time")
    np.testing.assert_array_equal(repo.stored("air").t[:, 0], [0.5, 3.0, 1.5, 3.0, 2.5, 3.0])


def test_attributes_of_odd_types_are_kept_or_said(repo: Repo, tmp_path: Path) -> None:
    path = packed(tmp_path / "odd.nc", 0, 0.5)
    with h5py.File(path, "r+") as file:
        file.attrs["list"] = np.arange(3, dtype="i2")
        file.attrs["bytes"] = np.bytes_(b"abc")
        file.attrs["words"] = np.array(["one", "two"], dtype=h5py.string_dtype())
        file.attrs["nothing"] = h5py.Empty("f4")
        file.attrs["nan"] = np.float32("nan")
        file.attrs["flag"] = True
        file["t"].attrs["range"] = np.array([1.5, 2.5])
    (taken,) = repo.take(path, group="air").taken
    ds = repo.stored("air")
    assert (ds.attrs["list"], ds.attrs["words"], ds.t.attrs["range"]) == ([0, 1, 2], ["one", "two"], [1.5, 2.5])
    assert any("nan" in note for note in taken.notes)
    assert "flag" in ds.attrs


@pytest.mark.parametrize(
    ("order", "name"), [([0, 0, 1, 2], "repeated"), ([2, 0, 1, 3], "unsorted"), ([3, 2, 1, 0], "falling")]
)
def test_steps_that_repeat_or_are_not_in_order_are_refused_when_they_are_appended(
    tmp_path: Path, order: list[int], name: str
) -> None:
    (first,) = make(tmp_path / "files", 1)
    bad = tmp_path / f"{name}.nc"
    later = xr.load_dataset(first, engine="h5netcdf").assign_coords(
        time=START + np.arange(4, 8) * np.timedelta64(1, "h")
    )
    later.isel(time=order).to_netcdf(bad, engine="h5netcdf")
    place = target(tmp_path / "repo")
    ingests.ingest(place, [first], SERIES)
    report = ingests.ingest(place, [bad], SERIES)
    assert "not in order, or repeat" in report.refused[0].reason
    alone = ingests.ingest(target(tmp_path / "alone"), [bad], SERIES)
    # It may be the first of a series as it is: a falling axis is one, and nothing is stored that it contradicts.
    assert len(alone.taken) + len(alone.refused) == 1
    assert len(messages(tmp_path / "repo")) == 2


def test_a_coordinate_that_no_variable_uses_is_kept_in_a_series(tmp_path: Path) -> None:
    files = make(tmp_path / "files", 3)
    for file in files:
        xr.load_dataset(file, engine="h5netcdf").assign_coords(station=[1, 2, 3]).to_netcdf(file, engine="h5netcdf")
    ingests.ingest(target(tmp_path / "repo"), files, SERIES)
    assert stored(tmp_path / "repo").station.values.tolist() == [1, 2, 3]


def test_times_beyond_what_nanoseconds_hold_do_not_go_on_from_those_within(repo: Repo, tmp_path: Path) -> None:
    near = xr.Dataset({"t": ("time", [1.0, 2.0])}, {"time": xr.date_range("2020-01-01", periods=2)})
    near.to_netcdf(tmp_path / "near.nc", engine="h5netcdf")
    repo.take(tmp_path / "near.nc", group="series", append_dim="time")
    ancient = xr.Dataset({"t": ("time", [1.0, 2.0])}, {"time": xr.date_range("0020-01-01", periods=2, use_cftime=True)})
    ancient.to_netcdf(tmp_path / "ancient.nc", engine="h5netcdf", encoding={"time": {"units": "days since 0001-01-01"}})
    with pytest.raises(errors.DoesNotFit):
        repo.take(tmp_path / "ancient.nc", group="series", append_dim="time")


@pytest.mark.parametrize("group", ["../x", "a/./b"])
def test_a_group_with_a_part_of_dots_is_no_name(repo: Repo, tmp_path: Path, group: str) -> None:
    (file,) = make(tmp_path, 1)
    with pytest.raises(errors.InvalidRequest, match="dots"):
        repo.take(file, group=group)


def test_a_group_is_one_however_its_slashes_are_written(repo: Repo, tmp_path: Path) -> None:
    (file,) = make(tmp_path, 1)
    repo.take(file, group="a/b")
    assert [one.path for one in repo.take(file, group="/a//b/").skipped] == [str(file)]


def test_a_series_without_a_group_is_refused_before_anything_is_read(repo: Repo, tmp_path: Path) -> None:
    (file,) = make(tmp_path, 1)
    with pytest.raises(errors.InvalidRequest, match="needs a group"):
        repo.take(file, append_dim="time")
