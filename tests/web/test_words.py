"""Why something runs is said in a few words that fit what it is."""

from datetime import UTC, datetime, timedelta

import pytest

from amasia.models.clusters import Cluster, ClusterSpec
from amasia.models.machines import Machine, Metrics, Stages
from amasia.web.words import ago, told, why

AT = datetime(2026, 11, 26, 7, 0, tzinfo=UTC)


def machine(role, status, idle=0.0):
    return Machine(id=f"ma-{role}", workspace="lab", location="local", cluster_id="cl-1", cluster="c", owner="ada",
                   role=role, index=0, status=status, target="running", machine_type="small", cpus=1, memory=1,
                   price=1, stages=Stages(requested=AT), metrics=Metrics(idle_seconds=idle))  # fmt: skip


def cluster(idle=0.0, worker="running", **changes):
    fields = {"status": "running", "target": "running", "spec": ClusterSpec(), **changes}
    machines = (machine("scheduler", "running", idle), machine("worker", worker))
    return Cluster(id="cl-1", workspace="lab", name="c", owner="ada", environment_hash="", wanted_workers=1,
                   created_at=AT, machines=machines, **fields)  # fmt: skip


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (cluster(), "has work"),
        (cluster(idle=59), "has work"),
        (cluster(idle=780), "has been idle for 13 min, stops itself in 7 min"),
        (cluster(idle=1500), "has been idle for 25 min, stops itself in 0 s"),
        (cluster(idle=780, spec=ClusterSpec(idle_timeout=0)), "has been idle for 13 min, never stops itself"),
        (cluster(idle=780, spec=ClusterSpec(refresh="normals/re-1")), "refreshes the view normals"),
        (cluster(status="starting", worker="booting"), "starts: 1 of its machines is on the way"),
        (cluster(target="stopped", reason="ada stopped it"), "ends: ada stopped it"),
        (cluster(target="stopped"), "ends: no reason was given"),
        (cluster(ends_at=AT, reason="no money"), "works until 2026-11-26 07:00:00 UTC: no money"),
    ],
)
def test_why_a_cluster_is_there_or_ends(found, words):
    assert why(found) == words


def test_the_largest_unit_alone_says_how_long_ago():
    assert ago(datetime.now(UTC)) == "just now"
    assert ago(datetime.now(UTC) - timedelta(hours=30)) == "1 d ago"


def test_what_an_event_says_is_words_and_not_python():
    scope = {"kind": "tag", "name": "project=era5", "none": None}
    assert told({"scope": scope, "hard": False, "limit": 5, "ends": None, "regions": ["a", "b"]}) == (
        "scope kind tag, name project=era5, hard no, limit 5, regions a, b"
    )
    assert told(None) == told({}) == told([]) == ""
