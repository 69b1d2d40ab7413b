"""Files that the workers of a cluster read, and write to the store themselves."""

import json
from pathlib import Path

import pytest
import xarray as xr

import amasia
from show import planes
from tests.client.test_ingests import make
from tests.end_to_end.conftest import MIB, Stage, refused


@pytest.mark.timeout(300)
def test_a_series_is_read_by_a_clusters_workers_and_it_goes_on_afterwards(stage: Stage, tmp_path: Path) -> None:
    plane = stage.plane
    assert plane.amasia("up").returncode == 0
    files = sorted(make(tmp_path / "files", 6), reverse=True)  # by time
    assert plane.amasia("repo", "create", "demo/shared").returncode == 0
    cluster = stage.start(worker_memory=768 * MIB)
    words = ["repo", "ingest", "demo/shared", str(tmp_path / "files/*.nc"), "--group", "air", "--append-dim", "time"]
    refused(plane.amasia(*words, "--cluster", "no-such"), 1, "no-such")
    done = plane.amasia(*words, "--cluster", cluster.name, "--json")
    assert done.returncode == 0, planes.show_error(done)
    assert [one["path"] for one in json.loads(done.stdout)["taken"]] == list(map(str, files))
    with xr.open_mfdataset(files, engine="h5netcdf", combine="nested", concat_dim="time", data_vars="minimal",
                           coords="minimal", compat="override") as expected:  # fmt: skip
        xr.testing.assert_equal(amasia.open_repo("demo/shared").to_xarray("air").load(), expected.load())
    assert stage.cluster(cluster).target == "running"
    stage.stop(cluster)
