"""A workspace whose data are on Google Cloud Storage or Azure: one story, as with the embedded store."""

from pathlib import Path

import pytest
import xarray as xr

import amasia
from amasia.cli import buckets
from amasia.client import credentials, repositories
from amasia.testing.azurite import ACCOUNT, KEY
from tests.end_to_end.conftest import Stage
from tests.end_to_end.test_stores import file_of
from tests.stores.conftest import azurite, google  # noqa: F401  # fixtures


@pytest.fixture(params=["google", "azurite"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, Path]:
    """(address, endpoint, file with the key) of a bucket."""
    cloud, key = request.getfixturevalue(request.param), tmp_path / "key"
    key.write_text(KEY if request.param == "azurite" else cloud.key())
    return f"az://{ACCOUNT}" if request.param == "azurite" else "gs://lake/team", cloud.endpoint, key


def test_a_repository_in_another_cloud_is_made_filled_read_and_lent(stage: Stage, where, tmp_path: Path) -> None:
    uri, endpoint, key = where
    name = f"on-{uri[:2]}"
    buckets.add(name, uri, endpoint=endpoint, key_file=key)
    repositories.create(f"demo/{name}", bucket=name)
    file = file_of(tmp_path / "one.nc", 1)
    amasia.open_repo(f"demo/{name}", mode="write").ingest([file], group="one")
    found = xr.open_dataset(f"amasia://demo/{name}", engine="amasia", group="one")
    xr.testing.assert_identical(found["noise"].load().drop_attrs(), xr.open_dataset(file)["noise"].load().drop_attrs())
    lent = credentials.lend(f"demo/{name}")
    assert (lent.lease.mode, lent.url.split("/")[-1]) == ("read", lent.lease.prefix.rpartition("/")[2])
    assert key.read_text() not in lent.text(credentials.Format.json)
