"""Files read on a cluster: as here, and the values never pass through this process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster

from amasia import errors
from amasia.client import ingests
from amasia.client.workers import Workers
from amasia.stores import tasks
from amasia.stores.processes import Pool
from amasia.stores.reading import Wanted
from tests.client.test_formats import MAKERS, Repo, sample
from tests.client.test_ingests import make, messages, stored, target

PLAN = ingests.Plan(group="air", append_dim="time", keep_going=True, chunks={"time": 6})


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def no_file_is_opened(*_: object, **__: object) -> None:
    raise AssertionError("a file was opened in this process")


def test_a_series_comes_out_as_without_a_cluster_and_no_file_is_opened_here(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make(tmp_path / "files", 12)
    ingests.ingest(target(tmp_path / "here"), files, PLAN)
    with monkeypatch.context() as patched:
        patched.setattr(xr, "open_groups", no_file_is_opened)
        report = ingests.ingest(target(tmp_path / "there"), files, PLAN, Workers(client))
        again = ingests.ingest(target(tmp_path / "there"), files[3:], PLAN, Workers(client))
    assert [one.path for one in report.taken] == [str(file) for file in reversed(files)]
    assert (len(again.taken), len(again.skipped)) == (0, 9)
    assert len(messages(tmp_path / "there")) == 2
    xr.testing.assert_identical(stored(tmp_path / "there"), stored(tmp_path / "here"))


def test_grib_comes_out_as_without_a_cluster(client: Client, tmp_path: Path, data: Path) -> None:
    files = [data / "reanalysis/era5-levels-members.grib", data / "grib/ds.waveh.5.grib"]
    for where, how in ((tmp_path / "here", None), (tmp_path / "there", Workers(client))):
        report = ingests.ingest(target(where), files, ingests.Plan(keep_going=True), *([how] if how else []))
        assert [Path(one.path).name for one in report.taken] == [file.name for file in files], report.refused
    groups = [group for one in report.taken for group in one.groups]
    for group in groups:
        xr.testing.assert_identical(stored(tmp_path / "there", group), stored(tmp_path / "here", group))


@pytest.mark.parametrize("kind", ["json", "parquet", "zarr3"])
def test_references_are_made_on_workers_and_read_as_the_files_do(client: Client, tmp_path: Path, kind: str) -> None:
    repo = Repo(tmp_path / "repo")
    files = [MAKERS[kind](tmp_path / "files", name, start) for name, start in (("a", 4), ("b", 0))]
    plan = ingests.Plan(how="virtual", group="s", append_dim="time")
    report = ingests.ingest(repo.target, files, plan, Workers(client))
    assert [one.how for one in report.taken] == ["virtual", "virtual"]
    xr.testing.assert_equal(repo.stored("s"), xr.concat([sample(0), sample(4)], "time", data_vars="minimal"))


def test_what_comes_to_this_process_is_tasks_and_coordinates(client: Client, tmp_path: Path) -> None:
    (file,) = make(tmp_path, 1)
    found = Workers(client).submit(tasks.look, Wanted(str(file), append_dim="time")).result()
    ds = found.contents.groups["/"]
    assert ds.t.chunks is not None
    assert ds.time.chunks is None
    assert found.first[0] == "time"


def test_bad_files_are_refused_by_name_and_the_others_are_taken(client: Client, tmp_path: Path) -> None:
    files = make(tmp_path / "files", 4)
    (tmp_path / "files/cut.nc").write_bytes(files[0].read_bytes()[:3000])
    with xr.open_dataset(files[1], engine="h5netcdf") as ds:
        ds.astype("f8").to_netcdf(tmp_path / "files/wide.nc", engine="h5netcdf")
    report = ingests.ingest(target(tmp_path / "repo"), [tmp_path / "files/*.nc"], PLAN, Workers(client))
    assert sorted(Path(one.path).name for one in report.refused) == ["cut.nc", "wide.nc"]
    assert len(report.taken) == 4
    assert stored(tmp_path / "repo").sizes["time"] == 16


class Threads(Pool):
    """Tasks of this process, whose size a test chooses."""

    lazy, count = True, 1

    def submit(self, function: Callable[[Any], Any], wanted: Any) -> ingests.Here:
        return ingests.Here(function, wanted)


def test_large_variables_are_read_in_pieces_and_equal_ones_known_by_their_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make(tmp_path / "files", 3)
    for file in files:
        ds = xr.load_dataset(file, engine="h5netcdf")
        ds.assign(mask=(("y", "x"), np.eye(5, 6))).to_netcdf(file, engine="h5netcdf")
    monkeypatch.setattr(tasks, "_TASK", 240)
    looked = [tasks.look(Wanted(str(file), append_dim="time")).contents for file in files]
    assert [one.groups["/"].t.chunks[0] for one in looked if one] == [(2, 2)] * 3
    assert len({one.groups["/"].mask.data.name for one in looked if one}) == 1
    ingests.ingest(target(tmp_path / "here"), files, PLAN)
    ingests.ingest(target(tmp_path / "pieces"), files, PLAN, Threads())
    xr.testing.assert_identical(stored(tmp_path / "pieces"), stored(tmp_path / "here"))


def test_files_that_only_this_computer_has_are_one_clear_error(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, 3)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.InvalidRequest, match=r"workers of cluster .* do not have it") as caught:
        ingests.ingest(target(tmp_path / "repo"), ["/proc/self/cwd/*.nc"], PLAN, Workers(client))
    assert "shared path" in caught.value.cure
    assert len(messages(tmp_path / "repo")) == 1


def test_a_relative_path_is_the_clients(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    report = ingests.ingest(target(tmp_path / "repo"), ["*.nc"], PLAN, Workers(client))
    assert [one.path for one in report.taken] == ["0002.nc", "0001.nc"]
