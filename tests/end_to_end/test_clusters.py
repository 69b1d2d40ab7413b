"""Clusters that outlive their clients, their control plane and their memory."""

import pytest
from distributed import wait

from amasia.models import homes
from amasia.models.clusters import Cluster
from show import planes
from tests.end_to_end.conftest import Stage, client_of

LEAVE = """
import amasia
cluster = amasia.Cluster(1, name="shared", worker_memory="512 MiB", idle_timeout="4 s", shared=True, environment={!r})
print(cluster.get_client().submit(pow, 2, 10).result())
"""


def test_a_cluster_outlives_its_script_is_joined_by_name_and_stops_when_idle(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    import amasia

    first = stage.python(LEAVE.format(stage.captured()))
    assert first.stdout.strip() == "1024", planes.show_error(first)
    assert "goes on without this process" in first.stderr
    assert "run code" in first.stderr, "a shared cluster warns"

    joined = amasia.Cluster(name="shared")
    assert not joined.created
    assert joined.get_client().submit(pow, 3, 3).result(timeout=20) == 27
    record = joined.record
    joined.close()
    assert "run code" in capfd.readouterr().err

    ended = stage.ended(record)
    assert "idle" in ended.reason


def test_a_worker_killed_by_memory_is_told_in_words(stage: Stage) -> None:
    cluster = stage.start(worker_memory=512 << 20)
    client = client_of(stage, cluster)
    try:
        with pytest.warns(UserWarning, match=r"used .* of 512 MiB and was killed"):
            wait(client.submit(bytearray, 3 << 30, pure=False), timeout=40)
    finally:
        client.cluster.close()
        client.close()
    deaths = [notice for notice in stage.cluster(cluster).notices if "512 MiB" in notice]
    assert deaths
    stage.stop(cluster)


def test_a_machine_that_is_taken_back_hands_its_results_to_another_of_its_group(stage: Stage) -> None:
    cluster = stage.start(worker_groups={"big": {"worker_memory": 600 << 20}})
    client = client_of(stage, cluster)
    try:
        held = client.scatter(list(range(20)), workers=[_of(stage, cluster, "big")], hash=False)  # nobody can redo them
        doubled = client.map(lambda x: 2 * x, held, resources={"big": 1})
        wait(doubled, timeout=20)
        taken = _of(stage, cluster, "big")
        (stage.plane.home / "machines" / taken / homes.NOTICE).write_text("")
        stage.wait(lambda: _of(stage, cluster, "big") not in ("", taken), 40)
        stage.wait(lambda: next(m for m in stage.cluster(cluster).machines if m.id == taken).status == "stopped", 20)
        assert client.gather(doubled) == list(range(0, 40, 2))
        assert client.gather(held) == list(range(20))
    finally:
        client.cluster.close()
        client.close()
    ended = stage.stop(cluster)
    reason = next(machine for machine in ended.machines if machine.id == taken).reason
    assert "was drained" in reason or "its work was moved" in reason  # whoever says so first


def _of(stage: Stage, cluster: Cluster, group: str) -> str:
    """Id of the machine of a worker group that runs and stays."""
    found = [one.id for one in stage.cluster(cluster).machines
             if one.group == group and one.status == "running" and not one.stages.leaves]  # fmt: skip
    return found[0] if found else ""
