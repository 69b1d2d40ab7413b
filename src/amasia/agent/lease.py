"""Time that a machine was paid for. It is over before the lease is."""

from datetime import datetime, timedelta

from amasia.models.base import now

MARGIN = 8.0
"""Seconds before its end at which a long lease begins to end the machine."""


class Lease:
    """Begins to end its machine a margin early: 8 s, or a quarter of a short lease."""

    def __init__(self, until: datetime) -> None:
        self.renew(until)

    def renew(self, until: datetime) -> None:
        self.until = until
        self.margin = min(MARGIN, max(0.0, (until - now()).total_seconds()) / 4)

    def ends(self) -> bool:
        """Whether it is time to end politely."""
        return now() >= self.until - timedelta(seconds=self.margin)

    def seconds_to_kill(self) -> float:
        """How long a polite end may take: the rest of the margin is for the kill and its clean-up."""
        return max(0.0, (self.until - now()).total_seconds() - self.margin / 2)
