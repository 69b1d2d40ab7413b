"""A workspace whose data are on Google Cloud Storage or Azure: one story, as with the embedded store."""

import json
from pathlib import Path

import pytest
import xarray as xr

from amasia.testing.azurite import ACCOUNT, KEY
from show import planes
from tests.end_to_end.conftest import Stage
from tests.end_to_end.test_stores import file_of, signed_in
from tests.stores.conftest import azurite, google  # noqa: F401  # fixtures


@pytest.fixture(params=["google", "azurite"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, Path]:
    """(address, endpoint, file with the key) of a bucket."""
    cloud, key = request.getfixturevalue(request.param), tmp_path / "key"
    key.write_text(KEY if request.param == "azurite" else cloud.key())
    return f"az://{ACCOUNT}" if request.param == "azurite" else "gs://lake/team", cloud.endpoint, key


def test_a_repository_in_another_cloud_is_made_filled_read_and_lent(stage: Stage, where, tmp_path: Path) -> None:
    plane, (uri, endpoint, key) = signed_in(stage.plane), where
    name = f"on-{uri[:2]}"

    def amasia(*words: object) -> str:
        done = plane.amasia(*words)
        assert done.returncode == 0, planes.show_error(done)
        return str(done.stdout)

    amasia("bucket", "add", name, uri, "--endpoint", endpoint, "--key-file", key)
    amasia("repo", "create", f"demo/{name}", "--bucket", name)
    file = file_of(tmp_path / "one.nc", 1)
    amasia("repo", "ingest", f"demo/{name}", file)
    opened = f"xarray.open_dataset('amasia://demo/{name}', engine='amasia')"
    done = stage.python(f"import xarray; print(float({opened}['noise'].sum()))")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(float(xr.open_dataset(file)["noise"].sum()))
    lent = json.loads(amasia("repo", "credentials", f"demo/{name}", "--format", "json"))
    assert (lent["mode"], bool(lent["session_token"])) == ("read", True)
    assert key.read_text() not in json.dumps(lent)
