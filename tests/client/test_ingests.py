"""Many files: in order, each once by content, refused ones named, and a kill in the middle changes nothing."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import icechunk
import numpy as np
import pytest
import xarray as xr

from amasia import errors
from amasia.client import ingests
from amasia.stores.processes import Readers
from amasia.stores.reading import Wanted, look

START = np.datetime64("2020-01-01", "ns")


def make(folder: Path, count: int, steps: int = 4) -> list[Path]:
    """Files of a series, by name and by time in opposite orders."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        hours = np.arange(index * steps, (index + 1) * steps) * np.timedelta64(1, "h")
        values = np.random.default_rng(index).random((steps, 5, 6)).astype("f4")
        ds = xr.Dataset({"t": (("time", "y", "x"), values, {"units": "K"})}, {"time": START + hours, "x": np.arange(6)})
        ds.to_netcdf(folder / f"{count - index:04d}.nc", engine="h5netcdf")
    return sorted(folder.glob("*.nc"))


def target(where: Path) -> ingests.Target:
    storage = icechunk.local_filesystem_storage(str(where))
    repo = icechunk.Repository.open_or_create(storage)

    def commit(change: ingests.Change, message: str, metadata: object) -> str:
        session = repo.writable_session("main")
        change(session)
        return session.commit(message, dict(metadata))

    return ingests.Target(repo, commit, lambda _: None)


def stored(where: Path, group: str = "air") -> xr.Dataset:
    repo = icechunk.Repository.open(icechunk.local_filesystem_storage(str(where)))
    return xr.open_zarr(repo.readonly_session("main").store, group=group, consolidated=False).load()


def messages(where: Path) -> list[str]:
    repo = icechunk.Repository.open(icechunk.local_filesystem_storage(str(where)))
    return [one.message for one in repo.ancestry(branch="main")]


SERIES = ingests.Plan(group="air", append_dim="time", keep_going=True)


def test_a_series_is_put_in_order_and_takes_few_commits(tmp_path: Path) -> None:
    files = make(tmp_path / "files", 30)
    report = ingests.ingest(target(tmp_path / "repo"), [str(tmp_path / "files/*.nc")], SERIES)
    assert [one.path for one in report.taken] == [str(file) for file in reversed(files)]
    assert report.order == "by the first time of each file"
    assert len(messages(tmp_path / "repo")) == 2
    with xr.open_mfdataset(files[::-1], engine="h5netcdf", combine="nested", concat_dim="time", data_vars="minimal",
                           coords="minimal", compat="override") as expected:  # fmt: skip
        xr.testing.assert_identical(stored(tmp_path / "repo"), expected.load())


def test_each_file_is_applied_once_by_its_content_whatever_it_is_called(tmp_path: Path) -> None:
    files = make(tmp_path / "files", 3)
    place = target(tmp_path / "repo")
    ingests.ingest(place, files, SERIES)
    before = stored(tmp_path / "repo")
    files[0].rename(tmp_path / "files/renamed.nc")
    again = ingests.ingest(place, [str(tmp_path / "files/*.nc")], SERIES)
    assert (len(again.taken), len(again.skipped), len(again.refused)) == (0, 3, 0)
    assert "taken before, in snapshot" in again.skipped[0].reason
    xr.testing.assert_identical(stored(tmp_path / "repo"), before)
    elsewhere = ingests.ingest(place, files[1:], ingests.Plan(group="copy", append_dim="time"))
    assert len(elsewhere.taken) == 2


def test_refused_files_are_named_and_do_not_stop_the_others(tmp_path: Path) -> None:
    files = make(tmp_path / "files", 4)
    with xr.open_dataset(files[1], engine="h5netcdf") as ds:
        ds.rename(t="other").to_netcdf(tmp_path / "files/0002b.nc", engine="h5netcdf")
        ds.astype("f8").to_netcdf(tmp_path / "files/wide.nc", engine="h5netcdf")
    (tmp_path / "files/cut.nc").write_bytes(files[0].read_bytes()[:3000])
    (tmp_path / "files/note.nc").write_text("not an array")
    report = ingests.ingest(target(tmp_path / "repo"), [str(tmp_path / "files/*.nc")], SERIES)
    assert sorted(Path(one.path).name for one in report.refused) == ["0002b.nc", "cut.nc", "note.nc", "wide.nc"]
    assert all(one.cure and one.kind for one in report.refused)
    assert len(report.taken) == 4
    assert stored(tmp_path / "repo").sizes["time"] == 16


def test_without_keep_going_the_first_refusal_is_raised(tmp_path: Path) -> None:
    (tmp_path / "bad.nc").write_text("nothing")
    with pytest.raises(errors.CorruptFile, match=r"bad\.nc"):
        ingests.ingest(target(tmp_path / "repo"), [tmp_path / "bad.nc"], ingests.Plan())


def test_chunk_lengths_are_those_of_some_dimension_and_of_copies(tmp_path: Path) -> None:
    files = make(tmp_path / "files", 1)
    report = ingests.ingest(target(tmp_path / "repo"), files, replace(SERIES, chunks={"tme": 2}))
    assert "no dimension 'tme' to chunk; there are 'time', 'y', 'x'" in report.refused[0].reason
    with pytest.raises(errors.InvalidRequest, match="References keep the chunks"):
        ingests.ingest(target(tmp_path / "repo"), files, replace(SERIES, chunks={"time": 2}, how="virtual"))
    ingests.ingest(target(tmp_path / "repo"), files, replace(SERIES, chunks={"time": 2}))
    assert stored(tmp_path / "repo").t.encoding["chunks"] == (2, 5, 6)


def test_a_group_named_like_a_variable_is_refused_by_name(tmp_path: Path) -> None:
    files = make(tmp_path / "files", 2)
    ingests.ingest(target(tmp_path / "repo"), files[:1], ingests.Plan(group="/", keep_going=True))
    report = ingests.ingest(target(tmp_path / "repo"), files[1:], replace(SERIES, group="t"))
    assert "'t' is a variable" in report.refused[0].reason


def test_a_pattern_without_a_match_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="Nothing matches"):
        ingests.ingest(target(tmp_path / "repo"), [str(tmp_path / "*.nc")], SERIES)


def test_a_dead_process_costs_its_file_and_no_other(tmp_path: Path) -> None:
    (file,) = make(tmp_path, 1)
    with Readers(1) as pool:
        assert pool.submit(look, Wanted(str(file))).result().contents is not None
        os.kill(pool._started[0].pid, signal.SIGKILL)
        pool._started[0].wait()
        assert pool.submit(look, Wanted(str(file))).result().contents is not None


KILLED = """
import sys
from pathlib import Path
from amasia.client import ingests
from tests.client.test_ingests import SERIES, target
ingests.BATCH_FILES = 5
if __name__ == "__main__":
    ingests.ingest(target(Path(sys.argv[2])), [sys.argv[1] + "/*.nc"], SERIES)
"""


def test_a_kill_in_the_middle_and_a_second_run_give_what_one_run_gives(tmp_path: Path) -> None:
    files = make(tmp_path / "files", 40)
    where = tmp_path / "repo"
    command = [sys.executable, "-c", KILLED, str(tmp_path / "files"), str(where)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], start_new_session=True)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not _begun(where):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    half = stored(where).sizes["time"]
    assert half % 4 == 0
    report = ingests.ingest(target(where), files, SERIES)
    assert len(report.taken) + len(report.skipped) == 40
    assert len(report.skipped) == half // 4
    ingests.ingest(target(tmp_path / "once"), files, SERIES)
    xr.testing.assert_identical(stored(where), stored(tmp_path / "once"))


def _begun(where: Path) -> bool:
    try:
        return len(messages(where)) > 2
    except icechunk.IcechunkError:
        return False


def test_a_url_of_an_object_store_is_read_as_a_file_is(tmp_path: Path) -> None:
    files = make(tmp_path / "files", 2)
    report = ingests.ingest(target(tmp_path / "repo"), [f"file://{file}" for file in files], SERIES)
    assert len(report.taken) == 2
