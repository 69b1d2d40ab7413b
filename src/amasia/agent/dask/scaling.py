"""How many workers a cluster needs, and which may go: decided beside the scheduler, so no laptop is needed."""

import asyncio
from time import monotonic
from typing import Any

from distributed import Scheduler
from distributed.core import Status

PATIENCE = 5.0
"""Seconds that fewer workers must be enough before some are let go."""
PRESENT = (Status.init, Status.running, Status.paused)


class Scaling:
    """Keeps to a fixed number of workers, or adapts between a minimum and a maximum."""

    def __init__(self, scheduler: Scheduler, spec: dict[str, Any]) -> None:
        self.scheduler = scheduler
        self.wanted: int | None = None
        self._scale: dict[str, Any] = {}
        self._enough_since: float | None = None
        self._retiring: asyncio.Task[Any] | None = None
        self._leaving: set[str] = set()
        self.wish(spec)

    def wish(self, scale: dict[str, Any]) -> None:
        """{"n_workers": 4}, or {"minimum": 0, "maximum": 8}; the latter wins where both are given. Those that
        "leaving" names go in any case."""
        self._leaving = set(scale.get("leaving", self._leaving))
        if scale.get("maximum") is None and scale.get("n_workers") is None:
            return
        self._scale = scale
        if not self._adaptive():
            self.wanted = None

    def step(self) -> None:
        """Look once: decide how many are wanted and let the surplus go, results first moved elsewhere."""
        if not self._scale:
            return None
        present = [worker for worker in self.scheduler.workers.values() if worker.status in PRESENT]
        leaving = [worker.address for worker in present if str(worker.name) in self._leaving]
        if leaving and (self._retiring is None or self._retiring.done()):
            # Where nobody can take what it holds, it stays, and the next step tries again.
            return self._retire(leaving)
        present = [worker for worker in present if worker.address not in leaving]
        goal = self._adapt(len(present)) if self._adaptive() else int(self._scale["n_workers"])
        surplus = len(present) - goal
        if surplus <= 0 or (self._retiring and not self._retiring.done()):
            return None
        return self._retire(self.scheduler.workers_to_close(n=surplus))

    def _retire(self, workers: list[str]) -> None:
        self._retiring = asyncio.create_task(
            self.scheduler.retire_workers(workers=workers, close_workers=True, remove=True)
        )

    def _adaptive(self) -> bool:
        return self._scale.get("maximum") is not None

    def _adapt(self, present: int) -> int:
        """More at once; fewer only after that was enough for a while."""
        minimum, maximum = int(self._scale["minimum"]), int(self._scale["maximum"])
        target = min(maximum, max(minimum, self.scheduler.adaptive_target()))
        now = monotonic()
        if target >= max(present, self.wanted or 0):
            self._enough_since = None
            self.wanted = target
            return target
        self._enough_since = self._enough_since or now
        if now - self._enough_since >= PATIENCE:
            self.wanted = target
        if self.wanted is None:
            self.wanted = present
        return max(self.wanted, target)
