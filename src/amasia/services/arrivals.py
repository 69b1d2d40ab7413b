"""Arrivals: said, looked up, settled. What takes the files is a client; arrays never come here."""

from amasia import errors
from amasia.database import arrivals as rows
from amasia.database import events
from amasia.database.engine import Database
from amasia.models.arrivals import Arrival, ArrivalDone, ArrivalRequest, Outcome
from amasia.models.repositories import Repository
from amasia.models.users import Principal

MOST = 10_000
"""That may wait for one repository."""


def create(db: Database, who: Principal, repository: Repository, request: ArrivalRequest) -> list[Arrival]:
    """Write down that files landed; one that waits already is not written twice.

    Raises
    ------
    Conflict
        Too many wait: nobody watches.
    """
    wanted = dict.fromkeys(request.urls)
    with db.write() as tx:
        waiting = rows.waiting(tx, repository.id)
        fresh = [url for url in wanted if url not in waiting]
        if len(waiting) + len(fresh) > MOST:
            raise errors.Conflict(
                f"{len(waiting)} arrivals wait for {repository.full_name} already.",
                cure=f"Is it watched? amasia repo ingest {repository.full_name} --watch --events",
            )
        for url in fresh:
            rows.create(tx, repository.id, url, who.user)
        events.append(tx, actor=who.actor, verb="arrival.create", target=repository.full_name,
                      workspace=repository.workspace, source=who.source, count=len(fresh))  # fmt: skip
        found = rows.find(tx, repository.id, Outcome.waiting, 0, MOST)
    return [one for one in found if one.url in wanted]


def find(db: Database, repository: Repository, outcome: Outcome | None, after: int, limit: int) -> list[Arrival]:
    """Arrivals, the oldest first."""
    with db.read() as tx:
        return rows.find(tx, repository.id, outcome, after, limit)


def settle(db: Database, who: Principal, repository: Repository, arrival_id: int, done: ArrivalDone) -> Arrival:
    """Say what became of one; saying the same again changes nothing.

    Raises
    ------
    NotFound
    """
    with db.write() as tx:
        found = rows.get(tx, repository.id, arrival_id)
        if found is None:
            raise errors.NotFound(f"There is no arrival {arrival_id} of {repository.full_name}.")
        if found.outcome is Outcome.waiting:
            rows.settle(tx, arrival_id, done.outcome, done.reason)
            events.append(tx, actor=who.actor, verb="arrival.settle", target=repository.full_name,
                          workspace=repository.workspace, source=who.source, became=done.outcome.value)  # fmt: skip
        return found.model_copy(update={"outcome": done.outcome, "reason": done.reason})
