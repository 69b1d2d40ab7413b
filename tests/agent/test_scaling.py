"""How many workers there are is decided beside the scheduler, and nothing is lost when some go."""

import time
import warnings

import pytest

from amasia.agent.dask import scaling
from amasia.agent.dask.loads import Load, Worker

MIB = 1 << 20


@pytest.fixture
def clock(monkeypatch):
    """Seconds, by hand."""
    clock = [100.0]
    monkeypatch.setattr(scaling, "monotonic", lambda: clock[0])
    return clock


def of(count):
    return Load(0.0, 0, 1, tuple(Worker(str(number), 0, 0, MIB) for number in range(count)))


def test_a_worker_that_comes_before_the_new_number_is_heard_stays(clock):
    kind = scaling.Kind()
    kind.wish({"n_workers": 1})
    assert kind.goal(of(2), 0) == 2
    clock[0] += 3
    kind.wish({"n_workers": 2})
    assert kind.goal(of(2), 0) == 2
    kind.wish({"n_workers": 3})
    assert kind.goal(of(4), 0) == 4
    kind.wish({"n_workers": 1})
    assert kind.goal(of(4), 0) == 1


def test_a_worker_that_nobody_asked_for_goes_after_a_while(clock):
    kind = scaling.Kind()
    kind.wish({"n_workers": 1})
    assert kind.goal(of(2), 0) == 2
    clock[0] += scaling.PATIENCE
    assert kind.goal(of(2), 0) == 1


def test_a_smaller_cluster_keeps_its_results_and_names_who_may_stop(plane):
    plane.scale = {"n_workers": 2}
    scheduler, workers = plane.cluster(workers=2)
    with plane.client() as client:
        client.wait_for_workers(2, timeout=10)
        futures = client.map(lambda x: x + 1, range(20))
        client.gather(futures)
        plane.scale = {"n_workers": 1}
        plane.wait(lambda: report(plane, scheduler).retire, 15)
        (retired,) = report(plane, scheduler).retire
        assert retired in workers
        assert client.gather(futures) == list(range(1, 21))
        assert len(client.scheduler_info()["workers"]) == 1
    plane.wait(lambda: plane.status(retired) == "exited")
    assert "retired" in plane.last(retired).process.reason
    assert plane.last(retired).deaths == ()
    assert report(plane, scheduler).wanted_workers is None


def test_adaptive_scaling_asks_for_more_and_lets_go_of_what_is_idle(plane):
    plane.spec = {"n_workers": 2, "minimum": 0, "maximum": 3}
    scheduler = plane.start("scheduler", 512 * MIB)
    plane.wait(lambda: plane.status(scheduler) == "running", 15)
    plane.wait(lambda: report(plane, scheduler).wanted_workers == 0)
    with plane.client() as client:
        futures = client.map(time.sleep, [0.5] * 8, pure=False)
        plane.wait(lambda: report(plane, scheduler).wanted_workers >= 1)
        worker = plane.start("worker")
        client.gather(futures)
        plane.wait(lambda: report(plane, scheduler).retire == (), 1)
        del futures
        plane.wait(lambda: report(plane, scheduler).wanted_workers == 0, 15)
        plane.wait(lambda: report(plane, scheduler).retire == (worker,), 5)


def test_adaptive_scaling_stays_within_its_maximum(plane):
    plane.scale = {"minimum": 1, "maximum": 2}
    scheduler = plane.start("scheduler", 512 * MIB)
    plane.wait(lambda: plane.status(scheduler) == "running", 15)
    plane.wait(lambda: report(plane, scheduler).wanted_workers == 1)
    with plane.client() as client:
        futures = client.map(time.sleep, [10] * 100, pure=False)
        plane.wait(lambda: report(plane, scheduler).wanted_workers == 2)
        assert len(futures) == 100


def test_idle_seconds_grow_without_work_also_with_a_client_connected(plane):
    scheduler, _ = plane.cluster()
    plane.wait(lambda: report(plane, scheduler).idle_seconds > 1)
    with plane.client() as client:
        future = client.submit(time.sleep, 2)
        plane.wait(lambda: report(plane, scheduler).idle_seconds == 0, 4)
        future.result(timeout=10)
        plane.wait(lambda: report(plane, scheduler).idle_seconds > 1.5)
        assert report(plane, scheduler).clients == 1


def test_a_worker_that_just_came_is_no_idleness(plane):
    scheduler, _ = plane.cluster(workers=0)
    plane.wait(lambda: plane.status(scheduler) == "running", 15)
    plane.wait(lambda: report(plane, scheduler).idle_seconds > 2.5)
    plane.start()
    plane.wait(lambda: report(plane, scheduler).workers == 1 and report(plane, scheduler).idle_seconds < 2)


def test_a_task_that_no_worker_can_take_is_no_idleness(plane):
    scheduler = plane.start("scheduler", 512 * MIB)
    plane.wait(lambda: plane.status(scheduler) == "running", 15)
    with plane.client() as client:
        future = client.submit(time.sleep, 0)
        time.sleep(2)
        assert report(plane, scheduler).idle_seconds == 0
        future.cancel()


def test_notices_are_shown_to_every_client_once(plane):
    plane.cluster()
    with plane.client(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plane.notices = ["The budget of demo is used up at 20:00."]
        plane.wait(lambda: len(caught) == 1)
        plane.notices = ["The budget of demo is used up at 20:00."]
        time.sleep(1)
        assert [str(one.message) for one in caught] == ["The budget of demo is used up at 20:00."]


def report(plane, scheduler):
    """Its last one; a scheduler that runs may not have sent its first yet."""
    return plane.wait(lambda: plane.last(scheduler).scheduler, 15)


def test_a_worker_that_is_taken_back_gives_away_what_it_holds_as_soon_as_somebody_can_take_it(plane):
    plane.scale = {"n_workers": 1}
    scheduler, (leaving,) = plane.cluster(workers=1)
    with plane.client() as client:
        client.wait_for_workers(1, timeout=10)
        held = client.scatter(list(range(20)), hash=False)  # which nobody can compute again
        plane.scale = {"n_workers": 1, "leaving": [leaving]}
        time.sleep(3)
        assert report(plane, scheduler).retire == ()
        plane.start("worker")
        plane.wait(lambda: report(plane, scheduler).retire == (leaving,), 20)
        assert client.gather(held) == list(range(20))


def test_tasks_find_their_worker_group_and_each_group_scales_by_what_asks_for_it(plane):
    group = {"minimum": 0, "maximum": 2}
    plane.spec = {"n_workers": 1, "worker_groups": {"big": group}}
    plane.scale = {"n_workers": 1, "groups": {"big": group}}
    scheduler, (small,) = plane.cluster(workers=1)
    with plane.client() as client:
        assert client.submit(lambda: 1).result(timeout=10) == 1
        plane.wait(lambda: report(plane, scheduler).wanted_groups == {"big": 0}, 10)
        futures = client.map(lambda x: x + 1, range(3), resources={"big": 1})
        plane.wait(lambda: report(plane, scheduler).wanted_groups == {"big": 1}, 10)
        assert report(plane, scheduler).wanted_workers is None
        big = plane.start("worker", group="big")
        assert client.gather(futures) == [1, 2, 3]
        names = {worker["name"]: address for address, worker in client.scheduler_info()["workers"].items()}
        assert set(names) == {small, big}
        assert {address for held in client.who_has(futures).values() for address in held} == {names[big]}
