"""Object stores that die or fill up: one error, no half commit, nothing acknowledged is lost."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import xarray as xr

from show import planes
from show.planes import Plane
from tests.end_to_end.conftest import MIB, Stage, refused


def file_of(path: Path, megabytes: int) -> Path:
    """A NetCDF file that does not compress."""
    values = np.random.default_rng(7).random((megabytes, MIB // 8))
    xr.Dataset({"noise": (("time", "x"), values)}, coords={"time": np.arange(megabytes)}).to_netcdf(path)
    return path


def history(plane: Plane, repository: str) -> list[str]:
    done = plane.amasia("repo", "log", repository, "--json")
    assert done.returncode == 0, planes.show_error(done)
    return [commit["snapshot"] for commit in json.loads(done.stdout)]


def signed_in(plane: Plane) -> Plane:
    done = plane.amasia("up")
    assert done.returncode == 0, planes.show_error(done)
    return plane


def test_a_dead_object_store_is_one_error_and_loses_no_commit(stage: Stage, tmp_path: Path) -> None:
    plane = signed_in(stage.plane)
    assert plane.amasia("repo", "create", "demo/brittle").returncode == 0
    assert plane.amasia("repo", "ingest", "demo/brittle", file_of(tmp_path / "one.nc", 1)).returncode == 0
    before = history(plane, "demo/brittle")
    store = psutil.Process(json.loads((plane.home / "store" / "pid.json").read_text())["pid"])
    data = plane.home / "store" / "data"
    data.rename(data.with_name("away"))
    data.touch()  # so that the control plane, which starts a dead store again, cannot
    store.kill()
    refused(plane.amasia("repo", "ingest", "demo/brittle", file_of(tmp_path / "two.nc", 1)), 1, "store")
    data.unlink()
    data.with_name("away").rename(data)
    plane.kill()
    plane.up()
    assert history(plane, "demo/brittle") == before
    assert plane.amasia("repo", "ingest", "demo/brittle", tmp_path / "two.nc").returncode == 0
    assert history(plane, "demo/brittle")[1:] == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 112 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=112m", "tmpfs", disk], check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.timeout(240)
def test_a_full_disk_is_one_error_and_no_half_commit(small_disk: Path, shared_cache: Path, tmp_path: Path) -> None:
    plane = Plane(small_disk)
    planes.share_cache(plane.home, shared_cache)
    with planes.cleared(plane):
        signed_in(plane)
        assert plane.amasia("repo", "create", "demo/full").returncode == 0
        assert plane.amasia("repo", "ingest", "demo/full", file_of(tmp_path / "small.nc", 4)).returncode == 0
        before = history(plane, "demo/full")
        large = file_of(tmp_path / "large.nc", 110)
        refused(plane.amasia("repo", "ingest", "demo/full", large), 1, "No space left in the object store")
        refused(plane.amasia("repo", "ingest", "demo/full", large), 1, "Free some space")
        assert history(plane, "demo/full") == before
        assert plane.amasia("status").returncode == 0
        assert plane.amasia("down", "--yes").returncode == 0
        assert plane.processes() == []
