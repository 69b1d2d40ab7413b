"""One lane for each bucket: a dead store delays nobody but itself, and is asked more and more seldom.

A tenant with many lanes keeps a share of the threads busy, and never all of them.
"""

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from amasia.reconcilers.shares import share, tenant

_PATIENCE = 2.0
"""Seconds that a round waits for its lanes; what takes longer goes on, and its lane is left out until it is done."""
_FIRST, _LONGEST = 0.5, 60.0
"""Seconds until a lane that failed is tried again: doubled each time, up to the longest."""


@dataclass
class _Lane:
    running: Future[None] | None = None
    failures: int = 0
    not_before: float = 0.0


class Lanes:
    """Works through items by the key of their lane: lanes side by side, the items of one lane one after the other."""

    def __init__(self, threads: int = 8) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lane")
        self._lanes: dict[str, _Lane] = {}
        self._waiting: defaultdict[str, deque[Callable[[], None]]] = defaultdict(deque)
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()

    def run[T](self, items: Iterable[T], key: Callable[[T], str], do: Callable[[T], bool]) -> None:
        """Do what is due.

        Parameters
        ----------
        do
            False where the lane's store did not answer: the rest of the lane is left for later.
        """
        grouped: dict[str, list[T]] = {}
        for item in items:
            grouped.setdefault(key(item), []).append(item)
        with self._lock:
            due = [name for name in grouped if self._due(name)]
            futures: list[Future[None]] = [Future() for _ in due]
            for name, done in zip(due, futures, strict=True):
                self._lanes[name].running = done
                self._waiting[tenant(name)].append(partial(self._work, name, grouped[name], do, done))
            self._begin()
        wait(futures, _PATIENCE)

    def close(self) -> None:
        with self._lock:
            self._waiting.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _due(self, name: str) -> bool:
        lane = self._lanes.setdefault(name, _Lane())
        free = lane.running is None or lane.running.done()
        return free and time.monotonic() >= lane.not_before

    def _begin(self) -> None:
        """Begin with what waits while there are threads for it; the lock is held."""
        while sum(self._busy.values()) < self._threads:
            most = share(self._threads, len(self._tenants()))
            ready = [one for one, queue in self._waiting.items() if queue and self._busy[one] < most]
            if not ready:
                return
            one = min(ready, key=self._busy.__getitem__)
            self._busy[one] += 1
            self._pool.submit(self._go, one, self._waiting[one].popleft())

    def _tenants(self) -> set[str]:
        """Those that have something to do."""
        return {one for one in (*self._waiting, *self._busy) if self._waiting[one] or self._busy[one]}

    def _go(self, one: str, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._busy[one] -= 1
                self._begin()

    def _work[T](self, name: str, items: list[T], do: Callable[[T], bool], done: Future[None]) -> None:
        try:
            self._each(name, items, do)
        finally:
            done.set_result(None)

    def _each[T](self, name: str, items: list[T], do: Callable[[T], bool]) -> None:
        lane = self._lanes[name]
        for item in items:
            if not do(item):
                lane.not_before = time.monotonic() + min(_LONGEST, _FIRST * 2**lane.failures)
                lane.failures = min(lane.failures + 1, 10)
                return
        lane.failures = 0
