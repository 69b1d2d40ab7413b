"""The audit trail of a workspace, and that of the control plane itself."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from amasia.api.access import Db, Grant, may, operator
from amasia.models.base import Cursor, Page, Time
from amasia.models.events import Event, EventFilter, Head, Outcome
from amasia.models.permissions import Permission
from amasia.services import events

router = APIRouter(tags=["audit"])

PAGE = 500
Text = Annotated[str | None, Query(max_length=500)]


async def wanted(
    actor: Text = None,
    verb: Text = None,
    target: Text = None,
    outcome: Outcome | None = None,
    since: Time | None = None,
    until: Time | None = None,
) -> EventFilter:
    return EventFilter(actor=actor, verb=verb, target=target, outcome=outcome, since=since, until=until)


Wanted = Annotated[EventFilter, Depends(wanted)]


@router.get("/workspaces/{workspace}/events")
def find(
    db: Db,
    workspace: str,
    grant: Annotated[Grant, may(Permission.trail, "event.list")],
    wanted: Wanted,
    after: Cursor | None = None,
) -> Page[Event]:
    """All of them for whoever may audit, for others what they did themselves."""
    return _page(events.seen(db, grant.who, grant.role, workspace, after, PAGE, wanted))


@router.get("/workspaces/{workspace}/events/chain", dependencies=[may(Permission.audit, "event.list")])
def follow(db: Db, workspace: str, after: Cursor = 0) -> Page[Event]:
    return _chain(events.follow(db, workspace, after, PAGE))


@router.get("/workspaces/{workspace}/events/head", dependencies=[may(Permission.audit, "event.list")])
def head(db: Db, workspace: str) -> Head:
    return events.head(db, workspace)


@router.get("/events", dependencies=[operator("event.list")])
def find_own(db: Db, wanted: Wanted, after: Cursor | None = None) -> Page[Event]:
    return _page(events.find(db, None, after, PAGE, wanted))


@router.get("/events/chain", dependencies=[operator("event.list")])
def follow_own(db: Db, after: Cursor = 0) -> Page[Event]:
    return _chain(events.follow(db, None, after, PAGE))


@router.get("/events/head", dependencies=[operator("event.list")])
def head_own(db: Db) -> Head:
    return events.head(db, None)


def _page(items: list[Event]) -> Page[Event]:
    return Page(items=tuple(items), next=str(items[-1].id) if len(items) == PAGE else "")


def _chain(items: list[Event]) -> Page[Event]:
    return Page(items=tuple(items), next=str(items[-1].seq) if len(items) == PAGE else "")
