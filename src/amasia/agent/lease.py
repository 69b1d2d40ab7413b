"""Time that a machine was paid for. It is over before the lease is."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

from amasia import files
from amasia.models.base import now

MARGIN = 8.0
"""Seconds before its end at which a long lease begins to end the machine."""


class Lease:
    """Begins to end its machine a margin early: 8 s, or a quarter of a short lease.

    The time that is left is counted by the wall clock and by one that nobody sets; the shorter one holds.
    """

    def __init__(self, until: datetime) -> None:
        self._begin(until)

    def renew(self, until: datetime) -> None:
        """Take down a new end; the same one again gives no more time, whatever the clock was set to."""
        if until != self.until:
            self._begin(until)

    def ends(self) -> bool:
        """Whether it is time to end politely."""
        return self._left() <= self.margin

    def seconds_to_kill(self) -> float:
        """How long a polite end may take: the rest of the margin is for the kill and its clean-up."""
        return max(0.0, self._left() - self.margin / 2)

    def write(self, path: Path) -> None:
        """Tell whoever watches over the agent; whole or not at all."""
        files.write(path, f"{int(uptime() + self._left())}\n")

    def _begin(self, until: datetime) -> None:
        self.until = until
        left = (until - now()).total_seconds()
        self._over = monotonic() + left
        self.margin = min(MARGIN, max(0.0, left) / 4)

    def _left(self) -> float:
        return min((self.until - now()).total_seconds(), self._over - monotonic())


def uptime() -> float:
    """Seconds since the computer booted, also those that it slept."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def told(path: Path) -> datetime | None:
    """The end of the lease as the boot script counts it: a machine may have waited for its beginning."""
    try:
        return now() + timedelta(seconds=int(path.read_text()) - uptime())
    except (OSError, ValueError):
        return None
