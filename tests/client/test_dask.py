"""`Cluster` on real machines of this computer."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest
from distributed import Client, Status

import amasia
from amasia.client import dask
from amasia.environments import versions
from amasia.errors import BudgetExceeded, InvalidRequest, TooLarge

SMALL = "512 MiB"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cli(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "amasia.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, timeout=100, check=False)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a control plane that was started by ``amasia up``."""
    home = tmp_path_factory.mktemp("house")
    variables = {
        "AMASIA_HOME": str(home / "home"), "AMASIA_PROFILE": str(home / "profile.json"),
        "AMASIA_CACHE": str(home / "cache"), "AMASIA_PORT": str(free_port()), "AMASIA_STORE_PORT": str(free_port()),
    }  # fmt: skip
    up = cli("up", **variables)
    assert up.returncode == 0, up.stderr
    yield variables
    down = cli("down", "--yes", **variables)
    assert down.returncode == 0, down.stderr


@pytest.fixture(autouse=True)
def _signed_in(house: dict[str, str], _own_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in house.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def cluster(house: dict[str, str]) -> Iterator[amasia.Cluster]:
    """One for the tests that leave it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in house.items():
            patch.setenv(name, value)
        found = amasia.Cluster(n_workers=1, worker_memory=SMALL, name="steady", quiet=True)
    yield found
    found.close()


def test_a_dask_client_of_it_computes_over_tls(cluster: amasia.Cluster) -> None:
    with Client(cluster) as client:
        assert client.submit(sum, [1, 2, 3]).result(timeout=60) == 6
        assert client.cluster is cluster
        assert cluster.scheduler_address.startswith("tls://")
        assert cluster.get_client() is client


def test_it_has_the_habits_of_dasks_clusters(cluster: amasia.Cluster) -> None:
    cluster.wait_for_workers(1, timeout=60)
    assert cluster.status == Status.running
    assert repr(cluster).startswith("Cluster(steady, 'tls://")
    assert len(cluster.scheduler_info["workers"]) == len(cluster.workers) == 1
    html = cluster._repr_html_()
    assert "steady" in html
    assert "per hour now" in html
    assert "process up" in html
    assert "1 with 1 cores and 512.00 MiB" in cluster._scaling_status()


def test_it_knows_its_stages_its_cost_and_its_logs(cluster: amasia.Cluster) -> None:
    assert list(cluster.stages) == [
        "environment", "requested", "booting", "joined", "environment ready", "process up", "connected"
    ]  # fmt: skip
    assert cluster.cost.rate == sum(machine.price for machine in cluster.record.machines)
    assert str(cluster.cost).endswith("EUR per hour now")
    assert "tls://" in cluster.logs()["scheduler 0"]


def test_joining_by_name_connects_says_what_differs_and_stops_nothing(
    cluster: amasia.Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    with amasia.Cluster(name="steady", n_workers=7) as joined:
        assert joined.id == cluster.id
        assert not joined.created
        with joined.get_client() as client:
            assert client.submit(len, "four").result(timeout=60) == 4
    assert "n_workers is 1 (asked for: 7)" in capsys.readouterr().err
    assert joined.status == Status.closed
    assert cluster.record.target == "running"
    joined.close()


def test_another_process_joins_and_leaves_it_running(cluster: amasia.Cluster, house: dict[str, str]) -> None:
    code = "import amasia; c = amasia.Cluster(name='steady'); print(c.get_client().submit(len, 'four').result())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "4\n", ran.stderr
    assert "goes on without this process" not in ran.stderr  # it is the other one's
    assert cluster.record.target == "running"


def test_leaving_the_with_stops_a_cluster_and_all_its_machines(capsys: pytest.CaptureFixture[str]) -> None:
    with amasia.Cluster(n_workers=1, worker_memory=SMALL, idle_timeout="5 minutes") as mine:
        assert mine.created
        client = mine.get_client()
        assert client.submit(abs, -1).result(timeout=60) == 1
        assert mine.adapt(maximum=2).maximum == 2
        assert mine.record.spec.minimum == 0
        mine.scale(1)
        assert mine.record.spec.minimum is None
    assert client.status == "closed"
    err = capsys.readouterr().err
    assert "unused, it stops itself after 5 min" in err
    assert "✓ process up" in err
    end = monotonic() + 30
    while mine.record.status != "stopped" and monotonic() < end:
        sleep(0.1)
    assert {machine.status for machine in mine.record.machines} == {"stopped"}


def test_ctrl_c_while_waiting_says_what_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    environment = amasia.clusters.get("steady").environment_hash

    def interrupt_when_it_is_made() -> None:
        while not any(one.name == "cut-short" for one in amasia.clusters.find()):
            sleep(0.02)
        sleep(0.2)  # until the answer is here; to come up takes seconds
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=interrupt_when_it_is_made, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        amasia.Cluster(n_workers=1, worker_memory=SMALL, name="cut-short", environment=environment)
    assert "amasia cluster stop cut-short" in capsys.readouterr().err
    assert amasia.clusters.get("cut-short").target == "running"
    amasia.clusters.stop("cut-short")


def test_versions_are_compared_as_the_environment_knows_them() -> None:
    ours = versions.here()
    packages: dict[str, str | None] = {name: version for name, version in ours.items() if name != "python"}
    packages |= {"python": f"{ours['python']}.final.0", "lz4": None, "not-compared": "1"}
    packages["amasia"] = versions.stamp(ours["amasia"], "0" * 64)
    assert versions.differences(ours, dask._versions(packages)) == []
    (sentence,) = versions.differences(ours, dask._versions(packages | {"numpy": "1.0"}), "on the scheduler")
    assert sentence == f"numpy is {ours['numpy']} here and 1.0 on the scheduler"


def test_what_cannot_be_starts_nothing(cluster: amasia.Cluster) -> None:
    environment, before = cluster.record.environment_hash, len(amasia.clusters.find(stopped=True))
    with pytest.raises(TooLarge):
        amasia.Cluster(worker_memory="1 PiB", environment=environment, quiet=True)
    with pytest.raises(InvalidRequest, match="worker_cpu"):
        amasia.Cluster(worker_cpu=0, environment=environment, quiet=True)
    with pytest.raises(InvalidRequest, match="20 minutes"):
        amasia.Cluster(idle_timeout="a while", environment=environment, quiet=True)
    limit = amasia.budgets.get().limit
    amasia.budgets.set("0.000001", confirm=True)
    with pytest.raises(BudgetExceeded):
        amasia.Cluster(environment=environment, quiet=True)
    amasia.budgets.set(str(limit / 1_000_000))
    assert len(amasia.clusters.find(stopped=True)) == before


def test_not_waiting_returns_at_once_and_connects_later(cluster: amasia.Cluster) -> None:
    environment = cluster.record.environment_hash
    start = monotonic()
    later = amasia.Cluster(n_workers=0, worker_memory=SMALL, environment=environment, wait=False, quiet=True)
    assert monotonic() - start < 2
    assert later.status == Status.created
    try:
        assert later.get_client().scheduler_info()["address"] == later.scheduler_address
    finally:
        later.close()


def test_a_script_that_ends_without_closing_says_what_goes_on(cluster: amasia.Cluster, tmp_path: Path) -> None:
    script = tmp_path / "left.py"
    environment = cluster.record.environment_hash
    script.write_text(
        f"import amasia\namasia.Cluster(n_workers=0, name='left', environment={environment!r}, wait=False)\n"
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "Cluster left goes on without this process" in ran.stderr
    assert amasia.clusters.get("left").target == "running"
    amasia.clusters.stop("left")
