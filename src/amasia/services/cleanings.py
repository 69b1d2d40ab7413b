"""Cleanings: old snapshots expired and what nothing needs collected; and the objects of deleted repositories."""

from datetime import datetime, timedelta

from amasia import errors
from amasia.database import cleanings as rows
from amasia.database import events
from amasia.database import refs as ref_rows
from amasia.database import repositories as repository_rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.repositories import Repository
from amasia.models.storage import Cleaned, Cleaning, CleaningRequest, CleaningStatus
from amasia.models.users import Principal
from amasia.services import views
from amasia.services.repositories import known


def create(db: Database, who: Principal, workspace: str, name: str, request: CleaningRequest) -> Cleaning:
    """Write the wish; `amasia.reconcilers.cleanings` makes it true."""
    with db.write() as tx:
        repository = known(tx, workspace, name)
        cleaning = Cleaning(
            id=new_id("gc"),
            repository=repository.full_name,
            older_than=request.older_than,
            dry_run=request.dry_run,
            status=CleaningStatus.requested,
            requested_by=who.user,
            requested_at=now(),
        )
        rows.create(tx, repository.id, cleaning)
        events.append(tx, actor=who.actor, verb="repository.expire", target=repository.full_name, workspace=workspace,
                      source=who.source, cleaning=cleaning.id, older_than=request.older_than,
                      dry_run=request.dry_run)  # fmt: skip
    return cleaning


def find(db: Database, workspace: str, name: str) -> list[Cleaning]:
    with db.read() as tx:
        return rows.find(tx, known(tx, workspace, name).id)


def get(db: Database, workspace: str, name: str, cleaning_id: str) -> Cleaning:
    with db.read() as tx:
        repository = known(tx, workspace, name)
        found = rows.get(tx, repository.id, cleaning_id)
    if found is None:
        raise errors.NotFound(f"{repository.full_name} has no cleaning {cleaning_id!r}.")
    return found


def needed(db: Database, repository: Repository) -> set[str]:
    """Snapshots that views still need, see `views.held_snapshots`."""
    with db.read() as tx:
        return views.held_snapshots(tx, repository.id)


def due(db: Database, session: timedelta) -> list[Cleaning]:
    with db.read() as tx:
        return rows.due(tx, now() - session)


def plan(db: Database, cleaning: Cleaning, result: Cleaned) -> None:
    """What a step is about to forget, in case that it does not live to tell."""
    with db.write() as tx:
        rows.update(tx, cleaning.id, result=result)


def advance(db: Database, cleaning: Cleaning, status: CleaningStatus, result: Cleaned, reason: str = "") -> None:
    """A step of it is done; what expired leaves the index."""
    workspace, name = cleaning.repository.split("/")
    with db.write() as tx:
        repository = known(tx, workspace, name)
        rows.update(tx, cleaning.id, status=status, result=result, reason=reason, finished_at=now())
        if not cleaning.dry_run and status is CleaningStatus.expired:
            ref_rows.forget(tx, repository.id, result.snapshots)
            repository_rows.update(tx, repository.id, stale_since=now())
        events.append(tx, actor="amasia", verb=f"cleaning.{status.value}", target=cleaning.repository,
                      workspace=workspace, cleaning=cleaning.id, objects=result.objects, bytes=result.nbytes,
                      snapshots=len(result.snapshots), reason=reason)  # fmt: skip


def postpone(db: Database, cleaning: Cleaning, session: timedelta) -> None:
    """Somebody may still be reading what was expired or reset: look again in ten minutes."""
    with db.write() as tx:
        rows.update(tx, cleaning.id, finished_at=now() - session + timedelta(minutes=10))


def rejoin(db: Database, repository: Repository, parents: list[tuple[str, str]]) -> None:
    """Expiry has given snapshots new parents; (snapshot, parent)."""
    with db.write() as tx:
        ref_rows.set_parents(tx, repository.id, parents)


def buried(db: Database, before: datetime) -> list[Repository]:
    with db.read() as tx:
        return rows.buried(tx, before)


def removed(db: Database, repository: Repository, objects: int, nbytes: int) -> None:
    """The last objects of a deleted repository are gone."""
    with db.write() as tx:
        rows.forget(tx, repository.id)
        events.append(tx, actor="amasia", verb="repository.remove", target=repository.full_name,
                      workspace=repository.workspace, id=repository.id, objects=objects, bytes=nbytes)  # fmt: skip
