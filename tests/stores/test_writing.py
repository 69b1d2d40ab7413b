"""What fits is written, what does not is refused before the first byte."""

from collections.abc import Iterator

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster

from amasia import errors
from amasia.stores import leases, repositories, writing


def series(start: str = "2020-01-01", steps: int = 3, calendar: str = "standard") -> xr.Dataset:
    time = xr.date_range(start, periods=steps, freq="D", calendar=calendar, use_cftime=calendar != "standard")
    values = np.arange(steps * 4, dtype="f4").reshape(steps, 2, 2)
    return xr.Dataset(
        {"t": (("time", "y", "x"), values, {"units": "K"}), "mask": (("y", "x"), np.ones((2, 2), "i1"))},
        {"time": time, "x": [10.0, 20.0], "y": [1.0, 2.0]},
        {"title": "test"},
    )


def commit(source: leases.Source, put, *args, **options) -> str:
    session = repositories.open(source).writable_session("main")
    put(session, *args, **options)
    return repositories.commit(source, session, "put", {})


def stored(source: leases.Source, group: str | None = None) -> xr.Dataset:
    session = repositories.open(source).readonly_session("main")
    return xr.open_zarr(session.store, group=group, consolidated=False, chunks=None)


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_appended_is_equal_to_concatenated(on_disk: leases.Source, calendar: str) -> None:
    first, second = series(calendar=calendar), series("2020-01-04", 2, calendar=calendar)
    commit(on_disk, writing.write, first, "a/b", growing="time")
    commit(on_disk, writing.append, second, "a/b", "time")
    expected = xr.concat(
        [first, second], "time", data_vars="minimal", coords="minimal", compat="override", join="outer"
    )
    xr.testing.assert_identical(stored(on_disk, "a/b").load(), expected)


def test_finer_times_than_the_first_file_had_are_kept_exactly(on_disk: leases.Source) -> None:
    first, second = series(), series("2020-01-04T00:00:01", 1)
    first.time.encoding["units"] = "days since 1900-01-01"
    commit(on_disk, writing.write, first, growing="time")
    commit(on_disk, writing.append, second)
    assert stored(on_disk).time.values[-1] == np.datetime64("2020-01-04T00:00:01")


def shifted(start: str, nanoseconds: int, resolution: str) -> xr.Dataset:
    ds = series(start)
    times = (ds.time.values.astype("M8[ns]") + np.timedelta64(nanoseconds, "ns")).astype(f"M8[{resolution}]")
    return ds.assign_coords(time=times)


@pytest.mark.parametrize("resolution", ["ms", "us", "ns"])
@pytest.mark.parametrize("later", ["s", "ms", "us", "ns"])
def test_fractions_of_seconds_are_kept_at_every_resolution(on_disk: leases.Source, resolution: str, later: str) -> None:
    first, second = shifted("2020-01-01", 1_000_000, resolution), shifted("2020-01-04", 2_000_000, later)
    commit(on_disk, writing.write, first, growing="time")
    commit(on_disk, writing.append, second)
    expected = np.concatenate([first.time.values.astype("M8[ns]"), second.time.values.astype("M8[ns]")])
    np.testing.assert_array_equal(stored(on_disk).time.values.astype("M8[ns]"), expected)


@pytest.mark.parametrize(("before", "after"), [(0, 1_000_000), (0, 1), (1_000_000, 1)])
def test_times_finer_than_what_is_stored_counts_are_refused(on_disk: leases.Source, before: int, after: int) -> None:
    commit(on_disk, writing.write, shifted("2020-01-01", before, "ns"), growing="time")
    with pytest.raises(errors.DoesNotFit, match=r"'time' is stored as whole .*seconds, and finer times were offered"):
        commit(on_disk, writing.append, shifted("2020-01-04", after, "ns"))
    assert stored(on_disk).sizes["time"] == 3


def test_bounds_that_are_finer_than_their_times_are_kept(on_disk: leases.Source) -> None:
    ds = series()
    ds.time.attrs["bounds"] = "time_bounds"
    ds["time_bounds"] = ("time", "side"), np.stack([ds.time, ds.time + np.timedelta64(1, "ms")], axis=1)
    commit(on_disk, writing.write, ds, growing="time")
    xr.testing.assert_equal(stored(on_disk).load(), ds)


def test_attributes_that_are_no_number_are_kept_as_text(on_disk: leases.Source) -> None:
    ds = series().assign_attrs(missing=np.nan, valid_range=np.array([-np.inf, np.inf]))
    commit(on_disk, writing.write, ds)
    found = stored(on_disk).attrs
    assert (found["missing"], found["valid_range"]) == ("NaN", ["-Infinity", "Infinity"])


@pytest.mark.parametrize("name", ["a/b", "zarr.json"])
def test_a_name_that_would_not_be_found_again_is_rejected(on_disk: leases.Source, name: str) -> None:
    with pytest.raises(errors.DataRejected, match=name):
        commit(on_disk, writing.write, series().rename(t=name))


def renamed(ds: xr.Dataset) -> xr.Dataset:
    return ds.rename(t="u")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda ds: ds.isel(x=[0]), "'(t|mask)' differs in size along 'x': .* 2, .* 1"),
        (lambda ds: ds.isel(x=0, drop=True), "'x'.*missing"),
        (lambda ds: ds.isel(time=0, drop=True), "no dimension 'time' in what is offered"),
        (lambda ds: ds.transpose("x", "y", "time"), "'(t|mask)' differs in dimensions"),
        (lambda ds: ds.assign(t=ds.t.astype("f8")), "'t' differs in dtype: .* float32, .* float64"),
        (lambda ds: ds.assign(t=ds.t.assign_attrs(units="degC")), "'t' differs in units: .* K, .* degC"),
        (lambda ds: ds.assign_coords(x=[10.0, 21.0]), r"'x' differs in values: .* \[10.0, 20.0\], .* \[10.0, 21.0\]"),
        (lambda ds: ds.assign(extra=ds.t), "'extra' was offered"),
        (lambda ds: ds.drop_vars("t"), "'t' is stored and is missing"),
        (lambda ds: ds.assign_coords(time=ds.time - np.timedelta64(1, "D")), "2020-01-03.* ends at 2020-01-03"),
        (lambda ds: ds.isel(time=[1, 0]), "'time' that were offered are not in order"),
        (lambda ds: ds.convert_calendar("noleap", use_cftime=True), "standard calendar.*noleap calendar"),
        (lambda ds: ds.assign_coords(time=[1, 2]), "'time' differs in dtype: .* times .* int64"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(on_disk: leases.Source, change, names: str) -> None:
    commit(on_disk, writing.write, series(), growing="time")
    before = repositories.history(repositories.open(on_disk))
    session = repositories.open(on_disk).writable_session("main")
    with pytest.raises(errors.DoesNotFit, match=f"(?s){names}") as caught:
        writing.append(session, change(series("2020-01-04", 2)))
    assert caught.value.cure
    assert not session.has_uncommitted_changes
    assert repositories.history(repositories.open(on_disk)) == before


def test_a_group_is_not_overwritten_unless_said(on_disk: leases.Source) -> None:
    commit(on_disk, writing.write, series(), "a")
    with pytest.raises(errors.Conflict, match="'a' has data already"):
        commit(on_disk, writing.write, series(), "a")
    commit(on_disk, writing.write, series(steps=5), "a", mode="w")
    assert stored(on_disk, "a").sizes["time"] == 5


def test_a_group_without_data_takes_some_and_keeps_the_groups_below_it(on_disk: leases.Source) -> None:
    commit(on_disk, writing.write, series(), "a/b")
    commit(on_disk, writing.write, series(steps=5))
    commit(on_disk, writing.write, series(steps=4), "a")
    assert [stored(on_disk, group).sizes["time"] for group in (None, "a", "a/b")] == [5, 4, 3]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [("/", "t", "'t' is a variable"), ("/", "t/below", "'t' is a variable"), ("a/t", "a", "'t' is a group"),
     ("t", "/", "'t' is a group")],
)  # fmt: skip
def test_one_name_is_not_a_group_and_a_variable(on_disk: leases.Source, first: str, second: str, said: str) -> None:
    commit(on_disk, writing.write, series(), first)
    with pytest.raises(errors.DataRejected, match=said):
        commit(on_disk, writing.write, series(), second)
    xr.testing.assert_equal(stored(on_disk, first.strip("/") or None).load(), series())


def test_a_chunk_length_along_no_dimension_is_refused(on_disk: leases.Source) -> None:
    with pytest.raises(errors.DoesNotFit, match=r"no dimension 'tme' to chunk; there are 'time', 'y', 'x'"):
        commit(on_disk, writing.write, series(), chunks={"tme": 1, "x": 1})


def test_appending_to_nothing_is_not_found(on_disk: leases.Source) -> None:
    with pytest.raises(errors.NotFound, match="'none'"):
        commit(on_disk, writing.append, series(), "none", "time")


def test_what_zarr_cannot_hold_is_rejected_and_nothing_is_committed(on_disk: leases.Source) -> None:
    odd = series().assign(odd=("time", np.array([object(), {}, 1], dtype=object)))
    with pytest.raises(errors.DataRejected, match=r"mixed native types.*nothing was committed"):
        commit(on_disk, writing.write, odd)
    assert len(repositories.history(repositories.open(on_disk))) == 1


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


def test_workers_write_and_append_in_one_commit_each(
    source: leases.Source, client: Client, importable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = xr.date_range("2000-01-01", periods=40, freq="D")
    values = da.random.default_rng(1).random((40, 30, 50), chunks=(7, 30, 25))
    ds = xr.Dataset({"t": (("time", "y", "x"), values)}, {"time": time}).persist()
    commit(source, writing.write, ds.isel(time=slice(0, 25)), growing="time", chunks={"time": 10})
    commit(source, writing.append, ds.isel(time=slice(25, None)))
    xr.testing.assert_equal(stored(source), ds.compute())
    assert len(repositories.history(repositories.open(source))) == 3


def test_a_task_that_fails_commits_nothing(on_disk: leases.Source, client: Client) -> None:
    def boom(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("boom")

    values = da.zeros((4, 4), chunks=2).map_blocks(boom, dtype="f8", meta=np.empty((0, 0)))
    with pytest.raises(RuntimeError, match="boom"):
        commit(on_disk, writing.write, xr.Dataset({"t": (("y", "x"), values)}))
    assert len(repositories.history(repositories.open(on_disk))) == 1
    commit(on_disk, writing.write, series())
