"""`xr.open_dataset("amasia://…")`, on a real control plane."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster

from amasia import errors
from amasia.client import arrays, repositories
from amasia.models.base import new_id
from amasia.stores import lineage
from tests.client.houses import House


@pytest.fixture
def repo(up: House, monkeypatch: pytest.MonkeyPatch) -> arrays.Repository:
    for key, value in up.variables.items():
        monkeypatch.setenv(key, value)
    name = f"demo/{new_id('test')}"
    repositories.create(name)
    return arrays.open_repo(name, mode="write")


def grid(value: float = 0) -> xr.Dataset:
    values = np.arange(24.0).reshape(6, 4) + value
    return xr.Dataset({"t": (("time", "x"), values)}, {"time": np.arange(6), "x": np.arange(4)})


def test_an_address_opens_by_the_engines_name(repo: arrays.Repository) -> None:
    """By its name only: netCDF4, which the readers bring along, says of every address that it opens it."""
    repo.write(grid(), "one", group="a", chunks={"time": 2})
    ds = xr.open_dataset(f"amasia://{repo.name}", engine="amasia", group="a")
    xr.testing.assert_equal(ds, grid())
    assert ds.t.chunks is None


def test_who_opens_something_else_does_not_wait_for_it() -> None:
    """Xarray loads every engine to find the one for a file."""
    code = "import sys; import amasia.integrations.xarray; print({'dask', 'icechunk', 'httpx2'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"


def test_chunks_mean_what_they_mean_in_xarray(repo: arrays.Repository) -> None:
    repo.write(grid(), "one", group="a", chunks={"time": 2})
    url = f"amasia://{repo.name}"
    assert xr.open_dataset(url, engine="amasia", group="a", chunks={}).t.chunks == ((2, 2, 2), (4,))
    assert xr.open_dataset(url, engine="amasia", group="a", chunks={"time": 4}).t.chunks == ((4, 2), (4,))
    assert xr.open_dataset(url, engine="amasia", group="a", chunks={}).t.dtype == np.dtype("f8")


def test_a_snapshot_in_the_address_is_what_it_was(repo: arrays.Repository) -> None:
    first = repo.write(grid(), "one", group="a")
    repo.write(grid(100), "two", group="a", mode="w")
    repo.repo.create_tag("v1", snapshot_id=first)
    for ref in (first, "v1"):
        xr.testing.assert_equal(xr.open_dataset(f"amasia://{repo.name}@{ref}", group="a", engine="amasia"), grid())
    xr.testing.assert_equal(xr.open_dataset(f"amasia://{repo.name}", group="a", engine="amasia"), grid(100))


def test_the_same_address_after_a_commit_is_other_data_in_dask_too(repo: arrays.Repository) -> None:
    url = f"amasia://{repo.name}"
    repo.write(grid(), "one", group="a")
    before = xr.open_dataset(url, engine="amasia", group="a", chunks={})
    repo.write(grid(100), "two", group="a", mode="w")
    after = xr.open_dataset(url, engine="amasia", group="a", chunks={})
    assert before.t.data.name != after.t.data.name
    assert float((after - before).t.min()) == 100


def test_the_inputs_of_what_was_opened_by_address_are_seen(repo: arrays.Repository) -> None:
    snapshot = repo.write(grid(), "one", group="a")
    ds = xr.open_dataset(f"amasia://{repo.name}", engine="amasia", group="a", chunks={})
    assert [str(one) for one in lineage.inputs(ds.mean("time"))] == [f"{repo.name}@{snapshot}"]


def test_groups_open_as_a_tree(repo: arrays.Repository) -> None:
    repo.write({"/": grid(), "b/c": grid(5)}, "one")
    tree = xr.open_datatree(f"amasia://{repo.name}", engine="amasia")
    xr.testing.assert_equal(tree.to_dataset(), grid())
    xr.testing.assert_equal(tree["b/c"].to_dataset(), grid(5))


def test_workers_read_and_open_by_themselves(repo: arrays.Repository) -> None:
    repo.write(grid(), "one", group="a", chunks={"time": 2})
    url = f"amasia://{repo.name}"

    def opened_there() -> float:
        return float(xr.open_dataset(url, engine="amasia", group="a").t.sum())

    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        assert client.submit(opened_there, pure=False).result(timeout=60) == 276.0
        ds = xr.open_dataset(url, engine="amasia", group="a", chunks={})
        assert float(ds.t.sum()) == 276.0
        repo.write(ds * 2, "double", group="b")
    xr.testing.assert_equal(repo.to_xarray("b"), grid() * 2)
    assert repo.log()[0].provenance.inputs[0].repository == repo.name


@pytest.mark.parametrize("url", ["amasia://demo", "amasia://demo/nowhere", "amasia://"])
def test_a_wrong_address_is_one_clear_error(repo: arrays.Repository, url: str) -> None:
    with pytest.raises((errors.InvalidRequest, errors.NotFound)):
        xr.open_dataset(url, engine="amasia")


def test_files_still_open_with_xarrays_own_engines(tmp_path: Path) -> None:
    grid().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    xr.testing.assert_equal(xr.open_dataset(tmp_path / "a.nc"), grid())
