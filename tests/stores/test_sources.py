"""Files in an object store are found by patterns and read as those of this computer; references go there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import icechunk
import numpy as np
import obstore
import pytest
import xarray as xr
from obstore.store import S3Store

from amasia import errors
from amasia.client import ingests
from amasia.models.base import new_id
from amasia.models.repositories import Bucket
from amasia.stores import sources, virtual
from amasia.stores.credentials import administer
from amasia.stores.embedded import EmbeddedStore


@dataclass(frozen=True)
class Place:
    """A prefix of a bucket, in an environment with its credentials."""

    url: str
    store: S3Store

    def put(self, name: str, content: bytes) -> str:
        obstore.put(self.store, f"{self.url.partition('://')[2].partition('/')[2]}/{name}", content)
        return f"{self.url}/{name}"


@pytest.fixture
def place(store: EmbeddedStore, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Place:
    lease = administer(bucket, store.keys, new_id("in"), "incoming", "demo")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", lease.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", lease.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", lease.session_token or "")
    monkeypatch.setenv("AWS_ENDPOINT_URL", lease.endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", lease.region)
    there = S3Store(lease.bucket, endpoint=lease.endpoint, client_options={"allow_http": True})
    return Place(f"s3://{lease.bucket}/{lease.prefix.rstrip('/')}/incoming", there)


def sample(start: int) -> xr.Dataset:
    hours = np.datetime64("2020-01-01", "ns") + np.arange(start, start + 4) * np.timedelta64(1, "h")
    values = np.random.default_rng(start).random((4, 100, 60)).astype("f4")
    return xr.Dataset({"t": (("time", "y", "x"), values, {"units": "K"})}, {"time": hours})


def content(tmp_path: Path, start: int) -> bytes:
    path = tmp_path / f"{start}.nc"
    encoding = {"time": {"units": "hours since 2020-01-01"}}
    sample(start).to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path.read_bytes()


class Repo:
    """In a directory; it may refer to what is elsewhere."""

    def __init__(self, where: Path) -> None:
        self.repo = icechunk.Repository.create(icechunk.local_filesystem_storage(str(where)))

    def take(self, *urls: str, **plan: object) -> ingests.Report:
        target = ingests.Target(self.repo, self._commit, self._name)
        return ingests.ingest(target, urls, ingests.Plan(group="s", append_dim="time", **plan))

    def stored(self) -> xr.Dataset:
        return xr.open_zarr(self.repo.readonly_session("main").store, group="s", consolidated=False).load()

    def _commit(self, change: ingests.Change, message: str, metadata: object) -> str:
        session = self.repo.writable_session("main")
        change(session)
        return session.commit(message, dict(metadata))

    def _name(self, prefixes: object) -> None:
        self.repo = virtual.name_prefixes(self.repo, prefixes)


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repo]:
    return Repo(tmp_path / "repo")


def test_patterns_name_files_of_a_bucket_in_natural_order_each_once(place: Place) -> None:
    for name in ("air-10.nc", "air-2.nc", "other.nc", "deep/air-1.nc"):
        place.put(name, b"1")
    found = sources.expand([f"{place.url}/air-*.nc", f"{place.url}/air-2.nc"])
    assert found == [f"{place.url}/air-2.nc", f"{place.url}/air-10.nc"]
    assert sources.expand([f"{place.url}/**/air-1.nc"]) == [f"{place.url}/deep/air-1.nc"]
    with pytest.raises(errors.NotFound, match="Nothing matches"):
        sources.expand([f"{place.url}/none-*.nc"])


@pytest.mark.parametrize("how", ["auto", "native"])
def test_a_series_in_a_bucket_is_taken_by_a_pattern(repo: Repo, place: Place, tmp_path: Path, how: ingests.How) -> None:
    for index, start in enumerate((4, 0, 8)):
        place.put(f"{index}.nc", content(tmp_path, start))
    report = repo.take(f"{place.url}/*.nc", how=how)
    # Its chunks are large enough for references, so that these are chosen.
    assert {one.how for one in report.taken} == {"native" if how == "native" else "virtual"}
    assert [one.path[-4:] for one in report.taken] == ["1.nc", "0.nc", "2.nc"]
    xr.testing.assert_equal(repo.stored(), xr.concat([sample(0), sample(4), sample(8)], "time"))
    place.put("copy.nc", content(tmp_path, 4))
    assert len(repo.take(f"{place.url}/*.nc", how=how).skipped) == 4


def test_a_zarr_directory_in_a_bucket_is_read_and_referred_to(repo: Repo, place: Place, tmp_path: Path) -> None:
    local = tmp_path / "a.zarr"
    sample(0).to_zarr(local, zarr_format=3, encoding={"time": {"units": "hours since 2020-01-01"}})
    for file in sorted(local.rglob("*")):
        if file.is_file():
            place.put(f"a.zarr/{file.relative_to(local)}", file.read_bytes())
    for how in ("native", "virtual"):
        target = Repo(tmp_path / how)
        target.take(f"{place.url}/a.zarr", how=how)
        xr.testing.assert_equal(target.stored(), sample(0))


def test_what_is_not_there_or_not_allowed_is_one_clear_error(
    repo: Repo, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(errors.NotFound, match=r"none\.nc cannot be read"):
        repo.take(f"{place.url}/none.nc", how="native")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(errors.Unavailable, match="cannot be read") as caught:
        repo.take(f"{place.url}/none.nc", how="native")
    assert "AWS_ACCESS_KEY_ID" in caught.value.cure
    assert "wrong" not in str(caught.value)
