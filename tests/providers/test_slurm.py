"""Machines as allocations of a real Slurm."""

import os
import sys
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from amasia import errors
from amasia.models.base import now
from amasia.models.locations import Place
from amasia.providers.slurm import SlurmProvider
from amasia.testing.providers import ProviderTests, make_boot, make_machine
from amasia.testing.waiting import wait
from show.slurms import Slurm, missing, missing_accounting

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "it is there")
MIB = 1 << 20


@contextmanager
def started(running):
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with started(Slurm(tmp_path_factory.mktemp("slurm"))) as running:
        yield running


def place(slurm, home: Path, **changes) -> Place:
    options = {
        "conf": str(slurm.conf),
        "root": str(home / "root"),
        "variables": {"PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin"},
        "types": [
            {"name": "small", "partition": "main", "cpus": 1, "memory": "128 MiB", "price": "0.05"},
            {"name": "down", "partition": "closed", "cpus": 1, "memory": "128 MiB", "price": "0.05"},
        ],
    }
    return Place(workspace="lab", name="cluster", region="campus", plane="test", home=home / "place",
                 options=options | changes)  # fmt: skip


@contextmanager
def opened(slurm, tmp_path):
    made = SlurmProvider(place(slurm, tmp_path))
    yield made
    for machine_id in made.find(None):
        made.stop(machine_id)


@pytest.fixture
def provider(slurm, tmp_path):
    with opened(slurm, tmp_path) as made:
        yield made


class TestSlurmProvider(ProviderTests):
    seconds = 40.0
    precision = 3.0

    @pytest.fixture
    def provider(self, slurm, tmp_path):
        self.slurm = slurm
        with opened(slurm, tmp_path) as made:
            yield made

    def count(self, provider, machine_id):
        return self.slurm.running(machine_id)

    def cut_power(self, provider, machine_id):
        self.slurm.run("scancel", "--full", "--signal=KILL", "--name", machine_id)


def test_a_second_submission_of_one_machine_never_runs_beside_the_first(slurm, provider):
    machine = make_machine()
    provider.start(machine, make_boot(machine))
    provider._submit(provider.types["small"], machine, make_boot(machine))  # as by a plane killed in between
    wait(lambda: provider.find([machine])[machine.id].started_at is not None, 40)
    states = slurm.run("squeue", "-h", f"--name={machine.id}", "-o", "%T").split()
    assert sorted(states) == ["PENDING", "RUNNING"]
    provider.start(machine, make_boot(machine))
    wait(lambda: slurm.running(machine.id) == 1, 40)
    assert provider.find([machine])[machine.id].alive


def test_what_waits_in_the_queue_says_so_and_why(slurm, tmp_path):
    whole = [{"name": "all", "partition": "main", "cpus": os.cpu_count(), "memory": "512 MiB", "price": "1"}]
    provider = SlurmProvider(place(slurm, tmp_path, types=whole))
    machines = [make_machine(machine_type="all") for _ in range(slurm.nodes + 1)]
    for machine in machines:
        provider.start(machine, make_boot(machine))
    try:
        wait(lambda: [one.waiting for one in provider.find(machines).values()].count(True) == 1, 40)
        waiting = next(one for one in provider.find(machines).values() if one.waiting)
        wait(lambda: "Resources" in provider.find(machines)[waiting.machine_id].reason, 40)
        assert waiting.alive
        assert waiting.started_at is None
    finally:
        for machine in machines:
            provider.stop(machine.id)


def test_a_partition_that_is_down_is_a_finding_and_a_refusal_with_a_cure(provider):
    findings = {finding.subject: finding for finding in provider.check()}
    assert findings["small"].ok
    assert "'closed' is down" in findings["down"].what
    assert findings["down"].cure
    machine = make_machine(machine_type="down")
    with pytest.raises(errors.NoCapacity, match="is down"):
        provider.start(machine, make_boot(machine))


def test_a_type_that_no_node_has_is_refused_for_good(slurm, tmp_path):
    huge = [{"name": "huge", "partition": "main", "cpus": 4000, "memory": "1 TiB", "price": "1"}]
    provider = SlurmProvider(place(slurm, tmp_path, types=huge))
    assert [finding.ok for finding in provider.check()] == [False, False]
    machine = make_machine(machine_type="huge")
    with pytest.raises(errors.TooLarge):
        provider.start(machine, make_boot(machine))


def test_a_time_that_the_partition_does_not_give_is_a_finding(slurm, tmp_path):
    long = [{"name": "long", "partition": "main", "cpus": 1, "memory": "128 MiB", "price": "1", "time": 90}]
    provider = SlurmProvider(place(slurm, tmp_path, types=long))
    assert "ends jobs after 60 minutes" in provider.check()[0].what


def test_a_controller_that_does_not_answer_says_nothing_about_machines(slurm, provider):
    machine = make_machine()
    provider.start(machine, make_boot(machine))
    slurm.stop_controller()
    try:
        with pytest.raises(errors.Unavailable):
            provider.find([machine])
    finally:
        slurm.start_controller()
    wait(lambda: provider.find([machine])[machine.id].alive, 40)


def kill(job):
    """Its script, by the kernel, so that Slurm hears of it afterwards."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "slurm_script" and process.environ().get("SLURM_JOB_NAME") == job:
                process.kill()
                found.append(process.pid)
    return found


@pytest.fixture(scope="module")
def accounted(tmp_path_factory):
    """A Slurm that forgets a job seconds after its end, and whose accounting does not."""
    if why := missing_accounting() or ("" if os.environ.get("SITES") else "seconds that `make providers` takes"):
        pytest.skip(why)
    with started(Slurm(tmp_path_factory.mktemp("accounted"), accounting=True)) as running:
        yield running


def test_the_accounting_knows_why_a_job_ended_that_slurm_has_forgotten(accounted, tmp_path):
    with opened(accounted, tmp_path) as provider:
        cancelled, killed, lost = machines = [make_machine() for _ in range(3)]
        for machine in machines:
            provider.start(machine, make_boot(machine))
        wait(lambda: all(one.started_at for one in provider.find(machines).values()), 40)
        accounted.run("scancel", "--name", cancelled.id)
        wait(lambda: kill(killed.id), 40)
        wait(lambda: not any(one.alive for one in provider.find([cancelled, killed]).values()), 40)
        node = accounted.run("squeue", "-h", f"--name={lost.id}", "-o", "%N").strip()
        accounted.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        wait(lambda: not accounted.run("squeue", "-h", "--states=all", "-o", "%j").strip(), 100)
        found = provider.find(machines)
        assert not any(one.alive for one in found.values())
        assert {found[one.id].reason for one in machines} == {
            "it was cancelled in Slurm", "its job failed", "its node went down"}  # fmt: skip
        assert all(timedelta(0) < now() - one.stopped_at < timedelta(minutes=3) for one in found.values())


def test_options_that_are_wrong_are_named(slurm, tmp_path):
    with pytest.raises(errors.InvalidRequest, match="types"):
        SlurmProvider(place(slurm, tmp_path, types=[]))
    with pytest.raises(errors.InvalidRequest, match="colour"):
        SlurmProvider(place(slurm, tmp_path, colour="blue"))
    described = place(slurm, tmp_path)
    with pytest.raises(errors.InvalidRequest, match="secrets"):
        SlurmProvider(described.model_copy(update={"secrets": {"key": "x"}}))
