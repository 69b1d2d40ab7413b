"""Many hands: work on several items at once, on each only once, and on few of one place at a time."""

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock

PATIENCE = 2.0
"""Seconds that a round waits for its hands; what takes longer goes on while the next rounds come."""


class Hands:
    """Threads that outlive a round. A place that does not answer keeps only its own share of them busy.

    Parameters
    ----------
    each
        Items of one place that are worked on at the same time.
    """

    def __init__(self, threads: int = 64, each: int = 8) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="hand")
        self._each = each
        self._busy: dict[str, str] = {}
        self._lock = Lock()

    def run[T](self, items: Iterable[T], key: Callable[[T], tuple[str, str]], do: Callable[[T], None]) -> list[T]:
        """Do each item, by its id and its place; those for which no hand of their place was free are the answer.

        One that is worked on already is left to whoever does.

        What an item raised within the round's patience is raised here.
        """
        futures: list[Future[None]] = []
        left = []
        for item in items:
            one, place = key(item)
            with self._lock:
                busy = one in self._busy
                full = Counter(self._busy.values())[place] >= self._each
                if not busy and not full:
                    self._busy[one] = place
            if not busy and not full:
                futures.append(self._pool.submit(self._work, one, item, do))
            elif not busy:
                left.append(item)
        for future in wait(futures, PATIENCE).done:
            future.result()
        return left

    def close(self) -> None:
        """Wait for what is in hand."""
        self._pool.shutdown()

    def _work[T](self, one: str, item: T, do: Callable[[T], None]) -> None:
        try:
            do(item)
        finally:
            with self._lock:
                self._busy.pop(one)
