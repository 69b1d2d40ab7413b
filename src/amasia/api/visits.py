"""How often somebody without an account may ask: counted by address, in memory, a minute at a time."""

import threading
import time
from collections import OrderedDict

from fastapi import Request

from amasia import errors
from amasia.models.users import Principal

_MOST = 10_000
"""Addresses remembered; the one that was quiet for longest is forgotten first."""


class Visits:
    """Requests of the running minute by address."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def add(self, source: str) -> int:
        """How many there were in this minute, this one too."""
        minute = int(time.monotonic() // 60)
        with self._lock:
            began, count = self._counts.pop(source, (minute, 0))
            count = count + 1 if began == minute else 1
            self._counts[source] = (minute, count)
            if len(self._counts) > _MOST:
                self._counts.popitem(last=False)
        return count


def count(request: Request, who: Principal) -> None:
    """Refuse somebody without an account who asks too often; people with one are not counted."""
    if not who.anonymous:
        return
    visits: Visits = request.app.state.visits
    if visits.add(who.source) > visits.per_minute:
        raise errors.TooOften(
            f"More than {visits.per_minute} requests in a minute came from {who.source} without an account.",
            cure="Wait a minute, or sign in with `amasia login`.",
        )
