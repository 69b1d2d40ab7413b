"""What is said while a cluster comes up, from records alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from amasia.client import starting
from amasia.client.progress import Stages
from amasia.client.transport import Connection
from amasia.errors import EnvironmentFailed, MachineLost
from amasia.models.clusters import Cluster, ClusterSpec, Quote
from amasia.models.machines import Machine
from amasia.models.placements import Placement

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NOWHERE = Connection("http://127.0.0.1:1")
FIELDS = ("accepted", "joined", "environment_ready", "process_up")


def machine(role: str, index: int, *reached: float, **more: Any) -> Machine:
    """One whose stages were reached after these seconds."""
    stages = {"requested": NOW} | {
        field: NOW + timedelta(seconds=after) for field, after in zip(FIELDS, reached, strict=False)
    }
    fields = {
        "id": f"ma-{role}{index}", "workspace": "demo", "location": "local", "cluster_id": "cl-1", "cluster": "climate",
        "owner": "ada", "role": role, "index": index, "status": "booting", "target": "running",
        "machine_type": "c1-m1", "cpus": 1, "memory": 1 << 30, "price": 45_000, "stages": stages,
    }  # fmt: skip
    return Machine.model_validate(fields | more)


def cluster(*machines: Machine, **more: Any) -> Cluster:
    fields = {
        "id": "cl-1", "workspace": "demo", "name": "climate", "owner": "ada", "status": "starting",
        "target": "running", "spec": ClusterSpec(), "environment_hash": "0" * 64, "wanted_workers": 2,
        "created_at": NOW, "machines": machines,
    }  # fmt: skip
    return Cluster.model_validate(fields | more)


def test_a_stage_ends_when_the_scheduler_and_one_worker_have_reached_it() -> None:
    found = cluster(machine("scheduler", 0, 1, 2, 3), machine("worker", 0, 1.5, 2.5), machine("worker", 1, 9))
    assert starting.stage_seconds(found) == {"booting": 1.5, "joined": 1.0}


def test_waiting_for_all_counts_the_slowest_worker() -> None:
    found = cluster(machine("scheduler", 0, 1, 2), machine("worker", 0, 1), machine("worker", 1, 9))
    assert starting.stage_seconds(found, "all") == {"booting": 9.0}


def test_a_scheduler_without_workers_is_enough_where_none_are_wanted() -> None:
    found = cluster(machine("scheduler", 0, 1, 2, 3, 4), wanted_workers=0)
    assert list(starting.stage_seconds(found)) == list(starting.MACHINE_STAGES)


def test_machines_that_should_end_are_not_waited_for() -> None:
    gone = machine("worker", 0, 1, 2, 3, 4, target="stopped", status="stopped")
    assert starting.stage_seconds(cluster(machine("scheduler", 0, 1, 2, 3, 4), gone)) == {}


def test_stages_never_take_less_than_no_time() -> None:
    found = cluster(machine("scheduler", 0, 5, 6), machine("worker", 0, 1, 2))
    assert starting.stage_seconds(found) == {"booting": 5.0, "joined": 1.0}


def test_the_price_is_said_per_hour_and_until_the_idle_stop() -> None:
    quote = Quote(placement=Placement(location="local", region="here", why=""), machines=3, rate=135_000, most=135_000,
                  confirm_above=10**9, currency="CHF")  # fmt: skip
    text = starting.price(quote, ClusterSpec())
    assert text == "3 machines, 0.14 CHF per hour; unused, it stops itself after 20 min (0.0450 CHF)."
    assert "no idle stop" in starting.price(quote, ClusterSpec(idle_timeout=0))
    assert "per hour, at most 0.40 CHF;" in starting.price(quote.model_copy(update={"most": 400_000}), ClusterSpec())


def test_a_joined_cluster_is_compared_with_what_was_asked_for() -> None:
    found = cluster(spec=ClusterSpec(n_workers=4, worker_memory=2 << 30))
    assert starting.differs(ClusterSpec(), found) == ""
    assert starting.differs(ClusterSpec(n_workers=4), found) == ""
    text = starting.differs(ClusterSpec(n_workers=8, worker_memory=4 << 30), found)
    assert "n_workers is 4 (asked for: 8)" in text
    assert "worker_memory is 2.00 GiB (asked for: 4.00 GiB)" in text


def test_a_start_that_ends_raises_its_reason() -> None:
    ended = machine("worker", 0, 1, 2, reason="no space left", status="stopped", target="stopped")
    found = cluster(machine("scheduler", 0, 1, 2), ended, target="stopped")
    with pytest.raises(EnvironmentFailed, match="climate stopped before it could work: no space left"):
        starting.wait_for(found, True, NOWHERE, Stages("", quiet=True))
    with pytest.raises(MachineLost, match="ada stopped it") as raised:
        starting.wait_for(cluster(target="stopped", reason="ada stopped it"), True, NOWHERE, Stages("", quiet=True))
    assert raised.value.detail["reason"] == "ada stopped it"
    assert "amasia cluster logs cl-1" in raised.value.cure


def test_what_goes_on_is_said_with_how_to_end_and_join_it() -> None:
    text = starting.still_running(cluster())
    assert "amasia cluster stop climate" in text
    assert "amasia.Cluster(name='climate')" in text
    assert "after 20 min" in text
