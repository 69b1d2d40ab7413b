"""The story on EC2: its API is on this computer, and its instances really boot, each in a network of its own."""

import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import xarray as xr

from amasia.models.clusters import Cluster
from amasia.models.machines import MachineStatus
from amasia.testing import hypervisors
from amasia.testing.ec2 import Ec2
from amasia.testing.hypervisors import Hypervisor
from show import planes
from show.planes import Plane
from tests.end_to_end.conftest import Stage, client_of

MINUTES = 400
CONFIG = """
subnets = {subnets}
types = ["m7i.large"]
price_list = false
root = "/srv/amasia"

[variables]
PATH = "{path}"
HTTPS_PROXY = "{proxy}"

[secrets]
access_key = "key"
secret_key = "secret"
"""


@pytest.fixture
def hypervisor(tmp_path: Path, shared_cache: Path) -> Iterator[Hypervisor]:
    if why := hypervisors.missing():
        pytest.skip(why)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    ec2 = Ec2()
    hypervisor = Hypervisor(ec2, tmp_path / "instances")
    planes.share_cache(hypervisor.shared / "amasia", shared_cache)
    yield hypervisor
    hypervisor.close()
    ec2.close()


@pytest.fixture
def stage(hypervisor: Hypervisor, tmp_path: Path, shared_cache: Path) -> Iterator[Stage]:
    """A control plane that listens where instances reach it."""
    plane = Plane(
        tmp_path / "plane",
        {
            "AMASIA_HOST": "0.0.0.0",
            "AMASIA_PLAIN_HTTP": "1",
            "AMASIA_LEASE_SECONDS": "60",
            "AMASIA_HEARTBEAT_SECONDS": "1",
            "AWS_ENDPOINT_URL_EC2": hypervisor.ec2.url,
            "AWS_ENDPOINT_URL_SSM": hypervisor.ec2.url,
            "AWS_ENDPOINT_URL_STS": hypervisor.ec2.url,
            "AWS_ENDPOINT_URL_SERVICE_QUOTAS": hypervisor.ec2.url,
        },
    )
    plane.settings["AMASIA_PUBLIC_URL"] = plane.url
    plane.share_cache(shared_cache)
    with planes.cleared(plane):
        yield Stage(plane)


@pytest.mark.timeout(MINUTES)
def test_a_cluster_on_ec2_computes_survives_a_spot_notice_commits_and_leaves_nothing(
    stage: Stage, hypervisor: Hypervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in stage.plane.client().items():
        if key.startswith("AMASIA_"):
            monkeypatch.setenv(key, value)
    add(stage.plane, hypervisor, tmp_path / "aws.toml")
    cluster = stage.wait(lambda: start(stage, hypervisor), 200)
    client = client_of(stage, cluster)
    try:
        assert sum(client.gather(client.map(abs, range(-50, 0)))) == 1275
        total = survives_a_notice(stage, hypervisor, cluster, client)
    finally:
        client.cluster.close()
        client.close()
    commit(stage.plane, total, tmp_path)
    stage.stop(stage.cluster(cluster))
    assert hypervisor.ec2.running() == []
    stage.wait(lambda: not hypervisor.running, 20)
    stage.nothing_runs()
    paid = stage.paid()
    assert set(paid) == set(hypervisor.ec2.launched)
    assert all(count == 1 for count in hypervisor.ec2.launched.values())


def add(plane: Plane, hypervisor: Hypervisor, config: Path) -> None:
    path = f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    subnets = json.dumps(list(hypervisor.ec2.subnets.values()))
    config.write_text(CONFIG.format(subnets=subnets, path=path, proxy=hypervisor.proxy))
    assert plane.amasia("up").returncode == 0
    url = f"http://{hypervisor.address}:{plane.port}"
    words = ("--provider", "aws", "--region", "us-east-1", "--config", config, "--control-plane", url)
    done = plane.amasia("location", "add", "cloud", *words)
    assert done.returncode == 0, planes.show_error(done)
    checked = plane.amasia("location", "check", "cloud", "--json")
    assert checked.returncode == 0, planes.show_error(checked)
    assert [offer["type"] for offer in json.loads(checked.stdout)["offers"]] == ["m7i.large"]


def start(stage: Stage, hypervisor: Hypervisor) -> Cluster:
    try:
        return stage.start(location="cloud", n_workers=2, worker_memory=1 << 30)
    except AssertionError:
        logs = hypervisor.shared.glob("amasia/machines/*/log")
        print(*(log.read_text()[-3000:] for log in logs), sep="\n---\n")
        raise


def survives_a_notice(stage: Stage, hypervisor: Hypervisor, cluster: Cluster, client: object) -> int:
    """A worker that is to be taken back gives away all that it holds, and is replaced; nothing has to be made again."""
    leaving = next(machine for machine in stage.cluster(cluster).machines if machine.role == "worker")
    held = client.scatter(list(range(100)), workers=[leaving.address], hash=False)  # type: ignore[attr-defined]
    hypervisor.instance(leaving.id).interrupt(45)
    noticed = time.monotonic()

    def drained() -> bool:
        machine = next(one for one in stage.cluster(cluster).machines if one.id == leaving.id)
        return machine.status is MachineStatus.stopped

    stage.wait(drained, 44)
    assert time.monotonic() - noticed < 45
    hypervisor.take_back(leaving.id)
    now = stage.cluster(cluster)
    assert next(one for one in now.machines if one.id == leaving.id).reason.startswith("its work was moved")
    assert any("taken back by its provider" in notice for notice in now.notices)
    total = sum(client.gather(held))  # type: ignore[attr-defined]
    assert total == 4950  # scattered data cannot be computed again
    living = lambda: [one for one in stage.cluster(cluster).machines if one.status is MachineStatus.running]  # noqa: E731
    stage.wait(lambda: len(living()) == 3, 60)
    return int(total)


def commit(plane: Plane, total: int, folder: Path) -> None:
    xr.Dataset({"total": ("x", [total])}).to_netcdf(folder / "total.nc")
    assert plane.amasia("repo", "create", "demo/totals").returncode == 0
    done = plane.amasia("repo", "ingest", "demo/totals", folder / "total.nc")
    assert done.returncode == 0, planes.show_error(done)
