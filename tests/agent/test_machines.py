"""Machines that live and end, with a real agent and real Dask processes."""

import os

MIB = 1 << 20


def test_scheduler_and_worker_come_up_and_compute(plane):
    scheduler, (worker,) = plane.cluster()
    with plane.client() as client:
        assert client.submit(sum, [1, 2, 3]).result(timeout=10) == 6
        assert client.submit(os.getenv, "AMASIA_CLUSTER").result(timeout=10) == "cl-1"
        assert [info["name"] for info in client.scheduler_info()["workers"].values()] == [worker]
        assert client.get_versions(check=True)
    assert set(plane.last(worker).stages) == {"environment_ready", "process_up"}
    assert plane.last(worker).metrics.memory > 10 * MIB
    assert plane.last(scheduler).scheduler.workers == 1
    assert "Starting worker compute stream" in "".join(beat.log for beat in plane.heard[scheduler])
