"""The one tree of errors. Only these reach a user; anything else is a bug with an id in the log.

    AmasiaError
    ├── InvalidRequest            what was asked cannot be meant; change the request
    │   ├── TooLarge              more memory, cpus or machines than any location here offers
    │   ├── ViewRefused           a view whose outputs cannot be bounded, or whose source no longer fits it
    │   └── DataRejected          a file or dataset that cannot be taken as it is
    │       ├── CorruptFile       unreadable or truncated
    │       ├── MixedGrids        one file, several grids
    │       └── DoesNotFit        dimensions, dtype, calendar or order differ from what is stored
    ├── NotSignedIn               no token, or one that is not known here
    │   └── TokenExpired          it was known, and its time is over
    ├── PermissionDenied          signed in, and not allowed
    ├── BudgetExceeded            the limit would be passed
    ├── NotFound                  there is none of that name, or none that you may see
    ├── Conflict                  it exists already, or somebody changed it in between
    │   ├── AlreadyRunning        another control plane holds this database
    │   └── AuditBroken           an event of the audit trail was changed, or is missing
    ├── TooOften                  asked too often, or wrong too often; wait
    ├── Unavailable               a server did not answer; nothing was changed
    │   ├── ControlPlaneDown      nothing answered at its address
    │   ├── NoCapacity            a location has no machine of this type just now; another may do
    │   ├── StoreDown             the object store did not answer
    │   └── StoreFull             no space left where the data goes
    ├── MachineLost               a machine or worker ended; says why
    ├── EnvironmentFailed         an environment could not be captured or built
    └── TimedOut                  it goes on; only the waiting ended

Errors cross the wire as ``{"kind", "message", "detail"}`` and are raised as the same class in the client.
A message says what was found and what was expected; ``cure`` says what to do next.
"""

from typing import Any, ClassVar


class AmasiaError(Exception):
    """Base of every error that a user may see.

    Parameters
    ----------
    message
        What was found and what was expected, naming the thing by its name.
    cure
        What to do next, as a sentence or a command. Shown after the message.
    detail
        Plain data (JSON types) for programs.
    """

    kind: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, cure: str = "", **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        return from_wire, (to_wire(self),)


class InvalidRequest(AmasiaError):
    kind, status, exit_code = "invalid-request", 422, 2


class TooLarge(InvalidRequest):
    kind = "too-large"


class ViewRefused(InvalidRequest):
    kind = "view-refused"


class DataRejected(InvalidRequest):
    kind = "data-rejected"
    exit_code = 1


class CorruptFile(DataRejected):
    kind = "corrupt-file"


class MixedGrids(DataRejected):
    kind = "mixed-grids"


class DoesNotFit(DataRejected):
    kind = "does-not-fit"


class NotSignedIn(AmasiaError):
    kind, status, exit_code = "not-signed-in", 401, 4


class TokenExpired(NotSignedIn):
    kind = "token-expired"


class PermissionDenied(AmasiaError):
    kind, status = "permission-denied", 403


class BudgetExceeded(AmasiaError):
    kind, status, exit_code = "budget-exceeded", 402, 5


class NotFound(AmasiaError):
    kind, status = "not-found", 404


class Conflict(AmasiaError):
    kind, status = "conflict", 409


class AlreadyRunning(Conflict):
    kind = "already-running"


class AuditBroken(Conflict):
    kind = "audit-broken"


class TooOften(AmasiaError):
    kind, status = "too-often", 429


class Unavailable(AmasiaError):
    kind, status = "unavailable", 503


class ControlPlaneDown(Unavailable):
    kind = "control-plane-down"


class NoCapacity(Unavailable):
    kind = "no-capacity"


class StoreDown(Unavailable):
    kind = "store-down"


class StoreFull(Unavailable):
    kind, status = "store-full", 507


class MachineLost(AmasiaError):
    kind = "machine-lost"


class EnvironmentFailed(AmasiaError):
    kind, status = "environment-failed", 422


class TimedOut(AmasiaError):
    kind, status, exit_code = "timed-out", 504, 124


def _tree(root: type[AmasiaError]) -> dict[str, type[AmasiaError]]:
    found = {root.kind: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


KINDS: dict[str, type[AmasiaError]] = _tree(AmasiaError)


def to_wire(error: AmasiaError) -> dict[str, Any]:
    """The error as plain data, ready for JSON."""
    return {"kind": error.kind, "message": error.message, "cure": error.cure, "detail": error.detail}


def from_wire(body: dict[str, Any]) -> AmasiaError:
    """The error that `to_wire` described; a kind that this version does not know becomes `AmasiaError`."""
    cls = KINDS.get(body.get("kind", ""), AmasiaError)
    error = cls(body.get("message", "unknown error"), cure=body.get("cure", ""))
    error.detail = dict(body.get("detail") or {})
    return error
