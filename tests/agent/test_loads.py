"""How many workers a load deserves, as arithmetic."""

import pytest

from amasia.agent.dask.loads import Load, Worker, dispensable, needed

GIB = 1 << 30


def load(seconds, tasks, *workers, threads=1):
    return Load(seconds, tasks, threads, tuple(workers))


def worker(name="a", tasks=1, nbytes=0):
    return Worker(name, tasks, nbytes, GIB)


@pytest.mark.parametrize(
    ("seconds", "tasks", "here", "boot", "wanted"),
    [
        (100, 50, 1, 0, 20),  # as Dask itself: over in five seconds
        (100, 10, 1, 0, 10),  # never more than there are tasks
        (59, 50, 1, 60, 1),  # over before a machine is up
        (119, 50, 2, 60, 2),
        (660, 50, 1, 60, 10),  # what is left then takes about as long as the boot did
        (1, 1, 0, 60, 1),  # somebody has to do it
        (0, 0, 0, 60, 0),
    ],
)
def test_nothing_is_started_for_work_that_is_over_before_a_machine_is_up(seconds, tasks, here, boot, wanted):
    assert needed(load(seconds, tasks, *[worker()] * here), boot) == wanted


def test_workers_with_several_threads_are_fewer():
    assert needed(load(100, 50, worker(), threads=4), 0) == 5


def test_more_are_wanted_where_memory_runs_out():
    full = worker(nbytes=GIB * 7 // 10)
    assert needed(load(1, 1, full, full), 0) == 4


def test_idle_workers_go_only_as_far_as_the_others_can_hold_what_they_hold():
    empty, holding = worker(tasks=0), worker(tasks=0, nbytes=GIB * 2 // 5)
    assert needed(load(0, 0, empty, empty), 0) == 0
    assert needed(load(0, 0, empty, holding), 0) == 1
    assert needed(load(0, 0, holding, holding), 0) == 2


def test_those_go_first_that_do_and_hold_least():
    found = (worker("busy", 2), worker("idle", 0, 10), worker("empty", 0, 0))
    assert dispensable(found, 2) == ["empty", "idle"]
    assert dispensable(found, -1) == []
