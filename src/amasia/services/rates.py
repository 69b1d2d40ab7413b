"""How many requests a second a workspace may make, so that the others are answered too: buckets of tokens, in memory.

Who pays is the workspace, where a member asks about it, and else the user: nobody uses up what a workspace has from
outside it. Several control planes each count by themselves.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from amasia import errors
from amasia.models.base import NAME

BURST = 10
"""Seconds' worth of requests that may come at once."""
SHUT = 0.5
"""Seconds that a token which was refused is refused without a look at the database."""
KNOWN = 10.0
"""Seconds that a limit, and who is a member, is remembered."""
_MOST = 10_000
"""Of each that are remembered; the one that was quiet for longest is forgotten first."""


class Recent[Key, Value]:
    """The last ones, and no more than so many."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        return self._kept.get(key)

    def put(self, key: Key, value: Value) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)


class Rates:
    """What is left to whom.

    Parameters
    ----------
    limit
        Requests a second of a workspace, 0 for no limit; of the empty one those of a user by themselves.
    is_member
        Whether a workspace has this user.
    clock
        Seconds that only go on.
    """

    def __init__(
        self,
        limit: Callable[[str], int],
        is_member: Callable[[str, str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._is_member, self._clock = limit, is_member, clock
        self._lock = threading.Lock()
        self._buckets: Recent[str, tuple[float, float]] = Recent()
        self._limits: Recent[str, tuple[int, float]] = Recent()
        self._members: Recent[tuple[str, str], tuple[bool, float]] = Recent()
        self._shut: Recent[bytes, float] = Recent()

    def take(self, user: str, workspace: str) -> tuple[str, int, float]:
        """Who pays, how many they may ask a second, and the seconds that they have to wait: 0 where they may."""
        pays = workspace if workspace and self._belongs(user, workspace) else ""
        limit = self._allowed(pays)
        if not limit:
            return pays, limit, 0.0
        with self._lock:
            at, most = self._clock(), limit * BURST
            name = f"workspace {pays}" if pays else f"user {user}"
            left, before = self._buckets.get(name) or (float(most), at)
            left = min(most, left + (at - before) * limit)
            self._buckets.put(name, (max(0.0, left - 1) if left >= 1 else left, at))
        return pays, limit, 0.0 if left >= 1 else (1 - left) / limit

    def check(self, user: str, workspace: str) -> None:
        """Count one request.

        Raises
        ------
        TooOften
            With the seconds to wait.
        """
        pays, limit, wait = self.take(user, workspace)
        if wait:
            raise errors.TooOften(
                f"More than {limit} requests a second came from {f'the workspace {pays!r}' if pays else user}.",
                cure="Ask less often; Amasia's own client waits by itself. An operator can raise it: amasia limit set.",
                retry_after=math.ceil(wait),
            )

    def shut(self, key: bytes) -> None:
        """Whoever has this key was refused, and is for a moment."""
        with self._lock:
            self._shut.put(key, self._clock() + SHUT)

    def is_shut(self, key: bytes) -> bool:
        until = self._shut.get(key)
        return until is not None and until > self._clock()

    def _allowed(self, workspace: str) -> int:
        found = self._limits.get(workspace)
        if found is None or found[1] < self._clock():
            found = (self._limit(workspace), self._clock() + KNOWN)
            with self._lock:
                self._limits.put(workspace, found)
        return found[0]

    def _belongs(self, user: str, workspace: str) -> bool:
        if not NAME.fullmatch(workspace):
            return False  # and is not remembered: what somebody writes into an address may be of any length
        found = self._members.get((user, workspace))
        if found is None or found[1] < self._clock():
            found = (self._is_member(user, workspace), self._clock() + KNOWN)
            with self._lock:
                self._members.put((user, workspace), found)
        return found[0]
