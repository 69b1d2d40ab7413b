"""Every death is told in words: to the clients at once, in the exception at last, to the control plane always."""

import os
import pickle
import re
import signal
import time
import warnings

import pytest
from agent_tasks import at_once, leave, slowly, suicide
from distributed import KilledWorker

from amasia.agent.dask.deaths import WorkerDied
from amasia.errors import MachineLost


def said(caught):
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("task", [at_once, slowly])
def test_out_of_memory_is_named_in_the_warning_and_in_the_exception(plane, task):
    _, (worker,) = plane.cluster()
    sentence = rf"the worker used 2\d\d MiB of 256 MiB and was killed while running '{task.__name__}-"
    with plane.client() as client, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        future = client.submit(task, 1000, pure=False)
        plane.wait(lambda: any(re.search(sentence, text) for text in said(caught)), 15)
        with pytest.raises(MachineLost) as error:
            future.result(timeout=30)
    assert isinstance(error.value, KilledWorker)
    assert re.search(sentence, str(error.value))
    assert "Cluster(worker_memory=" in str(error.value)
    plane.wait(lambda: len(deaths(plane, worker)) == 2)
    assert all(re.search(sentence, reason) for reason in deaths(plane, worker))


def test_a_killed_worker_is_started_again_and_its_task_survives(plane):
    _, (worker,) = plane.cluster()
    with plane.client() as client, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first = client.submit(os.getpid, pure=False).result(timeout=10)
        slow = client.submit(time.sleep, 2)
        time.sleep(0.5)
        os.kill(first, signal.SIGKILL)
        slow.result(timeout=20)
        assert client.submit(os.getpid, pure=False).result(timeout=10) != first
        (text,) = [text for text in said(caught) if "SIGKILL" in text]
    assert re.search(r"worker 1 of tiny: the worker was killed by SIGKILL while running 'sleep-", text)
    assert len(deaths(plane, worker)) == 1


def test_a_worker_that_exits_is_named_with_its_status(plane):
    plane.cluster()
    with plane.client() as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(KilledWorker, match="ended with status 3 while running 'leave-"):
            client.submit(leave).result(timeout=30)


def test_tasks_that_only_waited_on_a_dead_worker_are_not_blamed(plane):
    plane.cluster()
    with plane.client() as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guilty = client.submit(suicide, priority=10)
        innocent = client.map(lambda x: x, range(8))
        with pytest.raises(KilledWorker):
            guilty.result(timeout=30)
        assert client.gather(innocent) == list(range(8))


def test_the_exception_travels():
    error = WorkerDied("mean-1", None, 1, ["the worker used 2.0 GiB of 1.0 GiB and was killed"])
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert copy.reasons == error.reasons
    assert copy.allowed_failures == 1


def deaths(plane, worker):
    return [death.reason for beat in plane.heard[worker] for death in beat.deaths]
