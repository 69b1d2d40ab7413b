"""The story on Google and Azure at once: their APIs are on this computer, and what they make really boots."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from amasia.testing import arm, gce, vms
from amasia.testing.arm import Arm
from amasia.testing.gce import Gce
from amasia.testing.vms import VmCloud
from show import planes
from show.planes import Plane
from tests.end_to_end.conftest import Stage, client_of

MINUTES = 300
CONFIG = """
endpoint = "{url}"
root = "{root}"
types = ["{kind}"]
prices = {{"{kind}" = "0.1"}}
variables = {{PATH = "{path}"}}
{options}

[secrets]
{secrets}
"""
REGIONS = {"gcp": gce.REGION, "azure": arm.REGION}
KINDS = {"gcp": "e2-standard-2", "azure": "standard_d2s_v5"}


@pytest.fixture
def clouds() -> Iterator[dict[str, VmCloud]]:
    if why := vms.missing() or ("" if os.environ.get("NAMED_VMS") else "a minute that `make providers` takes"):
        pytest.skip(why)
    made: dict[str, VmCloud] = {"gcp": Gce(), "azure": Arm()}
    for cloud in made.values():
        cloud.boots = True
    yield made
    for cloud in made.values():
        cloud.close()


@pytest.fixture
def stage(clouds: dict[str, VmCloud], tmp_path: Path, shared_cache: Path) -> Iterator[Stage]:
    trust = tmp_path / "authorities.pem"
    trust.write_text("".join(cloud.authority.read_text() for cloud in clouds.values()))
    settings = {"AMASIA_LEASE_SECONDS": "60", "AMASIA_HEARTBEAT_SECONDS": "1", "REQUESTS_CA_BUNDLE": str(trust)}
    plane = Plane(tmp_path / "plane", settings)
    plane.share_cache(shared_cache)
    with planes.cleared(plane):
        yield Stage(plane)


@pytest.mark.timeout(MINUTES)
def test_clusters_on_google_and_azure_compute_and_leave_nothing(
    stage: Stage, clouds: dict[str, VmCloud], tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in stage.plane.client().items():
        if key.startswith("AMASIA_"):
            monkeypatch.setenv(key, value)
    planes.share_cache(tmp_path / "disk", shared_cache)
    assert stage.plane.amasia("up").returncode == 0
    for name, cloud in clouds.items():
        words = ("--provider", name, "--region", REGIONS[name], "--config", config(name, cloud, tmp_path))
        done = stage.plane.amasia("location", "add", name, *words)
        assert done.returncode == 0, planes.show_error(done)
        cluster = stage.start(location=name, n_workers=1)
        client = client_of(stage, cluster)
        try:
            assert sum(client.gather(client.map(abs, range(-50, 0)))) == 1275
        finally:
            client.cluster.close()
            client.close()
        stage.stop(stage.cluster(cluster))
        assert cloud.running() == []
        stage.wait(lambda cloud=cloud: not (cloud.settle() or cloud.vms), 20)  # type: ignore[misc]
    stage.nothing_runs()
    assert set(stage.paid()) == {machine for cloud in clouds.values() for machine in cloud.launched}
    assert all(count == 1 for cloud in clouds.values() for count in cloud.launched.values())


def config(name: str, cloud: VmCloud, folder: Path) -> Path:
    """The location's file, as an administrator writes it."""
    secrets, options = {}, {}
    if isinstance(cloud, Gce):
        secrets = {"key": cloud.key()}
    if isinstance(cloud, Arm):
        secrets = cloud.secrets()
        options = {"authority": cloud.url, "subscription": arm.SUBSCRIPTION, "resource_group": arm.GROUP,
                   "subnet": arm.SUBNET}  # fmt: skip
    for key, value in secrets.items():
        (folder / key).write_text(value)
    text = CONFIG.format(
        url=cloud.url,
        root=folder / "disk",
        kind=KINDS[name],
        path=f"{sys.base_prefix}/bin:{os.environ['PATH']}",
        options="\n".join(f'{key} = "{value}"' for key, value in options.items()),
        secrets="\n".join(f'{key} = "@{key}"' for key in secrets),
    )
    file = folder / f"{name}.toml"
    file.write_text(text)
    return file
