"""What repositories take up, and its charges: integer micro-units, append-only, and never past the budget."""

from datetime import datetime

from amasia import errors
from amasia.database import budgets
from amasia.database import storage as rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.money import milliseconds
from amasia.models.repositories import Repository
from amasia.models.storage import Storage, StorageCharge, owed
from amasia.services.repositories import known


def get(db: Database, workspace: str, name: str) -> Storage:
    with db.read() as tx:
        repository = known(tx, workspace, name)
        found = rows.find(tx, repository.id)
    if found is None:
        raise errors.NotFound(f"{repository.full_name} was not measured yet.", cure="It is within some minutes.")
    return found


def due(db: Database, before: datetime, limit: int) -> list[Repository]:
    with db.read() as tx:
        return rows.due(tx, before, limit)


def charges(db: Database, workspace: str, after: int, limit: int = 500) -> list[StorageCharge]:
    with db.read() as tx:
        return rows.charges(tx, workspace, after, limit)


def measured(
    db: Database, repository: Repository, price: int, nbytes: int, objects: int, chunks: int, at: datetime | None = None
) -> bool:
    """Charge what it took up until now and write down what it takes up from now on.

    False where the budget has no room: then the time is charged by a later measurement, when the budget was raised.
    """
    end = at or now()
    with db.write() as tx:
        before = rows.account(tx, repository.id)
        sizes = {"nbytes": nbytes, "objects": objects, "chunks_nbytes": chunks, "measured_at": end}
        if before is None:
            rows.put(tx, repository.id, **sizes, charged_until=end, rest=0)
            return True
        start = before["charged_until"]
        amount, rest = owed(before["nbytes"], milliseconds(start, end), price, before["rest"])
        if amount and not budgets.move(tx, repository.workspace, spent=amount):
            rows.put(tx, repository.id, measured_at=end)
            return False
        if amount:
            item = StorageCharge(id=0, workspace=repository.workspace, repository_id=repository.id,
                                 repository=repository.name, start=start, end=end, nbytes=before["nbytes"],
                                 amount=amount)  # fmt: skip
            rows.charge(tx, item)
        rows.put(tx, repository.id, **sizes, charged_until=end, rest=rest)
    return True
