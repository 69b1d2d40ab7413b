"""What repositories take up, what that costs, and what was cleaned away."""

from enum import StrEnum

from pydantic import Field

from amasia.models.base import Model, Name, Time
from amasia.models.sizes import GIB

MONTH_MS = 730 * 3_600_000
"""A month of 730 hours, as clouds count it."""


class Storage(Model):
    """The objects of one repository, as they were counted last."""

    repository: str
    nbytes: int
    """All its objects, of every snapshot; also those that nothing needs any more."""
    objects: int
    chunks_nbytes: int
    """Only of chunks that a branch or tag can still reach."""
    measured_at: Time


class StorageCharge(Model):
    """Append-only: one stretch of a repository's life in its bucket."""

    id: int
    workspace: Name
    repository_id: str
    repository: str
    start: Time
    end: Time
    nbytes: int
    amount: int


class StorageLine(Model):
    key: str
    nbytes: int
    """When it was measured; 0 for what was deleted."""
    amount: int
    measured_at: Time | None = None
    """When all its objects were counted last; None where no one time is meant."""


class SnapshotStorage(Model):
    """What one snapshot added to its repository, and what keeping that has cost since."""

    snapshot: str
    message: str
    at: Time
    nbytes: int
    chunks_nbytes: int
    amount: int


class StorageBill(Model):
    """What a repository takes up and has cost, by snapshot. Snapshots, older and rest sum to the whole."""

    repository: str
    currency: str
    nbytes: int
    amount: int
    measured_at: Time | None
    """When all its objects were counted last; what newer snapshots added is counted besides. None for not yet."""
    snapshots: tuple[SnapshotStorage, ...] = ()
    """The newest, of all branches."""
    older: StorageLine
    rest: StorageLine
    """The list of refs and its old copies, snapshots that were forgotten, and what nothing needs any more."""


class CleaningStatus(StrEnum):
    requested = "requested"
    expired = "expired"
    """Old snapshots are forgotten; their objects go 20 hours later, when nobody can be reading them any more."""
    done = "done"
    failed = "failed"


class CleaningRequest(Model):
    """Expire snapshots and collect what nothing needs any more."""

    older_than: int = Field(ge=0, le=100 * 365 * 86400)
    """Seconds. Older snapshots in a branch's past are forgotten, where no branch, tag or view holds them."""
    dry_run: bool = False


class Cleaned(Model):
    """What a cleaning did, or would do."""

    snapshots: tuple[str, ...] = ()
    """Expired: no longer in any history."""
    kept: tuple[str, ...] = ()
    """Old enough, and kept for a branch, tag, view or writer."""
    objects: int = 0
    nbytes: int = 0
    overwritten: int = 0
    """Of the objects: old copies of the list of refs."""
    failed: int = 0
    """Objects that the store did not delete; the next cleaning tries again."""


class Cleaning(Model):
    id: str
    repository: str
    older_than: int
    dry_run: bool
    status: CleaningStatus
    reason: str = ""
    requested_by: Name
    requested_at: Time
    finished_at: Time | None = None
    """When its last step was done."""
    result: Cleaned | None = None


def owed(nbytes: int, milliseconds: int, price: int, rest: int) -> tuple[int, int]:
    """(micro-units, rest) at a price per GiB and month; the rest goes into the next one."""
    return divmod(nbytes * milliseconds * price + rest, GIB * MONTH_MS)
