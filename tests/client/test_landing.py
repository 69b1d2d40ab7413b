"""Series that several processes fill, and files as they land, on a real control plane with its real object store."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import xarray as xr

from amasia.client import arrays, arrivals, ingests
from amasia.models.arrivals import Outcome
from amasia.testing.waiting import wait
from tests.client.test_ingests import make

TAKE = """
import sys, amasia
from amasia.client import ingests
ingests.BATCH_FILES = 2
if __name__ == "__main__":
    repo = amasia.open_repo(sys.argv[1], mode="write")
    print("ready", flush=True)
    sys.stdin.readline()
    report = repo.ingest(sys.argv[2:], group="air", append_dim="time", keep_going=True)
    print(len(report.taken), len(report.skipped), [one.reason for one in report.refused])
"""


def test_two_ingests_of_one_series_take_turns_and_take_each_file_once(name: str, tmp_path: Path) -> None:
    files = [str(file) for file in make(tmp_path / "files", 8)]
    command = [sys.executable, "-c", TAKE, name, *files]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    told = []
    for process in both:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        out, _ = process.communicate(timeout=100)
        told.append(out.strip())
    assert sorted(told) == ["0 8 []", "8 0 []"]
    repo = arrays.open_repo(name)
    assert len(repo.log()) == 5  # four batches, and the beginning
    with xr.open_mfdataset(sorted(files, reverse=True), engine="h5netcdf", combine="nested", concat_dim="time",
                           data_vars="minimal", coords="minimal", compat="override") as expected:  # fmt: skip
        xr.testing.assert_equal(repo.to_xarray("air").load(), expected.load())


@contextmanager
def watching(name: str, folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real command, until it is interrupted."""
    words = ["repo", "ingest", name, str(folder), "--group", "air", "--append-dim", "time", "--watch", "--events"]
    with log.open("ab") as out:
        process = subprocess.Popen([sys.executable, "-m", "amasia.cli.main", *words], stdout=out, stderr=out)
    try:
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(240)
def test_files_are_taken_as_they_land_once_whole_and_a_restart_takes_nothing_twice(name: str, tmp_path: Path) -> None:
    files = sorted(make(tmp_path / "made", 4), reverse=True)  # by time
    folder, log = tmp_path / "incoming", tmp_path / "log"
    folder.mkdir()
    log.touch()
    repo = arrays.open_repo(name)

    def steps() -> int:
        return repo.to_xarray("air").sizes["time"] if repo.groups() else 0

    with watching(name, folder, log):
        wait(lambda: b"Watching" in log.read_bytes(), 60, why=log.read_text)
        half = folder / "2.nc.part"
        half.write_bytes(files[1].read_bytes()[:3000])
        growing, content = folder / "3.nc", files[2].read_bytes()
        os.link(files[0], folder / "1.nc")
        for end in range(1000, 1000 + 9 * 500, 500):  # longer than two looks
            growing.write_bytes(content[:end])
            time.sleep(0.5)
        growing.unlink()
        wait(lambda: steps() == 4, 60, why=log.read_text)
        wait(lambda: "1 taken" in log.read_text(), 60, why=log.read_text)
        assert log.read_text().count("0 refused") == 1
        half.write_bytes(files[1].read_bytes())
        half.rename(folder / "2.nc")
        wait(lambda: steps() == 8, 60, why=log.read_text)
    assert log.read_text().endswith("Stopped.\n")
    with watching(name, folder, log):
        wait(lambda: "0 taken, 2 skipped, 0 refused" in log.read_text(), 60, why=log.read_text)
        growing.write_bytes(content)
        wait(lambda: steps() == 12, 60, why=log.read_text)
        # What others announce is taken too; outside of the folder it is refused, for them.
        os.link(files[3], folder / ".4.nc")
        arrivals.create(name, [str(folder / ".4.nc"), str(files[0])])
        wait(lambda: steps() == 16, 60, why=log.read_text)
        wait(lambda: not arrivals.find(name, Outcome.waiting), 60, why=log.read_text)
    assert [one.outcome for one in arrivals.find(name)] == [Outcome.taken, Outcome.refused]
    assert len(repo.log()) == 5
    again = arrays.open_repo(name, mode="write").ingest(files, group="air", append_dim="time")
    assert (len(again.taken), len(again.skipped)) == (0, 4)
    assert isinstance(again, ingests.Report)
