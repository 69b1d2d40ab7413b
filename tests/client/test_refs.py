"""Repositories in time, on a real control plane with its real object store."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr
import zarr

from amasia import errors
from amasia.client import arrays, cleanings, diffs, refs, repositories
from amasia.models.base import new_id
from amasia.models.refs import RefKind
from amasia.testing.waiting import wait
from tests.client.houses import House


@pytest.fixture
def repo(up: House, monkeypatch: pytest.MonkeyPatch) -> arrays.Repository:
    """Two commits of three days each, in chunks of three."""
    for key, value in up.variables.items():
        monkeypatch.setenv(key, value)
    name = f"demo/{new_id('test')}"
    repositories.create(name)
    made = arrays.open_repo(name, mode="write")
    made.write(days(0, 3), "First three", chunks={"time": 3, "x": 4})
    made.append(days(3, 6), "time", "Next three")
    return made


def days(start: int, stop: int, value: float | None = None) -> xr.Dataset:
    values = np.arange(start * 4.0, stop * 4.0).reshape(-1, 4) if value is None else np.full((stop - start, 4), value)
    times = xr.date_range("2026-01-01", periods=100, freq="D")[start:stop]
    return xr.Dataset({"t": (("time", "x"), values)}, {"time": times})


def test_the_log_has_a_commit_at_once_and_opens_no_store(up: House, repo: arrays.Repository) -> None:
    snapshot = repo.write_region(days(0, 3, -1.0), "Correct")
    done = up.run("repo", "log", repo.name, "--json")
    assert [commit["message"] for commit in json.loads(done.stdout)][:2] == ["Correct", "Next three"]
    assert refs.history(repo.name)[0].snapshot == snapshot


def test_branches_tags_and_times_name_snapshots_everywhere(repo: arrays.Repository) -> None:
    first = repo.log()[1]
    repo.create_tag("v1", first.snapshot)
    repo.create_branch("dev", "v1")
    repo.write_region(days(0, 3, -1.0), "On dev", branch="dev")
    moment = first.at.astimezone(UTC).isoformat()
    for ref in ("v1", first.snapshot, moment, f"main@{moment}"):
        assert repo.to_xarray(ref=ref).sizes["time"] == 3
        opened = xr.open_dataset(f"amasia://{repo.name}@{ref}", engine="amasia")
        assert opened.sizes["time"] == 3
    assert repo.to_xarray(ref="dev").t.values.max() == -1
    until_indexed(repo.name, ["dev", "main"])
    assert [one.message for one in refs.history(repo.name, "dev")][:2] == ["On dev", "First three"]
    before = repo.reset("v1")
    assert repo.to_xarray().sizes["time"] == 3
    assert refs.history(repo.name)[0].snapshot == first.snapshot
    assert repo.reset(before) == first.snapshot
    assert repo.to_xarray().sizes["time"] == 6
    repo.delete_branch("dev")
    repo.delete_tag("v1")
    for gone in ("dev", "v1", "1999-01-01"):
        with pytest.raises(errors.NotFound, match=gone.partition("T")[0][:4]):
            repo.to_xarray(ref=gone)
    with pytest.raises(errors.InvalidRequest, match="no name for a branch"):
        repo.create_branch("2026-01-01")


def until_indexed(name: str, branches: list[str]) -> None:
    """What the store has is known to the control plane when its next look is over."""
    wait(lambda: [ref.name for ref in refs.find(name, RefKind.branch)] == branches, 30, pause=0.2)


def test_a_difference_is_words_a_picture_and_json(up: House, repo: arrays.Repository, tmp_path) -> None:
    first = repo.log()[1].snapshot
    found = repo.diff(first)
    assert "t: was (time: 3, x: 4), is (time: 6, x: 4); time 3…6 of 6 changed, 1 of 2 chunks" in str(found)
    assert "<svg" in found._repr_html_()
    picture = tmp_path / "diff.svg"
    done = up.run("repo", "diff", repo.name, first, "main", "--svg", str(picture), "--json")
    assert json.loads(done.stdout)["arrays"] == json.loads(found.model_dump_json())["arrays"]
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_the_control_plane_knows_what_each_commit_changed(repo: arrays.Repository) -> None:
    newest = repo.log()[0].snapshot
    for _ in range(100):
        try:
            found = diffs.get(repo.name, newest)
            break
        except errors.NotFound:
            time.sleep(0.2)
    assert found.arrays == repo.diff(repo.log()[1].snapshot).arrays


def test_appends_of_many_writers_take_turns_and_all_land(repo: arrays.Repository) -> None:
    def add(number: int) -> str:
        """The next three days, whichever they are by then."""
        own = arrays.open_repo(repo.name, mode="write")
        for _ in range(50):
            end = own.to_xarray().sizes["time"]
            try:
                return own.append(days(end, end + 3, float(number)), "time", f"By {number}")
            except errors.DoesNotFit:  # somebody else had the turn before, and appended those days
                continue
        raise AssertionError("no turn in 50 tries")

    with ThreadPoolExecutor(4) as pool:
        snapshots = list(pool.map(add, range(4)))
    assert len(set(snapshots)) == 4
    ds = repo.to_xarray()
    assert ds.sizes["time"] == 18
    assert ds.indexes["time"].is_monotonic_increasing
    assert sorted(set(ds.t.values[6:, 0])) == [0, 1, 2, 3]


def test_each_snapshot_tells_what_it_added_and_the_bill_sums_them(up: House, repo: arrays.Repository) -> None:
    end = time.monotonic() + 30
    while any(commit.nbytes is None for commit in refs.history(repo.name)) and time.monotonic() < end:
        time.sleep(0.2)
    log = refs.history(repo.name)
    found = cleanings.bill(repo.name, limit=1)
    assert [one.snapshot for one in found.snapshots] == [log[0].snapshot]
    assert found.snapshots[0].nbytes == log[0].nbytes > 0
    assert found.older.nbytes == sum(commit.nbytes or 0 for commit in log[1:])
    assert found.nbytes == found.snapshots[0].nbytes + found.older.nbytes + found.rest.nbytes
    assert json.loads(up.run("repo", "storage", repo.name, "--limit", "1", "--json").stdout)["nbytes"] >= found.nbytes
    assert "older snapshots" in up.run("repo", "storage", repo.name, "--limit", "1").stdout
    assert "added" in up.run("repo", "log", repo.name).stdout


def test_a_cleaning_forgets_what_no_branch_or_tag_holds(up: House, repo: arrays.Repository) -> None:
    first, second = repo.log()[1].snapshot, repo.log()[0].snapshot
    repo.create_tag("keep", first)
    repo.write_region(days(0, 3, -1.0), "Correct")
    reader = repo.to_xarray(ref=second)
    told = cleanings.create(repo.name, 0, dry_run=True)
    assert (told.status, told.result.snapshots) == ("done", (second,))
    done = up.run("repo", "expire", repo.name, "--older-than", "0m", "--yes", "--json")
    assert json.loads(done.stdout)["result"]["snapshots"] == [second]
    assert float(reader.t[0, 0]) == 0, "an open reader loses nothing"
    assert repo.to_xarray(ref="keep").sizes["time"] == 3
    with pytest.raises(errors.NotFound):
        arrays.open_repo(repo.name).to_xarray(ref=second)
    assert second not in [one.snapshot for one in refs.history(repo.name)]


def test_tools_that_know_only_zarr_read_it_by_its_address(repo: arrays.Repository) -> None:
    group = zarr.open_group(f"amasia://{repo.name}.zarr", mode="r")
    assert float(group["t"][5, 3]) == 23.0
    assert set(group.array_keys()) == {"t", "time"}
    repo.create_tag("v1", repo.log()[1].snapshot)
    old = xr.open_zarr(f"amasia://{repo.name}@v1.zarr", consolidated=False, chunks=None)
    xr.testing.assert_equal(old.load(), repo.to_xarray(ref="v1").load())
    with pytest.raises(errors.PermissionDenied, match="read-only by this address"):
        zarr.open_group(f"amasia://{repo.name}.zarr", mode="a").create_group("new")


def test_a_tree_of_groups_is_opened_by_address(repo: arrays.Repository) -> None:
    repo.write(days(0, 6), "Below", group="below/here")
    tree = xr.open_datatree(f"amasia://{repo.name}", engine="amasia")
    assert set(tree.groups) == {"/", "/below", "/below/here"}
    assert tree["below/here"].sizes["time"] == 6
