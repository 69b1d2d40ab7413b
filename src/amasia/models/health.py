"""Whether a control plane is well."""

from amasia.models.base import Model, Time
from amasia.models.limits import Allowance, Limits

SLOW = 60.0
"""Seconds without a round after which a loop counts as stuck, or ten times its pace where that is more."""


class Health(Model):
    ok: bool
    version: str
    database: str
    """Name of its dialect."""
    store: str = ""
    """Endpoint of the embedded object store; empty where it does not answer."""
    reconcilers: dict[str, float] = {}
    """Seconds since each loop last went round."""


class Round(Model):
    """One loop of the reconcilers."""

    name: str
    seconds: float
    """Between two rounds, where nothing calls sooner."""
    age: float
    """Seconds since the last round ended."""
    failures: int = 0
    """Rounds in a row that failed."""
    problem: str = ""
    """What kind of error the last failure was; its words are in the log, since they may tell of data."""

    @property
    def ok(self) -> bool:
        return not self.failures and self.age < max(SLOW, 10 * self.seconds)


class FailedLocation(Model):
    """A location that cannot be used as it is. Its findings are for its workspace."""

    workspace: str
    name: str
    provider: str
    checked_at: Time | None = None


class Behind(Model):
    """How many events a place outside has not got yet."""

    sink: str
    events: int


class ServiceHealth(Model):
    """What an operator sees of a control plane: how it is, and how much there is of what; nothing of what is in it."""

    ok: bool
    """Every loop goes round, and the store answers."""
    version: str
    database: str
    database_ms: float
    """Milliseconds until it lets somebody write."""
    store: str = ""
    users: int
    limits: Limits
    """Of every workspace that has none of its own."""
    rounds: tuple[Round, ...] = ()
    workspaces: tuple[Allowance, ...] = ()
    failed_locations: tuple[FailedLocation, ...] = ()
    behind: tuple[Behind, ...] = ()
