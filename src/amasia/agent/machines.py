"""The life of a machine, told by its agent: join, prepare, run, end; always over before its lease is."""

import contextlib
import os
import select
import shutil
import signal
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any, Protocol
from urllib.parse import urlsplit

import psutil

from amasia import errors
from amasia.agent import memory, setups
from amasia.agent.heartbeats import REFUSED, TIMEOUT, beat, borrow, fetch, join, own_address, take_up
from amasia.agent.lease import Lease, told
from amasia.agent.logs import Log
from amasia.agent.masks import Mask
from amasia.agent.processes import Dask, Limit, begin
from amasia.agent.tunnels import Tunnel
from amasia.client.transport import Connection
from amasia.models import homes
from amasia.models.base import now
from amasia.models.environments import Artifact, Environment
from amasia.models.homes import Exit, Identity
from amasia.models.machines import (
    Assignment,
    Boot,
    Death,
    Heartbeat,
    MachineRole,
    MachineTarget,
    Metrics,
    ProcessReport,
    SchedulerReport,
    Wishes,
)
from amasia.models.tunnels import Service, gateway_url

TICK = 0.25
POLITE = 3.0
"""Seconds that a Dask process gets to end by itself."""
LINGER = 30.0
"""Seconds that a machine with nothing left to do waits to be told to end."""
RESTARTS = 10
STOPPED = "it was stopped"
STEADY = 300.0
"""A process that lived this many seconds has its earlier deaths forgiven."""


class Built(Protocol):
    """An environment on this machine."""

    @property
    def python(self) -> Path: ...
    @property
    def code(self) -> Path | None: ...


Build = Callable[[Environment, Callable[[Artifact], bytes], Path], Built]


class Agent:
    """Two threads and a loop: one thread talks, one builds the environment, the loop tends the Dask process."""

    def __init__(self, home: Path, cache: Path, boot: Boot, build: Build, booted: datetime | None = None) -> None:
        self.home, self.cache, self.boot, self.build = home, cache, boot, build
        self.booted = booted
        self.born = psutil.Process().create_time()
        self.lease = Lease(told(home / homes.LEASE) or boot.lease_until)
        self.log = Log(home / homes.LOG)
        self.limit = Limit(boot.memory, None)
        self.due, self.over = Event(), Event()
        self.ending = ""
        self.linger_until: float | None = None
        self.assignment: Assignment | None = None
        self.built: Built | None = None
        self.secrets: dict[str, str] = {}
        self.mask = Mask({})
        self.host = ""
        self.stages: dict[str, datetime] = {}
        self.report = ProcessReport()
        self.scheduler: SchedulerReport | None = None
        self.deaths: tuple[Death, ...] = ()
        self.wishes: Wishes | None = None
        self.notices: list[str] = []
        self.dask: Dask | None = None
        self.told: dict[str, Any] = {}
        self.last_death: dict[str, Any] = {}
        self.port = 0
        self.restarts = 0
        self.next_start = 0.0
        self._cpu = (monotonic(), 0.0)
        self._told = Metrics()
        self._wake_out, self._wake_in = os.pipe()

    def run(self) -> int:
        """Live until there is a reason to end, end everything, and write the reason down."""
        self._begin()
        talk = Thread(target=self._talk, daemon=True)
        talk.start()
        try:
            while not self.ending:
                self._tick()
                self._sleep()
        except Exception:
            traceback.print_exc()
            self.end("its agent failed; the machine's log tells where")
        self._end_dask()
        self.over.set()
        self.due.set()
        talk.join(1.0)
        self._write_end()
        return 0

    def end(self, reason: str) -> None:
        """The first reason counts."""
        self.ending = self.ending or reason
        self._wake()

    # --- the loop -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.end(STOPPED))
        self.limit.group = memory.make_group(f"amasia-{self.boot.machine_id}", self.boot.memory)
        cgroup = str(self.limit.group.path) if self.limit.group else ""
        homes.write(self.home / homes.IDENTITY, Identity(pid=os.getpid(), created=self.born, cgroup=cgroup))
        self._touch()

    def _tick(self) -> None:
        if self.lease.ends():
            return self.end(f"its lease ended at {self.lease.until:%H:%M:%S} UTC and was not renewed")
        if (self.home / homes.STOPPED).exists():
            return self.end(STOPPED)
        if self.linger_until and monotonic() > self.linger_until:
            return self.end(self.report.reason)
        self._touch()
        self._heed()
        if self.dask:
            self._tend(self.dask)
        elif self.assignment and self.built and not self.linger_until and monotonic() >= self.next_start:
            self._begin_dask(self.assignment, self.built)
        return None

    def _sleep(self) -> None:
        pipes = [self._wake_out, *([self.dask.news_pipe] if self.dask else [])]
        select.select(pipes, [], [], TICK)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_out, 4096)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_in, b"!")

    def _touch(self) -> None:
        (self.home / homes.ALIVE).touch()

    def _heed(self) -> None:
        """Say once that the provider takes this machine back, so that its work goes elsewhere in time."""
        notice = self.home / homes.NOTICE
        if "leaves" in self.stages or not notice.exists():
            return
        self.stages["leaves"] = _moment(notice.read_text())
        print(f"it will be taken back at {self.stages['leaves']:%H:%M:%S} UTC", flush=True)
        self.due.set()

    # --- the Dask process ---------------------------------------------------------------------------------------

    def _begin_dask(self, assignment: Assignment, built: Built) -> None:
        variables = setups.environ(assignment, self.boot, built.code, os.environ, self.secrets)
        setup = setups.first_instruction(assignment, self.home, self.host)
        setup |= {"death": self.last_death, "port": self.port}
        self.told = {}
        role = assignment.machine.role
        self.dask = begin(role, built.python, self.home, variables, self.limit, setup, self.log, self.mask)

    def _tend(self, dask: Dask) -> None:
        if dask.listen():
            self._hear(dask)
        self.limit.watch(dask.child.pid)
        if dask.is_over():
            dask.listen()
            return self._bury(dask)
        for key, value in self._instructions().items():
            if self.told.get(key) != value:
                self.told[key] = value
                dask.tell(**{key: value})
        if self.notices and dask.news.status == "running":
            dask.tell(notices=self.notices)
            self.notices = []
        return None

    def _hear(self, dask: Dask) -> None:
        news = dask.news
        before, self.scheduler = self.scheduler, None
        if news.scheduler:
            told = SchedulerReport.model_validate(news.scheduler)
            self.scheduler = told.model_copy(update={"driver": self.mask.hide(told.driver)})
        if _wishes(before) != _wishes(self.scheduler):
            self.due.set()
        if news.status == "running" and self.report.status != "running":
            self.stages.setdefault("process_up", now())
            self.report = ProcessReport(
                status="running", address=news.address, dashboard_address=news.dashboard_address
            )
            self.due.set()

    def _instructions(self) -> dict[str, Any]:
        assert self.assignment
        if self.assignment.machine.role is MachineRole.scheduler:
            return {"scale": self.wishes.scale} if self.wishes else {}
        address = (self.wishes and self.wishes.scheduler_address) or self.assignment.scheduler_address
        return {"scheduler_address": address} if address else {}

    def _waits_for_scheduler(self) -> bool:
        """It could work, and has nobody to work for yet."""
        return self.built is not None and not self._instructions()

    def _bury(self, dask: Dask) -> None:
        """What a process left behind: a death in words and a new start, or the end of its work."""
        reason = self.mask.hide(dask.death(self.limit, self.log))
        keys = dask.running_keys()
        dask.close()
        self.dask, self.scheduler = None, None
        self.due.set()
        if dask.news.status == "retired":
            return self._rest("exited", "its work was moved to other workers, and it retired")
        if dask.news.status == "scheduler-gone":
            reason = "the worker lost its scheduler; it looks for it again"
            self.last_death = {"address": dask.news.address, "reason": reason, "keys": []}
            self.report = ProcessReport(status="preparing", reason=reason)
            self.next_start = monotonic() + 1.0
            return None
        print(reason, flush=True)
        self.deaths = (*self.deaths, Death(at=now(), reason=reason))
        self.last_death = {"address": dask.news.address, "reason": reason, "keys": keys}
        self.port = urlsplit(dask.news.address).port or 0 if not self.port else 0  # so that clients find it again
        self.restarts = 1 if monotonic() - dask.born > STEADY else self.restarts + 1
        if self.restarts > RESTARTS:
            return self._rest("failed", f"its process died {self.restarts} times, lastly because {reason}")
        self.report = ProcessReport(status="preparing", reason=reason)
        self.next_start = monotonic() + (0 if self.restarts <= 3 else min(15.0, 0.5 * 2**self.restarts / 8))
        return None

    def _rest(self, status: str, reason: str) -> None:
        """Nothing left to do: say so, and end soon also when nobody answers."""
        self.report = ProcessReport(status=status, reason=reason)
        self.linger_until = monotonic() + LINGER
        self.due.set()

    # --- the talk -----------------------------------------------------------------------------------------------

    def _talk(self) -> None:
        try:
            started_at = homes.moment(self.born)
            assignment = join(self.boot, started_at, self.booted, self.over)
            if assignment:
                self._work(assignment)
        except REFUSED as error:
            self.end(f"the control plane no longer wants this machine: {error.message}")
        except Exception:
            traceback.print_exc()
            self.end("its agent failed; the machine's log tells where")

    def _work(self, assignment: Assignment) -> None:
        self.host = own_address(self.boot.control_plane)
        self._renew(assignment.machine.lease_until or self.lease.until)
        connection = Connection(self.boot.control_plane, assignment.token, timeout=TIMEOUT)
        self._assign(assignment, connection)
        seconds = assignment.heartbeat_seconds
        over, is_waiting = self.over.is_set, self._waits_for_scheduler

        def obey(heartbeat: Heartbeat, wishes: Wishes) -> None:
            self._obey(heartbeat, wishes)
            if wishes.taken and self._is_warm() and (taken := take_up(connection, self.boot.machine_id)):
                self._assign(taken, Connection(self.boot.control_plane, taken.token, timeout=TIMEOUT))

        beat(connection, self.boot.machine_id, seconds, self.due, self._heartbeat, obey, over, is_waiting)

    def _assign(self, assignment: Assignment, connection: Connection) -> None:
        """From now on it is for this; the environment is built meanwhile. What was said before does not count."""
        self.stages = {key: time for key, time in self.stages.items() if key == "leaves"}
        self.assignment = assignment
        self.report = ProcessReport(status="warm" if self._is_warm() else "preparing")
        self.due.set()
        if assignment.gateway and assignment.machine.role is MachineRole.scheduler:
            gateway = gateway_url(assignment.gateway, self.boot.control_plane)
            Tunnel(gateway, self.boot.machine_id, assignment.token, self._where, self.over).start()
        Thread(target=self._prepare, args=(assignment, connection), daemon=True).start()

    def _is_warm(self) -> bool:
        """No cluster has it yet: it is ready for one, and starts nothing."""
        return self.assignment is not None and self.assignment.machine.role is MachineRole.warm

    def _where(self, service: Service) -> tuple[str, int] | None:
        """Where something that may be reached through the tunnel runs, if it does."""
        report = self.report
        url = urlsplit(report.address if service is Service.scheduler else report.dashboard_address)
        return (url.hostname, url.port) if report.status == "running" and url.hostname and url.port else None

    def _prepare(self, assignment: Assignment, connection: Connection) -> None:
        def load(artifact: Artifact) -> bytes:
            path = f"/v1/workspaces/{assignment.machine.workspace}/artifacts/{artifact.sha256}"
            return fetch(connection, path, self.over)

        try:
            built = self.build(assignment.environment, load, self.cache) if assignment.environment else None
        except errors.AmasiaError as error:
            return self._rest("failed", f"its environment could not be built: {error}")
        except Exception as error:
            traceback.print_exc()
            return self._rest("failed", f"its environment could not be built: {type(error).__name__}: {error}")
        if not self._is_warm():
            if assignment.spec.get("secrets") and not self._borrow(connection):
                return None
            self.built = built
        self.stages["environment_ready"] = now()
        self.due.set()
        self._wake()
        return None

    def _borrow(self, connection: Connection) -> bool:
        """Have the secrets of this machine's processes, in memory only."""
        try:
            lent = borrow(connection, self.boot.machine_id, self.over)
        except REFUSED as error:
            self._rest("failed", f"it was lent no secrets: {error.message}")
            return False
        if lent is None:
            return False
        self.secrets, self.mask = lent.values, Mask(lent.values)
        for name in lent.missing:
            print(f"the secret {name} is not there any more", flush=True)
        return True

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            at=now(),
            metrics=self._metrics(),
            stages=dict(self.stages),
            process=ProcessReport(status="exited", reason=self.ending) if self.ending else self.report,
            scheduler=self.scheduler,
            deaths=self.deaths,
            log=self.log.next(),
        )

    def _obey(self, heartbeat: Heartbeat, wishes: Wishes) -> None:
        self.log.arrived()
        self.deaths = self.deaths[len(heartbeat.deaths) :]
        self._renew(wishes.lease_until)
        self.wishes = wishes
        self.notices += wishes.notices
        if wishes.target is MachineTarget.stopped:
            self.end(STOPPED)
        self._wake()

    def _renew(self, until: datetime) -> None:
        self.lease.renew(until)
        self.lease.write(self.home / homes.LEASE)

    def _metrics(self) -> Metrics:
        dask = self.dask
        if dask is None:
            return Metrics(memory_limit=self.boot.memory)
        processes = memory.tree(dask.child.pid)
        seconds, used = memory.cpu_seconds(processes), memory.resident(processes)
        (before, spent), at = self._cpu, monotonic()
        self._cpu = (at, seconds)
        more, last = max(0.0, seconds - spent), self._told
        self._told = Metrics(
            memory=used,
            memory_limit=self.boot.memory,
            cpu=round(more / max(at - before, 0.1), 3),
            busy_seconds=round(last.busy_seconds + more, 3),
            memory_peak=max(last.memory_peak, used),
            watched_seconds=round(last.watched_seconds + at - before, 3),
            idle_seconds=self.scheduler.idle_seconds if self.scheduler else 0.0,
        )
        return self._told

    # --- the end ------------------------------------------------------------------------------------------------

    def _end_dask(self) -> None:
        """Politely as long as the lease allows, then by force; nothing is left."""
        if self.dask:
            if self.ending != STOPPED:
                self.dask.tell(notices=[f"The cluster ends: {self.ending}."])
            self.dask.terminate()
            with contextlib.suppress(TimeoutError, Exception):
                self.dask.child.wait(min(POLITE, self.lease.seconds_to_kill()))
            self.dask.close()
        memory.kill(process.pid for process in memory.tree(os.getpid())[1:])
        if self.limit.group:
            self.limit.group.kill()
            self.limit.group.remove()
        shutil.rmtree(self.home / setups.SCRATCH, ignore_errors=True)

    def _write_end(self) -> None:
        with contextlib.suppress(FileExistsError):
            homes.write(self.home / homes.EXIT, Exit(at=now(), reason=self.ending), replace=False)


def _wishes(report: SchedulerReport | None) -> tuple[Any, ...]:
    """What a scheduler asks for, which is told at once."""
    return (report.wanted_workers, report.retire, report.driver) if report else ()


def _moment(notice: str) -> datetime:
    """The time that a notice names; at once, where it names none."""
    try:
        moment = datetime.fromisoformat(notice.strip())
    except ValueError:
        return now()
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
