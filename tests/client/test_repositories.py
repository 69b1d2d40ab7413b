"""A scientist's repository, against the real API, in a bucket that is a directory."""

import pickle
import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from amasia import errors
from amasia.client import repositories
from amasia.client.repositories import LeaseSource, open_repo


def series(start: str, steps: int, offset: float = 0.0) -> xr.Dataset:
    times = pd.date_range(start, periods=steps, freq="D")
    values = np.arange(steps * 6, dtype="float32").reshape(steps, 2, 3) + offset
    data = xr.DataArray(values, dims=("time", "lat", "lon"), attrs={"units": "K", "standard_name": "air_temperature"})
    return xr.Dataset({"t": data}, coords={"time": times, "lat": [0.0, 1.0], "lon": [0.0, 1.0, 2.0]})


@pytest.fixture
def repo(lake):
    found = open_repo(lake, mode="write")
    found.write(series("2026-01-01", 10), "The first days", group="days", growing="time")
    return found


def test_what_was_written_is_what_is_opened_by_its_address(repo):
    ds = xr.open_dataset("amasia://demo/lake", engine="amasia", group="days")
    xr.testing.assert_identical(ds.load().drop_encoding(), series("2026-01-01", 10))


def test_the_engine_is_found_from_the_address_alone(repo):
    assert xr.open_dataset("amasia://demo/lake", group="days").sizes["time"] == 10


def test_a_reader_of_a_snapshot_sees_it_unchanged_while_more_arrives(repo):
    first = repo.snapshot()
    reader = xr.open_dataset(f"amasia://demo/lake@{first}", engine="amasia", group="days", chunks={})
    repo.append(series("2026-01-11", 5, 100), "time", "More days", group="days")
    assert reader.t.compute().sizes["time"] == 10
    assert repo.to_xarray("days").sizes["time"] == 15
    assert repo.to_xarray("days", ref=first).sizes["time"] == 10


def test_two_snapshots_of_one_address_have_different_names_in_dask(repo):
    before = xr.open_dataset("amasia://demo/lake", engine="amasia", group="days", chunks={})
    repo.write(series("2026-01-01", 10, 500), "Corrected", group="days", mode="w")
    after = xr.open_dataset("amasia://demo/lake", engine="amasia", group="days", chunks={})
    assert set(before.t.data.dask).isdisjoint(after.t.data.dask)
    assert float((after.t - before.t).max()) == 500


def test_a_commit_says_who_made_it_from_what(repo):
    source = repo.snapshot()
    ds = xr.open_dataset("amasia://demo/lake", engine="amasia", group="days", chunks={"time": 5})
    repo.write(ds.mean("time"), "Their mean", group="mean")
    newest = repo.log()[0]
    assert newest.message == "Their mean"
    assert newest.provenance.user == "ada"
    assert [str(found) for found in newest.provenance.inputs] == [f"demo/lake@{source}"]


def test_the_control_plane_indexes_what_was_committed(repo, control_plane):
    from amasia.models.base import Page
    from amasia.models.repositories import Commit

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = control_plane.link.get("/v1/workspaces/demo/repositories/lake/commits", Page[Commit]).items
        if len(found) == 2 and found[0].parent:
            break
        time.sleep(0.1)
    assert [commit.message for commit in found] == ["The first days", "Repository initialized"]
    assert found[0].snapshot == repo.snapshot()


def test_several_groups_go_into_one_commit(repo):
    snapshot = repo.write({"a": series("2026-01-01", 2), "b/c": series("2026-01-01", 3)}, "Two at once", group="x")
    assert repo.log()[0].snapshot == snapshot
    assert {"x/a", "x/b/c"} <= set(repo.groups())
    tree = xr.open_datatree("amasia://demo/lake", engine="amasia")
    assert tree["x/b/c"].sizes["time"] == 3


def test_a_file_is_ingested_and_the_next_is_appended(repo, tmp_path):
    one, two = tmp_path / "one.nc", tmp_path / "two.nc"
    series("2026-02-01", 4).to_netcdf(one, engine="h5netcdf")
    series("2026-02-05", 4, 50).to_netcdf(two, engine="h5netcdf")
    taken = repo.ingest([one, two], group="feb", append_dim="time")
    assert [found.appended for found in taken] == [False, True]
    assert len({found.snapshot for found in taken}) == 2
    with xr.open_mfdataset([one, two], engine="h5netcdf") as expected:
        xr.testing.assert_equal(repo.to_xarray("feb").load(), expected.load())


def test_a_bad_file_changes_nothing_and_is_named(repo, tmp_path):
    before = repo.snapshot()
    bad = tmp_path / "bad.nc"
    bad.write_bytes(b"CDF\x01 and then nothing of worth")
    with pytest.raises(errors.CorruptFile, match=r"bad\.nc"):
        repo.ingest([bad])
    assert repo.snapshot() == before


def test_an_append_that_does_not_fit_changes_nothing_and_says_what(repo):
    before = repo.snapshot()
    with pytest.raises(errors.DoesNotFit, match="overlap"):
        repo.append(series("2026-01-05", 3), "time", "Again", group="days")
    with pytest.raises(errors.DoesNotFit, match="dtype"):
        repo.append(series("2026-01-11", 3).astype("float64"), "time", "Wider", group="days")
    assert repo.snapshot() == before


def test_what_was_opened_for_reading_is_not_written(repo):
    with pytest.raises(errors.PermissionDenied, match="mode='write'"):
        open_repo("demo/lake").write(series("2026-01-01", 1), "No", group="no")


def test_names_that_are_not_there_are_named_with_what_is(repo):
    with pytest.raises(errors.NotFound, match="It has: days"):
        repo.to_xarray("nights")
    with pytest.raises(errors.NotFound, match="no branch, tag or snapshot 'older'"):
        repo.to_xarray("days", ref="older")
    with pytest.raises(errors.NotFound, match="no repository demo/nothing"):
        xr.open_dataset("amasia://demo/nothing", engine="amasia")
    with pytest.raises(errors.InvalidRequest, match="does not name a repository"):
        open_repo("nothing")


def test_an_address_travels_to_workers_without_a_secret(repo, control_plane):
    travelling = pickle.dumps(repo.to_xarray("days", chunks={}))
    token = control_plane.link._http.headers["Authorization"].removeprefix("Bearer ")
    assert token.encode() not in travelling
    assert pickle.loads(travelling).t.mean().compute() == pytest.approx(29.5)
    assert token not in repr(LeaseSource("demo", "lake", "re-1", "write"))


def test_a_repository_that_was_deleted_can_be_made_again_and_is_empty(repo):
    repositories.delete("demo/lake")
    with pytest.raises(errors.NotFound):
        open_repo("demo/lake")
    repositories.create("demo/lake", bucket="shelf")
    assert open_repo("demo/lake").groups() == []


def test_a_repository_shows_itself_in_a_notebook_and_escapes_what_people_wrote(repo):
    repo.write(series("2026-01-01", 1), "<script>alert(1)</script>", group="other")
    html = repo._repr_html_()
    assert "demo/lake" in html
    assert "<script>" not in html
