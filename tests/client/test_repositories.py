"""Repositories as a scientist holds them, on a real control plane with its real object store."""

import json
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from amasia import errors
from amasia.client import arrays, repositories
from amasia.client.transport import connect
from amasia.models.base import Page
from amasia.models.repositories import Commit
from amasia.settings import client_settings
from tests.client.houses import House

NEMO = [f"ocean/nemo_1m_20150{a}01-20150{a + 1}01_grid-T.nc" for a in (1, 2, 3)]


def series(start: str = "2020-01-01", steps: int = 3) -> xr.Dataset:
    values = np.arange(steps * 4, dtype="f4").reshape(steps, 2, 2)
    coords = {"time": xr.date_range(start, periods=steps, freq="D"), "x": [1.0, 2.0], "y": [1.0, 2.0]}
    return xr.Dataset({"t": (("time", "y", "x"), values)}, coords)


def test_files_of_a_series_go_in_with_one_commit_and_a_reader_keeps_what_it_opened(name: str, data: Path) -> None:
    repo = arrays.open_repo(name, mode="write")
    (first,) = repo.ingest([data / NEMO[0]], group="ocean", append_dim="time_counter").taken
    early = arrays.open_repo(name).to_xarray("ocean", chunks={})
    done = repo.ingest([data / file for file in NEMO[1:]], group="ocean", append_dim="time_counter").taken
    assert [one.appended for one in (first, *done)] == [False, True, True]
    assert early.sizes["time_counter"] == 1
    with xr.open_dataset(data / NEMO[0], engine="h5netcdf") as expected:
        xr.testing.assert_equal(early.compute(), expected)
    assert repo.to_xarray("ocean").sizes["time_counter"] == 3
    log = repo.log()
    assert done[0].snapshot == done[1].snapshot
    assert [commit.snapshot for commit in log[:2]] == [done[0].snapshot, first.snapshot]
    assert repo.groups() == ["ocean"]


def test_a_result_says_who_made_it_and_from_what(name: str) -> None:
    repo = arrays.open_repo(name, mode="write")
    source = repo.write(series(), "source", group="in", inputs=())
    result = repo.to_xarray("in", chunks={}).mean("time")
    repo.write(result, "mean", group="out")
    newest = repo.log()[0]
    assert newest.provenance is not None
    assert newest.provenance.user
    assert [str(one) for one in newest.provenance.inputs] == [f"{name}@{source}"]
    assert newest.metadata["amasia"]["commit_id"] == newest.provenance.commit_id
    assert repo.log()[1].provenance.inputs == ()


def test_the_source_of_leases_is_pickled_without_a_secret(name: str) -> None:
    source = arrays.LeaseSource(*name.split("/"), "re-1", "read")
    content = pickle.dumps(source)
    token = client_settings().token.get_secret_value()
    assert token
    assert token.encode() not in content
    lease = pickle.loads(content)()
    assert lease.prefix.startswith("demo/re-")


def test_a_repository_opened_for_reading_writes_nothing(name: str) -> None:
    with pytest.raises(errors.PermissionDenied, match=f"{name} was opened for reading"):
        arrays.open_repo(name).write(series(), "no")
    assert len(arrays.open_repo(name).log()) == 1


@pytest.mark.parametrize("bad", ["cut", "mixed", "shifted"])
def test_a_bad_input_leaves_the_history_as_it_was(name: str, data: Path, tmp_path: Path, bad: str) -> None:
    repo = arrays.open_repo(name, mode="write")
    repo.ingest([data / NEMO[1]], group="ocean", append_dim="time_counter")
    before = repo.log()
    cut = tmp_path / "cut.nc"
    cut.write_bytes((data / NEMO[2]).read_bytes()[:700_000])
    file, error = {
        "cut": (cut, errors.CorruptFile),
        "mixed": (data / "grib/wafsgfs_L_t06z_intdsk60.grib2", errors.DoesNotFit),
        "shifted": (data / NEMO[0], errors.DoesNotFit),
    }[bad]
    with pytest.raises(error, match=file.name):
        repo.ingest([file], group="ocean", append_dim="time_counter")
    assert repo.log() == before


def test_branches_tags_and_snapshots_are_found_and_what_is_not_there_is_named(name: str) -> None:
    repo = arrays.open_repo(name, mode="write")
    first = repo.write(series(), "one", group="a")
    repo.append(series("2020-01-04"), "time", "two", group="a")
    repo.repo.create_tag("v1", snapshot_id=first)
    assert repo.to_xarray("a", ref="v1").sizes["time"] == repo.to_xarray("a", ref=first).sizes["time"] == 3
    assert repo.to_xarray("a").sizes["time"] == 6
    assert repo.log("v1")[0].snapshot == first
    for ref in ("nope", "AAAAAAAAAAAAAAAAAAAA"):
        with pytest.raises(errors.NotFound, match=ref):
            repo.to_xarray("a", ref=ref)
    with pytest.raises(errors.NotFound, match=r"no group 'b'.*It has: a"):
        repo.to_xarray("b")
    with pytest.raises(errors.NotFound, match="nowhere"):
        arrays.open_repo("demo/nowhere")


def test_a_notebook_shows_it_with_everything_escaped(name: str) -> None:
    repo = arrays.open_repo(name, mode="write")
    assert repo.groups() == []
    assert "none yet" in repo._repr_html_()
    repo.write(series(), "<script>alert(1)</script>", group="a")
    html = repo._repr_html_()
    assert "<script" not in html
    assert "&lt;script" in html
    assert name in html


@pytest.mark.parametrize("words", [["list"], ["show", "NAME"], ["log", "NAME"], ["show", "NAME", "--group", "a"]])
def test_the_command_line_prints_only_data_as_json(up: House, name: str, words: list[str]) -> None:

    arrays.open_repo(name, mode="write").write(series(), "one", group="a")
    done = up.run("repo", *[name if word == "NAME" else word for word in words], "--json")
    assert done.returncode == 0, done.stderr
    assert name.partition("/")[2] in json.dumps(json.loads(done.stdout))


def test_the_command_line_ingests_and_refuses_with_a_status(up: House, name: str, data: Path) -> None:
    done = up.run("repo", "ingest", name, str(data / "reanalysis/air.nc"), "--json")
    assert done.returncode == 0, done.stderr
    done = up.run("repo", "ingest", name, str(data / "climatology/coads_climatology.cdf"))
    assert done.returncode == 1
    assert "hour since 0000-01-01" in done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert len(arrays.open_repo(name).log()) == 2


def test_a_repository_that_was_deleted_can_be_made_again_and_is_empty(name: str) -> None:
    arrays.open_repo(name, mode="write").write(series(), "Something", group="a")
    repositories.delete(name)
    with pytest.raises(errors.NotFound, match="no repository"):
        arrays.open_repo(name)
    repositories.create(name)
    again = arrays.open_repo(name, mode="write")
    assert again.groups() == []
    again.write(series(), "Something else", group="b")
    assert again.groups() == ["b"]


def test_the_control_plane_indexes_what_was_committed(name: str) -> None:
    snapshot = arrays.open_repo(name, mode="write").write(series(), "Indexed", group="a")
    path = f"/v1/workspaces/demo/repositories/{name.partition('/')[2]}/commits"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = connect().get(path, Page[Commit]).items
        if len(found) == 2 and found[0].parent:
            break
        time.sleep(0.2)
    assert [commit.message for commit in found] == ["Indexed", "Repository initialized"]
    assert found[0].snapshot == snapshot
