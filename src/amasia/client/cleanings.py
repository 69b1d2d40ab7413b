"""Keep repositories small: forget old snapshots, and see what is taken up."""

from amasia import errors
from amasia.client.inputs import request
from amasia.client.repositories import path
from amasia.client.transport import connect
from amasia.models.base import split_repository
from amasia.models.storage import Cleaning, CleaningRequest, CleaningStatus, Storage, StorageBill

WAIT = 60


def create(name: str, older_than: int, *, dry_run: bool = False) -> Cleaning:
    """Forget snapshots, and wait until that is done; their objects go 20 hours later, by themselves.

    Parameters
    ----------
    name
        ``workspace/repository``.
    older_than
        Seconds. What a branch showed at any moment since then stays; tags, branches and views keep theirs.
    dry_run
        Only tell what would go.

    Raises
    ------
    TimedOut
        It goes on; `get` tells.
    """
    where = f"{path(*split_repository(name))}/cleanings"
    body = request(CleaningRequest, older_than=older_than, dry_run=dry_run)
    asked = connect().post(where, body, Cleaning)
    found = connect().get(f"{where}/{asked.id}", Cleaning, wait=WAIT)
    if found.status is CleaningStatus.requested:
        raise errors.TimedOut(
            f"The cleaning {asked.id} of {name} has not begun after {WAIT} s.", cure="Does the object store run?"
        )
    return found


def find(name: str) -> list[Cleaning]:
    """Cleanings of a repository, newest first."""
    return list(connect().items(f"{path(*split_repository(name))}/cleanings", Cleaning))


def storage(name: str) -> Storage:
    """What a repository takes up, as it was measured last: about once an hour."""
    return connect().get(f"{path(*split_repository(name))}/storage", Storage)


def bill(name: str, limit: int = 100) -> StorageBill:
    """What a repository takes up and has cost, by snapshot.

    Parameters
    ----------
    name
        ``workspace/repository``.
    limit
        How many snapshots are listed, the newest first; older ones are summed. At most 1000.

    Returns
    -------
    StorageBill
        Bytes, and micro-units of ``currency``. Snapshots, older and rest sum to the whole.
    """
    return connect().get(f"{path(*split_repository(name))}/storage/snapshots", StorageBill, limit=limit)
