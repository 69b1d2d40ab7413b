"""Many hands: work on several items at once, on each only once, and on few of one place or tenant at a time."""

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock

from amasia.reconcilers.shares import share, tenant

PATIENCE = 2.0
"""Seconds that a round waits for its hands; what takes longer goes on while the next rounds come."""


class Hands:
    """Threads that outlive a round. A place that does not answer keeps only its own share of them busy, and a tenant
    with many places only theirs.

    Parameters
    ----------
    each
        Items of one place that are worked on at the same time.
    """

    def __init__(self, threads: int = 64, each: int = 8) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="hand")
        self._threads, self._each = threads, each
        self._busy: dict[str, str] = {}
        self._lock = Lock()

    def run[T](self, items: Iterable[T], key: Callable[[T], tuple[str, str]], do: Callable[[T], None]) -> list[T]:
        """Do each item, by its id and its place; those for which no hand of their place was free are the answer.

        One that is worked on already is left to whoever does.

        What an item raised within the round's patience is raised here.
        """
        futures: list[Future[None]] = []
        left, keyed = [], [(item, *key(item)) for item in items]
        asking = {tenant(place) for _, _, place in keyed}
        for item, one, place in keyed:
            with self._lock:
                busy = one in self._busy
                full = not busy and self._full(place, asking)
                if not busy and not full:
                    self._busy[one] = place
            if full:
                left.append(item)
            elif not busy:
                futures.append(self._pool.submit(self._work, one, item, do))
        for future in wait(futures, PATIENCE).done:
            future.result()
        return left

    def _full(self, place: str, asking: set[str]) -> bool:
        """Whether a place, or the tenant whose it is, has its share of hands already."""
        places = Counter(self._busy.values())
        tenants: Counter[str] = Counter()
        for busy, count in places.items():
            tenants[tenant(busy)] += count
        most = share(self._threads, len(asking | tenants.keys()))
        return places[place] >= self._each or tenants[tenant(place)] >= most

    def close(self) -> None:
        """Wait for what is in hand."""
        self._pool.shutdown()

    def _work[T](self, one: str, item: T, do: Callable[[T], None]) -> None:
        try:
            do(item)
        finally:
            with self._lock:
                self._busy.pop(one)
