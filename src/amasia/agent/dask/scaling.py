"""How many workers a cluster needs, and which may go: decided beside the scheduler, so no laptop is needed."""

import asyncio
from collections import Counter
from itertools import islice
from time import monotonic
from typing import Any

from distributed import Scheduler
from distributed.core import Status

from amasia.agent.dask.loads import Load, Worker, dispensable, needed
from amasia.models.clusters import GPU

PATIENCE = 5.0
"""Seconds that fewer workers must be enough before some are let go; a new number is heard of within two."""
SOME = 100
"""Queued tasks that are looked at; the others will be like them."""
PRESENT = (Status.init, Status.running, Status.paused)


class Kind:
    """Workers of one kind: a fixed number of them, or as many as their load asks for."""

    def __init__(self) -> None:
        self.wanted: int | None = None
        """What adaptive scaling asks for; None where it is off."""
        self.size: dict[str, Any] = {}
        self._enough_since: float | None = None
        self._beyond_since: float | None = None
        self._asked_at = 0.0

    def wish(self, size: dict[str, Any]) -> None:
        """{"n_workers": 4}, or {"minimum": 0, "maximum": 8}; the latter wins where both are given."""
        if int(size.get("n_workers") or 0) < int(self.size.get("n_workers") or 0):
            self._beyond_since = 0.0  # whoever asks for fewer need not wait
        self.size = size
        if not self.adapts:
            self.wanted = None

    @property
    def adapts(self) -> bool:
        return self.size.get("maximum") is not None

    @property
    def threads(self) -> int:
        return int(self.size.get("threads", 1))

    def goal(self, load: Load, boot: float) -> int:
        """How many there should be at this moment."""
        return self._adapt(load, boot) if self.adapts else self._fixed(len(load.workers))

    def _fixed(self, present: int) -> int:
        """The number that was told. Who comes beyond it stays for a while: a larger one may not have been heard yet."""
        told = int(self.size["n_workers"])
        if present <= told:
            self._beyond_since = None
            return told
        if self._beyond_since is None:
            self._beyond_since = monotonic()
        return told if monotonic() - self._beyond_since >= PATIENCE else present

    def _adapt(self, load: Load, boot: float) -> int:
        """More at once; fewer only after that was enough for a while."""
        present, now = len(load.workers), monotonic()
        target = self._within(needed(load, boot))
        if target >= max(present, self.wanted or 0):
            self._enough_since = None
            if target > (self.wanted or 0):
                self._asked_at = now
            self.wanted = target
            return target
        # Those that were asked for are on their way: their time to come up is partly over.
        target = self._within(needed(load, max(0.0, boot - (now - self._asked_at))))
        if target >= max(present, self.wanted or 0):
            self._enough_since = None
            return target
        self._enough_since = self._enough_since or now
        if now - self._enough_since >= PATIENCE:
            self.wanted = target
        if self.wanted is None:
            self.wanted = present
        return max(self.wanted, target)

    def _within(self, target: int) -> int:
        return min(int(self.size["maximum"]), max(int(self.size["minimum"]), target))


class Scaling:
    """Keeps every kind of worker to its number, and lets those go whose machines are taken back."""

    def __init__(self, scheduler: Scheduler, spec: dict[str, Any]) -> None:
        self.scheduler = scheduler
        self._kinds: dict[str, Kind] = {}
        self._boot = 0.0
        self._retiring: asyncio.Task[Any] | None = None
        self._leaving: set[str] = set()
        self.wish(spec | {"groups": spec.get("worker_groups", {})})

    @property
    def wanted(self) -> dict[str, int]:
        """How many workers adaptive scaling asks for, by group; the empty name is of those in none."""
        return {name: kind.wanted for name, kind in self._kinds.items() if kind.wanted is not None}

    def wish(self, scale: dict[str, Any]) -> None:
        """What `models.machines.Wishes.scale` says. Those that "leaving" names go in any case."""
        self._leaving = set(scale.get("leaving", self._leaving))
        if scale.get("maximum") is None and scale.get("n_workers") is None:
            return
        self._boot = float(scale.get("boot_seconds", self._boot))
        for name, size in {"": scale, **scale.get("groups", {})}.items():
            self._kinds.setdefault(name, Kind()).wish(size)

    def step(self) -> None:
        """Look once: decide how many are wanted and let the surplus go, results first moved elsewhere."""
        if not self._kinds:
            return None
        present = [worker for worker in self.scheduler.workers.values() if worker.status in PRESENT]
        leaving = [worker.address for worker in present if str(worker.name) in self._leaving]
        if leaving and self._is_free():
            # Where nobody can take what it holds, it stays, and the next step tries again.
            return self._retire(leaving)
        surplus: list[str] = []
        for name, kind in self._kinds.items():
            own = [one for one in present if one.address not in leaving and self._group(one.resources) == name]
            load = self._load(name, kind, own)
            surplus += dispensable(load.workers, len(own) - kind.goal(load, self._boot))
        return self._retire(surplus) if surplus and self._is_free() else None

    def _is_free(self) -> bool:
        return self._retiring is None or self._retiring.done()

    def _retire(self, workers: list[str]) -> None:
        self._retiring = asyncio.create_task(
            self.scheduler.retire_workers(workers=workers, close_workers=True, remove=True)
        )

    def _group(self, resources: Any) -> str:
        """The kind of worker that has, or of task that asks for, such resources."""
        named = (name for name in self._kinds if name and name in resources)
        with_gpus = (name for name, kind in self._kinds.items() if GPU in resources and kind.size.get("gpus"))
        return next(named, None) or next(with_gpus, "")

    def _load(self, name: str, kind: Kind, own: list[Any]) -> Load:
        workers = tuple(Worker(one.address, len(one.processing), one.nbytes, one.memory_limit) for one in own)
        threads = max((one.nthreads for one in own), default=kind.threads)
        seconds, tasks = self._work(name) if kind.adapts else (0.0, 0)
        return Load(seconds, tasks, threads, workers)

    def _work(self, name: str) -> tuple[float, int]:
        """Seconds of what is known to be done by one kind of worker, and in how many tasks."""
        scheduler = self.scheduler
        given = (task for worker in scheduler.workers.values() for task in worker.processing)
        tasks = [task for source in (given, scheduler.unrunnable) for task in source
                 if self._group(task.resource_restrictions or ()) == name]  # fmt: skip
        seconds = scheduler._calc_occupancy(Counter(task.prefix.name for task in tasks), 0)
        if name or not scheduler.queued:  # tasks that ask for a resource are never queued
            return seconds, len(tasks)
        some = Counter(task.prefix.name for task in islice(scheduler.queued, SOME))
        share = len(scheduler.queued) / some.total()
        return seconds + share * scheduler._calc_occupancy(some, 0), len(tasks) + len(scheduler.queued)
