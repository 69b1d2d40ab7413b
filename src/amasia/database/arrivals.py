"""Named queries on arrivals."""

from sqlalchemy import Connection, Select, select

from amasia.database.rows import add, change, every, one
from amasia.database.tables import arrivals, repositories
from amasia.models.arrivals import Arrival, Outcome
from amasia.models.base import now


def _of(repository_id: str) -> Select[tuple[object, ...]]:
    name = (repositories.c.workspace + "/" + repositories.c.name).label("repository")
    query = select(arrivals, name).join(repositories, repositories.c.id == arrivals.c.repository_id)
    return query.where(arrivals.c.repository_id == repository_id)


def create(tx: Connection, repository_id: str, url: str, by: str) -> None:
    add(tx, arrivals, repository_id=repository_id, url=url, by=by, at=now(), outcome=Outcome.waiting, reason="")


def waiting(tx: Connection, repository_id: str) -> set[str]:
    """URLs that nobody took yet."""
    query = select(arrivals.c.url).where(
        arrivals.c.repository_id == repository_id, arrivals.c.outcome == Outcome.waiting.value
    )
    return set(tx.execute(query).scalars())


def find(tx: Connection, repository_id: str, outcome: Outcome | None, after: int, limit: int) -> list[Arrival]:
    """The oldest first."""
    query = _of(repository_id).where(arrivals.c.id > after)
    if outcome is not None:
        query = query.where(arrivals.c.outcome == outcome.value)
    return every(tx, query.order_by(arrivals.c.id).limit(limit), Arrival)


def get(tx: Connection, repository_id: str, arrival_id: int) -> Arrival | None:
    return one(tx, _of(repository_id).where(arrivals.c.id == arrival_id), Arrival)


def settle(tx: Connection, arrival_id: int, outcome: Outcome, reason: str) -> None:
    change(tx, arrivals, arrivals.c.id == arrival_id, outcome=outcome, reason=reason)
