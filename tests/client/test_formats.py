"""Kerchunk references and Zarr directories, copied and referred to, come out as what they stand for."""

import json
from collections.abc import Callable
from pathlib import Path

import fsspec
import icechunk
import numpy as np
import pytest
import xarray as xr
from kerchunk.df import refs_to_dataframe
from kerchunk.hdf import SingleHdf5ToZarr

from amasia import errors
from amasia.client import ingests
from amasia.stores import virtual
from tests.client.test_ingests import START, messages


class Repo:
    """A repository in a directory that may refer to files of this computer."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.repo = icechunk.Repository.create(icechunk.local_filesystem_storage(str(where)))

    @property
    def target(self) -> ingests.Target:
        return ingests.Target(self.repo, self._commit, self._name)

    def take(self, *paths: Path | str, how: ingests.How = "native", **plan: object) -> ingests.Report:
        return ingests.ingest(self.target, paths, ingests.Plan(how=how, **plan))

    def stored(self, group: str) -> xr.Dataset:
        store = self.repo.readonly_session("main").store
        return xr.open_zarr(store, group=group, consolidated=False).load()

    def _commit(self, change: ingests.Change, message: str, metadata: object) -> str:
        session = self.repo.writable_session("main")
        change(session)
        return session.commit(message, dict(metadata))

    def _name(self, prefixes: object) -> None:
        self.repo = virtual.name_prefixes(self.repo, prefixes)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


def sample(start: int = 0, width: int = 60) -> xr.Dataset:
    hours = np.arange(start, start + 4) * np.timedelta64(1, "h")
    values = np.random.default_rng(start).random((4, 5, width)).astype("f4")
    coords = {"time": START + hours, "x": np.arange(width)}
    return xr.Dataset({"t": (("time", "y", "x"), values, {"units": "K"})}, coords)


def netcdf(folder: Path, name: str, start: int = 0, width: int = 60) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / f"{name}.nc"
    sample(start, width).to_netcdf(path, engine="h5netcdf", encoding={"time": {"units": "hours since 2020-01-01"}})
    return path


def kerchunk_json(folder: Path, name: str, start: int = 0, width: int = 60) -> Path:
    """Made by Kerchunk itself, beside a file in another folder."""
    source = netcdf(folder / "data", name, start, width)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(SingleHdf5ToZarr(str(source), f"file://{source}").translate()))
    return path


def kerchunk_parquet(folder: Path, name: str, start: int = 0) -> Path:
    source = netcdf(folder / "data", name, start)
    path = folder / f"{name}.parq"
    path.mkdir()
    refs = SingleHdf5ToZarr(str(source), f"file://{source}").translate()
    refs_to_dataframe(refs, str(path), storage_options={"fs": fsspec.filesystem("file")})
    return path


def zarr(version: int) -> Callable[..., Path]:
    def make(folder: Path, name: str, start: int = 0) -> Path:
        path = folder / f"{name}.zarr"
        sample(start).to_zarr(path, zarr_format=version, encoding={"time": {"units": "hours since 2020-01-01"}})
        return path

    return make


MAKERS = {"json": kerchunk_json, "parquet": kerchunk_parquet, "zarr2": zarr(2), "zarr3": zarr(3)}


@pytest.mark.parametrize("how", ["native", "virtual"])
@pytest.mark.parametrize("kind", MAKERS)
def test_a_series_of_them_comes_out_as_it_went_in(repo: Repo, tmp_path: Path, kind: str, how: ingests.How) -> None:
    folder = tmp_path / "files"
    two, one = MAKERS[kind](folder, "a", 4), MAKERS[kind](folder, "b", 0)
    report = repo.take(two, one, how=how, group="s", append_dim="time")
    assert [one.how for one in report.taken] == [how, how]
    assert [one.path for one in report.taken] == [str(one), str(two)]
    xr.testing.assert_equal(repo.stored("s"), xr.concat([sample(0), sample(4)], "time", data_vars="minimal"))
    assert len(repo.take(two, one, how=how, group="s", append_dim="time").skipped) == 2


def test_references_of_references_need_the_place_of_the_chunks(repo: Repo, tmp_path: Path) -> None:
    path = kerchunk_json(tmp_path / "files", "a")
    repo.take(path, how="virtual", group="s")
    assert list(repo.repo.config.virtual_chunk_containers or {}) == [f"{(tmp_path / 'files/data').as_uri()}/"]


def test_references_that_hold_all_bytes_themselves_need_no_place(repo: Repo, tmp_path: Path) -> None:
    path = kerchunk_json(tmp_path / "files", "a", width=6)
    (taken,) = repo.take(path, how="virtual", group="s").taken
    assert taken.notes == ()
    xr.testing.assert_equal(repo.stored("s"), sample(width=6))


def test_kerchunk_without_its_file_is_one_clear_error(repo: Repo, tmp_path: Path) -> None:
    path = kerchunk_json(tmp_path / "files", "a")
    (tmp_path / "files/data/a.nc").unlink()
    with pytest.raises(errors.CorruptFile, match=r"a\.json") as caught:
        repo.take(path, group="s")
    assert "where they were" in caught.value.cure
    assert len(messages(repo.where)) == 1


def test_groups_of_a_zarr_directory_are_kept(repo: Repo, tmp_path: Path) -> None:
    path = tmp_path / "tree.zarr"
    sample().to_zarr(path, zarr_format=3)
    sample(4).to_zarr(path, group="inner/deep", mode="a", zarr_format=3)
    (taken,) = repo.take(path).taken
    assert set(taken.groups) == {"/tree", "/tree/inner/deep"}
    xr.testing.assert_equal(repo.stored("tree/inner/deep"), sample(4))


@pytest.mark.parametrize("how", ["native", "virtual"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_directory_with_a_missing_part_is_refused(
    repo: Repo, tmp_path: Path, version: int, how: ingests.How
) -> None:
    path = zarr(version)(tmp_path, "a")
    for one in (".zmetadata", ".zgroup", "zarr.json"):
        (path / one).unlink(missing_ok=True)
    with pytest.raises(errors.DataRejected, match=r"a\.zarr"):
        repo.take(path, how=how)
    assert len(messages(repo.where)) == 1
