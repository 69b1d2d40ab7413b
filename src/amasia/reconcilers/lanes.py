"""One lane for each bucket: a dead store delays nobody but itself, and is asked more and more seldom."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

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
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lane")
        self._lanes: dict[str, _Lane] = {}
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
            for name in due:
                self._lanes[name].running = self._pool.submit(self._work, name, grouped[name], do)
            futures = [future for name in due if (future := self._lanes[name].running)]
        wait(futures, _PATIENCE)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _due(self, name: str) -> bool:
        lane = self._lanes.setdefault(name, _Lane())
        free = lane.running is None or lane.running.done()
        return free and time.monotonic() >= lane.not_before

    def _work[T](self, name: str, items: list[T], do: Callable[[T], bool]) -> None:
        lane = self._lanes[name]
        for item in items:
            if not do(item):
                lane.not_before = time.monotonic() + min(_LONGEST, _FIRST * 2**lane.failures)
                lane.failures = min(lane.failures + 1, 10)
                return
        lane.failures = 0
