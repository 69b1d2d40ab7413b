"""Branches and tags of a repository, turns to append to them, and what each commit changed."""

from typing import Annotated

from fastapi import APIRouter, Query

from amasia.api.access import Db, Granted, granted
from amasia.api.waiting import until
from amasia.models.base import Page
from amasia.models.diffs import Diff
from amasia.models.grants import Level
from amasia.models.refs import Ref, RefRequest
from amasia.models.turns import Turn, TurnRequest
from amasia.services import diffs, refs, turns

router = APIRouter(prefix="/workspaces/{workspace}/repositories/{name}", tags=["repositories"])

Changer = Annotated[Granted, granted(Level.write, "ref.change")]
Appender = Annotated[Granted, granted(Level.write, "turn.take")]


@router.get("/refs", dependencies=[granted(Level.read, "ref.list", public=True)])
def find(db: Db, workspace: str, name: str) -> Page[Ref]:
    return Page(items=tuple(refs.find(db, workspace, name)))


@router.post("/refs", status_code=201)
def begin(db: Db, workspace: str, name: str, grant: Changer, body: RefRequest) -> RefRequest:
    """Told before the change; the store is changed by the asker, with the right to write that was lent."""
    return refs.begin(db, grant.who, workspace, name, body)


@router.put("/refs")
def finish(db: Db, workspace: str, name: str, grant: Changer, body: RefRequest) -> RefRequest:
    return refs.finish(db, grant.who, workspace, name, body)


@router.get("/commits/{snapshot}/changes", dependencies=[granted(Level.read, "commit.changes", public=True)])
def changes(db: Db, workspace: str, name: str, snapshot: str) -> Diff:
    return diffs.get(db, workspace, name, snapshot)


@router.post("/turns")
async def take(
    db: Db,
    workspace: str,
    name: str,
    grant: Appender,
    body: TurnRequest,
    wait: Annotated[float, Query(ge=0, le=60)] = 0,
) -> Turn:
    """The asker's turn; or, after waiting, that of whoever has it."""
    return await until(lambda: turns.take(db, grant.who, workspace, name, body), lambda found: found.mine, wait)


@router.put("/turns/{turn_id}", status_code=204)
def renew(db: Db, workspace: str, name: str, turn_id: str, grant: Appender) -> None:
    turns.renew(db, workspace, name, turn_id)


@router.delete("/turns/{turn_id}", status_code=204)
def end(db: Db, workspace: str, name: str, turn_id: str, grant: Appender) -> None:
    turns.end(db, workspace, name, turn_id)
