"""What repositories take up, and its charges: integer micro-units, append-only, and never past the budget."""

from datetime import datetime
from fractions import Fraction

from sqlalchemy import Connection

from amasia import errors
from amasia.database import storage as rows
from amasia.database import users
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.calendars import today
from amasia.models.money import milliseconds
from amasia.models.repositories import Commit, Repository
from amasia.models.storage import SnapshotStorage, Storage, StorageBill, StorageCharge, StorageLine, owed
from amasia.services.ledgers import Ledger, Move, Spender
from amasia.services.repositories import known


def get(db: Database, workspace: str, name: str) -> Storage:
    with db.read() as tx:
        repository = known(tx, workspace, name)
        found = rows.find(tx, repository.id)
    if found is None:
        raise errors.NotFound(f"{repository.full_name} was not measured yet.", cure="It is within some minutes.")
    return found


def bill(db: Database, workspace: str, name: str, limit: int) -> StorageBill:
    """By snapshot: what each added, and its share of every charge for the time since it was there."""
    with db.read() as tx:
        repository = known(tx, workspace, name)
        found = users.get_workspace(tx, workspace)
        measured, sizes = rows.find(tx, repository.id), rows.sizes(tx, repository.id)
        charged = rows.charged(tx, repository.id)
    counted = sum(one.nbytes for one in sizes if measured and one.at <= measured.measured_at)
    rest = max(0, measured.nbytes - counted) if measured else 0
    amount = sum(cost for _, _, cost in charged)
    shared = _shares(sizes, charged)
    shown, older = shared[:limit], shared[limit:]
    return StorageBill(
        repository=repository.full_name,
        currency=found.currency,
        nbytes=rest + sum(one.nbytes for one in sizes),
        amount=amount,
        measured_at=measured.measured_at if measured else None,
        snapshots=tuple(shown),
        older=StorageLine(key="older snapshots", nbytes=sum(one.nbytes for one in older),
                          amount=sum(one.amount for one in older)),
        rest=StorageLine(key="rest", nbytes=rest, amount=amount - sum(one.amount for one in shared)),
    )  # fmt: skip


def _shares(sizes: list[SnapshotStorage], charged: list[tuple[datetime, int, int]]) -> list[SnapshotStorage]:
    """With the cost of each, newest first as both lists are; together never more than was charged."""
    shared, per_byte, left, following = [], Fraction(0), sum(cost for _, _, cost in charged), iter([*charged, None])
    charge = next(following)
    for one in sizes:
        while charge is not None and charge[0] >= one.at:
            per_byte += Fraction(charge[2], charge[1])
            charge = next(following)
        amount = min(int(one.nbytes * per_byte), left)
        left -= amount
        shared.append(one.model_copy(update={"amount": amount}))
    return shared


def unsized(db: Database, limit: int) -> list[tuple[str, Commit]]:
    """Commits of which nobody found out what they added, with the ids of their repositories."""
    with db.read() as tx:
        return rows.unsized(tx, limit)


def sized(db: Database, repository_id: str, snapshot: str, nbytes: int | None, chunks_nbytes: int | None) -> None:
    """What a snapshot added; None where it cannot be told."""
    with db.write() as tx:
        rows.put_size(tx, repository_id, snapshot, nbytes, chunks_nbytes)


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
        day = _spend(tx, repository.workspace, amount, end) if amount else ""
        if day is None:
            rows.put(tx, repository.id, measured_at=end)
            return False
        if amount:
            item = StorageCharge(id=0, workspace=repository.workspace, repository_id=repository.id,
                                 repository=repository.name, start=start, end=end, nbytes=before["nbytes"],
                                 amount=amount)  # fmt: skip
            rows.charge(tx, item, day)
        rows.put(tx, repository.id, **sizes, charged_until=end, rest=rest)
    return True


def _spend(tx: Connection, workspace: str, amount: int, at: datetime) -> str | None:
    """The day of its end, on which it is spent however long it was, as it is measured every few minutes.

    None where a budget does not agree.
    """
    ledger = Ledger(tx, workspace)
    day = today(at, ledger.zone)
    short = ledger.post({key: Move(spent=amount) for key in ledger.keys(Spender(), day)})
    return None if short else day.isoformat()
