"""Line 2: a running cluster meets its hard budget, with the control plane alive, and with it dead from before."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amasia.client.transport import Connection
from amasia.models.budgets import Budget, BudgetRequest, Charge
from amasia.models.clusters import Cluster, ClusterStatus
from amasia.models.money import cost
from amasia.models.repositories import Commit
from show import planes
from show.kills import WORKSPACE
from show.lines import Line
from show.planes import Plane

REPOSITORY = "work"
LEASE = 24
MORE = 4
"""Seconds of the cluster's time that the budget holds beyond what is reserved."""
PATIENCE = 90

SCIENTIST = """
import json, sys, threading, time, warnings
import numpy as np, xarray as xr
import amasia
from amasia import errors

name, forever = sys.argv[1], sys.argv[2] == "forever"
told = threading.Event()
warnings.showwarning = lambda message, *_, **__: "commit what must not be lost" in str(message) and told.set()
warnings.simplefilter("always")

def say(what, **facts):
    print(json.dumps({"what": what, "at": time.time(), **facts}), flush=True)

def commit(number):
    repo = amasia.open_repo("demo/work", mode="write")
    data = xr.Dataset({"level": (("at", "x"), np.full((1, 8), number, "f4"))}, coords={"at": [time.time_ns()]})
    if repo.groups():
        return repo.append(data, "at", f"step {number}", group="gauge")
    return repo.write(data, f"step {number}", group="gauge")

with __import__("contextlib").suppress(errors.Conflict):
    amasia.repositories.create("demo/work")
cluster = amasia.Cluster(1, name=name, worker_memory="512 MiB", idle_timeout=None, quiet=True)
client = cluster.get_client()
number = 0
say("committed", snapshot=commit(number))
say("running")
while not told.is_set() or forever:
    number += 1
    client.submit(pow, number, 2).result(timeout=60)
    told.wait(0.3)
say("warned")
say("last", snapshot=commit(client.submit(pow, number, 3).result(timeout=20)))
"""


@dataclass
class Work:
    """A script of a scientist, and what it said."""

    process: subprocess.Popen[str]

    def hear(self, what: str) -> dict[str, object]:
        """Wait until it says this."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if (said := json.loads(line))["what"] == what:
                found: dict[str, object] = said
                return found
        raise RuntimeError(f"the scientist ended without saying {what!r}")


def lines(base: Path, cache: Path) -> Iterator[Line]:
    plane = Plane(base, {"AMASIA_LEASE_SECONDS": str(LEASE)})
    plane.share_cache(cache)
    with planes.cleared(plane):
        plane.up()
        yield from meet(plane)
        yield from meet_alone(plane)


def meet(plane: Plane) -> Iterator[Line]:
    """Warned, drained, stopped, all of it within the lease."""
    what = "a cluster meets its budget"
    work = start(plane, "alive", "until it is told")
    work.hear("running")
    limit = give(plane.link(), "alive")
    warned = work.hear("warned")
    last = work.hear("last")
    ended = wait_for_end(plane, "alive")
    work.process.kill()
    snapshots = {one.snapshot for one in plane.link().items(f"{WORKSPACE}/repositories/{REPOSITORY}/commits", Commit)}
    yield Line(2, f"{what}: the commit after the warning", "landed" if last["snapshot"] in snapshots else "lost",
               "landed", last["snapshot"] in snapshots)  # fmt: skip
    assert ended.ends_at is not None
    assert ended.stopped_at is not None
    grace = ended.ends_at.timestamp() - float(str(warned["at"]))
    yield Line(2, f"{what}: grace after the warning", f"{grace:.1f} s", f"> {LEASE / 3:.0f} s", grace > LEASE / 3)
    late = max((one.stopped_at - one.lease_until).total_seconds() for one in ended.machines
               if one.stopped_at and one.lease_until)  # fmt: skip
    yield Line(
        2, f"{what}: its machines stopped before their leases", f"{-late:.1f} s", "> 0 s", late < 0, ended.reason
    )
    yield from judge(plane, what, limit)


def meet_alone(plane: Plane) -> Iterator[Line]:
    """The control plane dies before the limit is met, and comes back when all is over."""
    what = "the same with the control plane dead"
    give(plane.link(), "alive", 3600)
    work = start(plane, "alone", "forever")
    first = work.hear("committed")
    work.hear("running")
    limit = give(plane.link(), "alone")
    plane.kill()
    begun = time.monotonic()
    while plane.machines() and time.monotonic() - begun < PATIENCE:
        time.sleep(0.1)
    gone = time.monotonic() - begun
    work.process.kill()
    yield Line(2, f"{what}: its machines were gone after", f"{gone:.1f} s", f"<= {LEASE} s", gone <= LEASE)
    plane.up()
    wait_for_end(plane, "alone")
    snapshots = {one.snapshot for one in plane.link().items(f"{WORKSPACE}/repositories/{REPOSITORY}/commits", Commit)}
    yield Line(2, f"{what}: the commit before", "there" if first["snapshot"] in snapshots else "lost", "there",
               first["snapshot"] in snapshots)  # fmt: skip
    yield from judge(plane, what, limit)


def start(plane: Plane, name: str, how: str) -> Work:
    log = (plane.base / f"{name}.log").open("w")
    command = [sys.executable, "-c", SCIENTIST, name, how]
    return Work(
        subprocess.Popen(command, env=plane.client(), cwd=plane.base, stdout=subprocess.PIPE, stderr=log, text=True)
    )


def give(link: Connection, name: str, seconds: int = MORE) -> int:
    """Set the limit to what is used, and so many seconds of a cluster's time; the limit."""
    rate = link.get(f"{WORKSPACE}/clusters/{name}", Cluster).rate or 10**6
    budget = link.get(f"{WORKSPACE}/budgets/workspace", Budget)
    limit = budget.spent + budget.reserved + cost(rate, seconds * 1000)
    link.put(f"{WORKSPACE}/budgets/workspace", BudgetRequest(limit=limit), Budget)
    return limit


def wait_for_end(plane: Plane, name: str) -> Cluster:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = plane.link().get(f"{WORKSPACE}/clusters/{name}", Cluster)
        if found.status is ClusterStatus.stopped:
            return found
        time.sleep(0.2)
    raise RuntimeError(f"the cluster {name} does not end")


def judge(plane: Plane, what: str, limit: int) -> Iterator[Line]:
    """What was spent, by the budget and by the charges."""
    link = plane.link()
    budget = link.get(f"{WORKSPACE}/budgets/workspace", Budget)
    charged = sum(one.amount for one in link.items(f"{WORKSPACE}/charges", Charge))
    good = budget.spent <= limit and budget.reserved == 0 and charged <= budget.spent
    yield Line(2, f"{what}: micro-units spent of {limit}", str(budget.spent), f"<= {limit}", good,
               f"{charged} for machines, {budget.reserved} still reserved")  # fmt: skip
