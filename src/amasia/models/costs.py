"""What was spent, cut in the ways people ask for."""

from datetime import date
from enum import StrEnum

from amasia.models.base import Model, Name
from amasia.models.storage import StorageLine

MOST = 100
"""Lines of each cut of the whole bill; the rest is one more. Every line is in the pages of the cut itself."""


class Cut(StrEnum):
    """What the lines of a bill are told apart by."""

    user = "user"
    group = "group"
    cluster = "cluster"
    view = "view"
    repository = "repository"
    tag = "tag"
    location = "location"
    machine_type = "machine-type"
    day = "day"
    storage = "storage"
    egress = "egress"


class CostLine(Model):
    key: str
    """Of a worker group: ``cluster/group``. In parentheses what has no name: ``(no commit)``, ``(others)``."""
    milliseconds: int
    """Of machines; 0 for storage and egress."""
    amount: int
    reserved: int = 0
    """Promised to what runs now, and not spent: what is not used comes back."""


class Span(Model):
    """Whole days of the workspace's calendar, both included; None for no end there."""

    since: date | None = None
    until: date | None = None

    def holds(self, day: date) -> bool:
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


class Costs(Model):
    """What was spent, cut in the ways people ask for.

    Each list of machine time but those of groups and tags sums to ``amount``: a machine with two tags, or of somebody
    in two groups, is in two lines. Somebody who does not manage the workspace sees what is their own.
    """

    workspace: Name
    currency: str
    milliseconds: int
    amount: int
    reserved: int
    limit: int
    """Of the workspace's budget for all that it ever costs."""
    user: str = ""
    """Whose costs these are; empty for the whole workspace's."""
    since: date | None = None
    until: date | None = None
    by_user: tuple[CostLine, ...] = ()
    by_group: tuple[CostLine, ...] = ()
    """Of members; who is in none is in no line."""
    by_cluster: tuple[CostLine, ...] = ()
    """The newest first; ``warm`` is what was kept warm for nobody yet."""
    by_view: tuple[CostLine, ...] = ()
    """Of the clusters that refreshed views; ``(no view)`` is the rest."""
    by_repository: tuple[CostLine, ...] = ()
    """Cost of the clusters up to each commit, by the repository committed to, of those that one may
    see; ``(no commit)`` is the rest."""
    by_tag: tuple[CostLine, ...] = ()
    """``key=value``; ``(no tag)`` is what has none."""
    by_location: tuple[CostLine, ...] = ()
    by_machine_type: tuple[CostLine, ...] = ()
    by_day: tuple[CostLine, ...] = ()
    """The last days of the span, oldest first; with storage and egress in no line."""
    storage: tuple[StorageLine, ...] = ()
    """What repositories take up, and what that has cost."""
    storage_amount: int = 0
    """Their sum. It is spent besides ``amount``."""
    egress: tuple[CostLine, ...] = ()
    """What clouds' bills say of data that left, as far as they were taken: ``cluster work``, ``repository data``, or
    ``bucket lab`` where several repositories share one."""
    egress_amount: int = 0
    """Their sum. It is spent besides ``amount``, too."""


def bounded(lines: list[CostLine], most: int = MOST) -> tuple[CostLine, ...]:
    """The first so many, and one line for the others, so that the sum stays."""
    if len(lines) <= most:
        return tuple(lines)
    rest = lines[most:]
    others = CostLine(
        key="(others)",
        milliseconds=sum(line.milliseconds for line in rest),
        amount=sum(line.amount for line in rest),
        reserved=sum(line.reserved for line in rest),
    )
    return (*lines[:most], others)


def machine_time(milliseconds: int) -> str:
    """Machine time as ``12.3 s``, ``4 min 05 s`` or ``2 h 10 min``."""
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
