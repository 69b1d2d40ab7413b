"""Turns: appends to one branch, one after the other. A turn ends by itself, so a dead holder blocks nobody for long."""

from datetime import timedelta

from amasia import errors
from amasia.database import turns as rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.turns import SECONDS, Turn, TurnRequest
from amasia.models.users import Principal
from amasia.services.repositories import known


def take(db: Database, who: Principal, workspace: str, name: str, request: TurnRequest) -> Turn:
    """The asker's turn, or that of whoever has it now."""
    with db.read() as tx:
        repository = known(tx, workspace, name)
        found = rows.find(tx, repository.id, request.branch)
    if found is not None and found.until > now():
        return found
    with db.write() as tx:
        found = rows.find(tx, repository.id, request.branch)
        if found is not None and found.until > now():
            return found
        until = now() + timedelta(seconds=SECONDS)
        mine = Turn(id=new_id("tu"), branch=request.branch, user=who.user, until=until)
        rows.take(tx, repository.id, mine)
    return mine.model_copy(update={"mine": True})


def renew(db: Database, workspace: str, name: str, turn_id: str) -> None:
    """Another stretch of time. A turn that somebody else took meanwhile is lost."""
    with db.write() as tx:
        repository = known(tx, workspace, name)
        if not rows.renew(tx, repository.id, turn_id, now() + timedelta(seconds=SECONDS)):
            raise errors.Conflict(f"The turn {turn_id!r} in {repository.full_name} is over.", cure="Begin again.")


def end(db: Database, workspace: str, name: str, turn_id: str) -> None:
    with db.write() as tx:
        rows.end(tx, known(tx, workspace, name).id, turn_id)
