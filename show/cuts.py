"""Line 3: a host that is cut off keeps computing and comes back; past its lease it has ended itself.

Real hosts of one's own network, each with sshd, and a cluster with a worker on each of three. What a host does while
it is cut off is seen past its network, in its own kernel.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amasia.models.clusters import Cluster as Record
from amasia.models.machines import Machine
from amasia.testing.waiting import wait
from show import hosts, labs
from show.labs import Lab
from show.lines import Line

CUT, LEASE = 60, 150
WORKERS, TASKS = 3, 200


@dataclass
class Victim:
    """A worker whose host is cut off."""

    host: str
    machine: str


def lines(dose: float, base: Path, cache: Path) -> Iterator[Line]:
    lacking = hosts.missing()
    if lacking:
        yield Line(3, "hosts cut off", f"cannot be tried here: {lacking}", "tried", False)
        return
    cut = max(20, round(CUT * dose))
    settings = {"AMASIA_LEASE_SECONDS": str(max(45, round(LEASE * dose))), "AMASIA_HEARTBEAT_SECONDS": "1",
                "AMASIA_JOIN_SECONDS": "100"}  # fmt: skip
    with labs.lab(base, cache, WORKERS + 1, settings, slots=1, cpus=1, memory="1 GiB") as lab, _signed_in(lab):
        import amasia  # noqa: PLC0415 - Dask takes seconds, and the other lines need none of it

        with amasia.Cluster(WORKERS, location="lab", worker_memory="500 MiB", idle_timeout=None, quiet=True,
                            environment=lab.environment) as cluster:  # fmt: skip
            client = cluster.get_client()
            client.wait_for_workers(WORKERS, timeout=300)
            victim = _victim(client)
            yield from _comes_back(lab, client, cluster.record, victim, cut)
            yield from _ends_itself(lab, client, cluster.record, victim)


def _comes_back(lab: Lab, client: Any, record: Record, victim: Victim, cut: int) -> Iterator[Line]:
    """Cut for less than its lease."""
    address = _address(client, victim)
    task = client.submit(_tick(), cut + 10, workers=[address], allow_other_workers=False, pure=False)
    wait(lambda: _ticks(lab, victim), 30)
    lab.fleet.cut(victim.host)
    before, begun = _ticks(lab, victim), time.monotonic()
    time.sleep(cut)
    ticked, lasted = _ticks(lab, victim) - before, time.monotonic() - begun
    status = _machine(lab, record, victim).status
    lab.fleet.restore(victim.host)
    restored = time.monotonic()
    yield Line(3, f"a task on a host that is cut off for {cut} s goes on, seconds of it", f"{ticked} of {lasted:.0f}",
               "9 of 10", ticked >= 0.9 * lasted, f"the control plane still had it as {status}")  # fmt: skip
    task.release()
    wait(lambda: _has(client, victim), 90)
    back = time.monotonic() - restored
    answer = client.submit(pow, 7, 2, workers=[_address(client, victim)], pure=False).result(timeout=120)
    machine = _machine(lab, record, victim)
    yield Line(3, "it comes back: the same machine computes again, after", f"{back:.0f} s", "90 s",
               answer == 49 and machine.status == "running", f"machine {machine.id} on {victim.host}")  # fmt: skip


def _ends_itself(lab: Lab, client: Any, record: Record, victim: Victim) -> Iterator[Line]:
    """Cut past its lease, with work for all."""
    futures = client.map(_slowly(), range(TASKS), pure=False)
    time.sleep(2)
    lab.fleet.cut(victim.host)
    wait(lambda: not lab.fleet.pids(victim.host, victim.machine), 300)
    ended = time.time()
    lease = _machine(lab, record, victim).lease_until
    assert lease is not None
    early = lease.timestamp() - ended
    yield Line(3, "cut off past its lease it has ended itself, before the lease was over by", f"{early:.1f} s", "0 s",
               early >= 0)  # fmt: skip
    right = client.gather(futures) == [number * number for number in range(TASKS)]
    yield Line(
        3, f"the cluster finished {TASKS} tasks on the rest", "all right" if right else "wrong", "all right", right
    )
    wait(lambda: _machine(lab, record, victim).status == "stopped", 60)
    machine = _machine(lab, record, victim)
    assert machine.stopped_at is not None
    early = (lease - machine.stopped_at).total_seconds()
    what = (
        "then its machine is told dead, with the reason, and charged until its last word: before its lease was over by"
    )
    yield Line(3, what, f"{early:.1f} s", "0 s", early >= 0 and victim.host in machine.reason, machine.reason)
    lab.fleet.restore(victim.host)


def _tick() -> Callable[[int], None]:
    """Made here, since hosts do not have this module."""

    def tick(seconds: int) -> None:
        with open("/tmp/ticks", "w") as file:  # noqa: S108 - on the worker's own host
            for _ in range(seconds):
                file.write("tick\n")
                file.flush()
                time.sleep(1)

    return tick


def _slowly() -> Callable[[int], int]:
    def slowly(number: int) -> int:
        time.sleep(0.3)
        return number * number

    return slowly


def _ticks(lab: Lab, victim: Victim) -> int:
    return int(lab.fleet.run(victim.host, "cat /tmp/ticks 2>/dev/null | wc -l") or 0)


def _victim(client: Any) -> Victim:
    where = client.run(lambda: os.uname().nodename)
    address, host = sorted(where.items(), key=lambda item: item[1])[-1]
    return Victim(host, client.scheduler_info(n_workers=-1)["workers"][address]["id"])


def _address(client: Any, victim: Victim) -> str:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return next((address for address, worker in workers.items() if worker["id"] == victim.machine), "")


def _has(client: Any, victim: Victim) -> bool:
    return bool(_address(client, victim))


def _machine(lab: Lab, record: Record, victim: Victim) -> Machine:
    found = lab.plane.link().get(f"/v1/workspaces/{record.workspace}/clusters/{record.id}", Record)
    return next(machine for machine in found.machines if machine.id == victim.machine)


@contextmanager
def _signed_in(lab: Lab) -> Iterator[None]:
    """`amasia` in this process is the lab's first user."""
    mine = {key: value for key, value in lab.plane.client().items() if key.startswith("AMASIA_")}
    before = dict(os.environ)
    os.environ.update(mine)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
