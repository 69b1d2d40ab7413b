"""Kinds of workers are read from what people write, and written so that people read them."""

from datetime import UTC, datetime

import pytest

from amasia.client import kinds
from amasia.errors import InvalidRequest
from amasia.models.clusters import Cluster, ClusterSpec, WorkerGroup

GIB = 1 << 30


def test_a_group_takes_the_words_of_a_cluster() -> None:
    given = {"n_workers": 10, "worker_memory": "64 GiB", "spot": True, "machine_type": "large"}
    wish = WorkerGroup(n_workers=10, worker_memory=64 * GIB, spot="yes", machine_type=("large",))
    assert kinds.read("big", given) == wish


def test_a_line_says_the_same() -> None:
    line = "big: n_workers=2, worker_memory=64 GiB, machine_type=m5.large+m6.large, spot=fallback"
    wish = WorkerGroup(n_workers=2, worker_memory=64 * GIB, machine_type=("m5.large", "m6.large"), spot="fallback")
    assert kinds.parse(line) == ("big", wish)
    assert kinds.parse("plain") == ("plain", WorkerGroup())


def test_a_group_that_goes_by_the_load_begins_with_its_minimum() -> None:
    assert kinds.read("small", {"minimum": 0, "maximum": 8}).n_workers == 0


@pytest.mark.parametrize("given", [{"memory": "1 GiB"}, {"n_workers": -1}, {"minimum": 1}, {"worker_memory": "much"}])
def test_what_cannot_be_is_refused_in_words(given: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        kinds.read("big", given)


def test_beside_groups_nobody_is_added_unasked() -> None:
    assert kinds.sized(None, beside=True) == {"n_workers": 0}
    assert kinds.sized(None, beside=False) == {}
    assert kinds.sized(3, beside=True) == {"n_workers": 3}


def test_each_kind_is_said_in_one_line() -> None:
    group = WorkerGroup(worker_memory=64 * GIB, worker_cpu=4, worker_gpu=1, spot="yes", minimum=0, maximum=8)
    spec = ClusterSpec(n_workers=1, worker_groups={"big": group})
    cluster = Cluster(id="cl-1", workspace="demo", name="a", owner="ada", status="running", target="running", spec=spec,
                      environment_hash="", wanted_workers=3, wanted_groups={"big": 2},
                      created_at=datetime.now(UTC))  # fmt: skip
    assert kinds.describe(cluster, "") == "1 with 1 cores and 1.00 GiB"
    assert kinds.describe(cluster, "big") == "big: 2 with 4 cores and 64.00 GiB, 1 GPUs, spot, 0 to 8 by load"
