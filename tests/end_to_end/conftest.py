"""Whole stories on a real control plane, its real object store and real machines of this computer.

Each test process has one control plane; what is built is shared by all of them. Nothing of it is left at the end.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amasia.client.environments import capture_here, ensure
from amasia.client.workspaces import create as create_workspace
from amasia.models.budgets import Budget, BudgetRequest, Charge
from amasia.models.clusters import Cluster, ClusterRequest, ClusterSpec, ClusterStatus
from amasia.testing.waiting import wait
from show import planes
from show.planes import Plane

MIB = 1 << 20


class Stage:
    """A control plane, an environment that it knows, and the verbs of these stories."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        plane.up()
        self.link = plane.link()
        self.environment = ""

    def captured(self, workspace: str = "demo") -> str:
        """Hash of this test run's environment, known to a workspace."""
        script = self.plane.base / "script" / "run.py"
        script.parent.mkdir(exist_ok=True)
        script.touch()
        return ensure(self.link, workspace, capture_here(script=script))

    def workspace(self, name: str, limit: int) -> str:
        """A workspace with a budget of so many micro-units."""
        create_workspace(name, connection=self.link)
        self.set_budget(name, limit)
        return name

    def set_budget(self, workspace: str, limit: int) -> None:
        self.link.put(f"/v1/workspaces/{workspace}/budget", BudgetRequest(limit=limit), Budget)

    def start(self, workspace: str = "demo", **spec: object) -> Cluster:
        """Ask for a small cluster and wait until all of it runs."""
        wish = ClusterSpec.model_validate({"n_workers": 1, "worker_memory": 512 * MIB, "idle_timeout": 0} | spec)
        body = ClusterRequest(environment_hash=self.captured(workspace), spec=wish)
        made = self.link.post(f"/v1/workspaces/{workspace}/clusters", body, Cluster)
        return self.wait(lambda: self._running(made), 60)

    def _running(self, cluster: Cluster) -> Cluster | None:
        found = self.cluster(cluster)
        assert found.target == "running", found.reason
        return found if all(machine.status == "running" for machine in found.machines) else None

    def cluster(self, cluster: Cluster) -> Cluster:
        return self.link.get(f"/v1/workspaces/{cluster.workspace}/clusters/{cluster.id}", Cluster)

    def stop(self, cluster: Cluster) -> Cluster:
        self.link.delete(f"/v1/workspaces/{cluster.workspace}/clusters/{cluster.id}")
        return self.ended(cluster)

    def ended(self, cluster: Cluster, seconds: float = 40) -> Cluster:
        self.wait(lambda: self.cluster(cluster).status is ClusterStatus.stopped, seconds)
        return self.cluster(cluster)

    def budget(self, workspace: str = "demo") -> Budget:
        return self.link.get(f"/v1/workspaces/{workspace}/budget", Budget)

    def paid(self, workspace: str = "demo") -> dict[str, float]:
        """Seconds charged, by machine."""
        paid: dict[str, float] = {}
        for charge in self.link.items(f"/v1/workspaces/{workspace}/charges", Charge):
            paid[charge.machine_id] = paid.get(charge.machine_id, 0) + charge.milliseconds / 1000
        return paid

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """A plain script of the first user, to its end."""
        return self.plane.python(code)

    def nothing_runs(self) -> None:
        """No machine, by the kernel's word; and no money is promised."""
        self.wait(lambda: not self.plane.machines(), 10)
        self.wait(lambda: self.budget().reserved == 0, 10)

    @staticmethod
    def wait(condition: Callable[[], Any], seconds: float) -> Any:
        return wait(condition, seconds, pause=0.1)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments are built once for all test processes."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built"


@pytest.fixture(scope="package")
def _plane(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Iterator[Plane]:
    """For this room alone: a control plane takes some hundredths of a processor without work, too."""
    plane = Plane(tmp_path_factory.mktemp("plane"), {"AMASIA_LEASE_SECONDS": "60", "AMASIA_HEARTBEAT_SECONDS": "1"})
    plane.share_cache(shared_cache)
    with planes.cleared(plane):
        plane.up()
        yield plane


@pytest.fixture
def stage(_plane: Plane, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The control plane of this test process; `amasia` in this process means it. Every story ends with nothing left."""
    stage = Stage(_plane)
    for key in ("AMASIA_URL", "AMASIA_TOKEN", "AMASIA_WORKSPACE", "AMASIA_PROFILE", "AMASIA_CACHE", "AMASIA_HOME"):
        monkeypatch.setenv(key, _plane.client()[key])
    yield stage
    stage.nothing_runs()


@pytest.fixture
def short(tmp_path: Path, shared_cache: Path) -> Iterator[Stage]:
    """A control plane whose leases are short."""
    plane = Plane(tmp_path, {"AMASIA_LEASE_SECONDS": "15", "AMASIA_HEARTBEAT_SECONDS": "0.5"})
    plane.share_cache(shared_cache)
    with planes.cleared(plane):
        yield Stage(plane)


def refused(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """One clear error: this exit status, one `error:` that names the thing, one `cure:`, no traceback."""
    said = done.stderr
    assert done.returncode == status, planes.show_error(done)
    assert said.count("error: ") == 1, said
    assert said.count("cure: ") == 1, said
    assert "Traceback" not in said + done.stdout
    for word in words:
        assert word in said, said


def client_of(stage: Stage, cluster: Cluster) -> Any:
    """A Dask client of a cluster, as its owner."""
    import amasia  # dask takes seconds, and only these tests need it

    return amasia.Cluster(name=cluster.name, quiet=True).get_client()
