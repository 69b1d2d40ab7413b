"""Machines that live and end, with a real agent and real Dask processes."""

import os
import signal
import time
import warnings
from pathlib import Path

import psutil
from agent_tasks import hoarder, sleeper

from amasia import errors
from amasia.models import homes
from amasia.models.machines import MachineTarget

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
    plane.wait(lambda: plane.last(scheduler).scheduler.workers == 1)
    assert "Starting worker compute stream" in plane.log(scheduler)


def test_a_worker_finds_its_scheduler_long_before_its_next_heartbeat(plane):
    plane.heartbeat_seconds, plane.lease_seconds = 60.0, 120.0
    plane.cluster()  # which waits for less than that


def test_no_secret_is_in_a_command_line_or_a_file_that_others_read(plane):
    _, (worker,) = plane.cluster()
    key = plane.tls[2].splitlines()[1]
    for process in plane.processes(worker):
        assert key not in " ".join(process.cmdline())
    for path in plane.home(worker).rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077:
            assert key not in path.read_text(errors="replace")


def test_stopped_by_the_control_plane_leaves_nothing(plane):
    scheduler, (worker,) = plane.cluster()
    plane.targets = {scheduler: MachineTarget.stopped, worker: MachineTarget.stopped}
    for machine in (worker, scheduler):
        plane.wait(lambda machine=machine: plane.gone(machine), 5)
        assert plane.processes(machine) == []
        assert plane.exit(machine).reason == "it was stopped"
        assert not Path(f"/sys/fs/cgroup/memory/amasia-{machine}").exists()
    assert plane.last(worker).process.status == "exited"


def test_kill_of_the_agent_leaves_no_process(plane):
    _, (worker,) = plane.cluster()
    assert len(plane.processes(worker)) == 2
    os.kill(plane.agent(worker), signal.SIGKILL)
    plane.wait(lambda: plane.processes(worker) == [], 2)


def test_what_tasks_started_ends_with_the_machine(plane):
    _, (worker,) = plane.cluster()
    with plane.client() as client:
        child = client.submit(sleeper).result(timeout=10)
        os.kill(plane.agent(worker), signal.SIGKILL)
        plane.wait(lambda: plane.gone(worker), 5)
        plane.wait(lambda: not running(child), 2)


def test_without_a_control_plane_all_is_gone_before_the_lease_is_over(plane):
    plane.lease_seconds = 8.0
    scheduler, (worker,) = plane.cluster()
    plane.die()
    end = max(plane.last(machine).at.timestamp() for machine in (scheduler, worker)) + plane.lease_seconds
    with plane.client() as client, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert client.submit(sum, [1, 2]).result(timeout=4) == 3
        plane.wait(lambda: any("The cluster ends: its lease ended" in str(one.message) for one in caught))
    plane.wait(lambda: not plane.processes(scheduler) and not plane.processes(worker), 10)
    assert time.time() < end
    for machine in (scheduler, worker):
        assert "its lease ended" in plane.exit(machine).reason
        assert plane.exit(machine).at.timestamp() < end


def test_a_control_plane_that_comes_back_finds_its_machines_at_work(plane):
    scheduler, (worker,) = plane.cluster()
    with plane.client() as client:
        slow = client.submit(time.sleep, 2.5)
        plane.die()
        time.sleep(1)
        heard = len(plane.heard[worker])
        plane.serve(plane.port)
        plane.wait(lambda: len(plane.heard[worker]) > heard, 6)
        slow.result(timeout=10)
    assert not plane.gone(scheduler)


def test_answers_that_are_lost_lose_no_line_of_the_log(plane):
    scheduler = plane.start("scheduler")
    plane.wait(lambda: plane.status(scheduler) == "running", 15)
    plane.lose_answers = 3
    (plane.home(scheduler) / "log").open("a").write("a line of its own\n")
    plane.wait(lambda: plane.lose_answers == 0)
    plane.wait(lambda: "a line of its own" in plane.log(scheduler))
    plane.wait(lambda: plane.heard[scheduler][-1].log == "")


def test_a_machine_that_is_not_wanted_ends_at_once(plane):
    scheduler = plane.start("scheduler")
    plane.wait(lambda: plane.status(scheduler) == "running", 15)
    plane.refuse[scheduler] = errors.NotFound("no such machine")
    plane.wait(lambda: plane.gone(scheduler), 5)
    assert "no longer wants this machine: no such machine" in plane.exit(scheduler).reason


def test_a_suspended_agent_that_wakes_after_its_lease_ends_at_once(plane):
    plane.lease_seconds = 4.0
    scheduler = plane.start("scheduler")
    plane.wait(lambda: plane.status(scheduler) == "running", 15)
    os.kill(plane.agent(scheduler), signal.SIGSTOP)
    time.sleep(4.5)
    heard = len(plane.heard[scheduler])
    os.kill(plane.agent(scheduler), signal.SIGCONT)
    plane.wait(lambda: plane.gone(scheduler), 10)
    assert "its lease ended" in plane.exit(scheduler).reason
    assert all(beat.process.status == "exited" for beat in plane.heard[scheduler][heard + 1 :])


def test_a_scheduler_that_died_is_started_again_and_clients_and_workers_find_it(plane):
    scheduler, (worker,) = plane.cluster()
    client = plane.client()
    (dask,) = [process for process in plane.processes(scheduler) if process.pid != plane.agent(scheduler)]
    dask.kill()
    plane.wait(lambda: any(beat.deaths for beat in plane.heard[scheduler]))
    with client:
        plane.wait(lambda: len(client.scheduler_info()["workers"]) == 1, 20)
        assert client.submit(sum, [1, 2]).result(timeout=10) == 3
    assert "the scheduler was killed by SIGKILL" in str([beat.deaths for beat in plane.heard[scheduler]])
    assert not plane.gone(worker)


def test_the_memory_limit_holds_without_the_kernels_help(plane):
    plane.agents_run_first("import amasia.agent.memory as memory; memory.make_group = lambda *_: None")
    _, (worker,) = plane.cluster()
    with plane.client() as client:
        forgotten = client.submit(hoarder, 600, pure=False)
        plane.wait(lambda: "hoarder-" in (plane.home(worker) / "running.json").read_text(), 5)
        del forgotten  # which stops nothing that already runs
        plane.wait(lambda: any(beat.deaths for beat in plane.heard[worker]), 15)
    (death, *_) = [death for beat in plane.heard[worker] for death in beat.deaths]
    assert " of 256 MiB and was killed while running 'hoarder-" in death.reason


def test_an_environment_that_cannot_be_built_is_the_reason(plane):
    plane.agents_run_first(
        "from amasia.errors import EnvironmentFailed\n"
        "def fail(*_): raise EnvironmentFailed('numpy 99 is not to be had.', cure='Choose another.')\n"
        "begin = run\n"
        "run = lambda home, cache, build: begin(home, cache, fail)"
    )
    machine = plane.start("worker")
    plane.wait(lambda: plane.status(machine) == "failed")
    assert plane.last(machine).process.reason == (
        "its environment could not be built: numpy 99 is not to be had. Choose another."
    )


def test_a_notice_of_the_system_is_told_with_its_time(plane):
    worker = plane.start("worker")
    plane.wait(lambda: plane.last(worker) is not None)
    written = plane.home(worker) / "written"
    written.write_text("2026-11-01T12:00:00Z\n")
    written.rename(plane.home(worker) / homes.NOTICE)  # as the boot script does: never seen half
    plane.wait(lambda: "leaves" in plane.last(worker).stages)
    assert plane.last(worker).stages["leaves"].isoformat() == "2026-11-01T12:00:00+00:00"


def running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_warm_machine_starts_nothing_until_a_cluster_takes_it(plane):
    plane.lose_answers = 1
    warm = plane.start("warm", 512 * MIB)
    plane.wait(lambda: plane.status(warm) == "warm" and "environment_ready" in plane.last(warm).stages, 20)
    assert len(plane.processes(warm)) == 1
    plane.take(warm, "scheduler")
    plane.lose_answers = 1  # of the assignment, or of the beat that tells of it
    plane.wait(lambda: plane.status(warm) == "running", 20)
    assert set(plane.last(warm).stages) == {"environment_ready", "process_up"}
    assert plane.last_of_scheduler().process.address.startswith("tls://")
