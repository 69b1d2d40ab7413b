"""Days of machines, repositories and egress, page after page: for exports, and to compare with a cloud's own bill."""

from datetime import date, datetime, timedelta

from amasia import errors
from amasia.database import egress, grants, users
from amasia.database import usage as rows
from amasia.database.engine import Database
from amasia.models.base import Page
from amasia.models.calendars import midnight
from amasia.models.permissions import Role
from amasia.models.usage import Usage
from amasia.models.users import Principal
from amasia.services.costs import span, whose

PAGE = 1000


def find(
    db: Database,
    who: Principal,
    role: Role,
    workspace: str,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    after: str = "",
    limit: int = PAGE,
) -> Page[Usage]:
    """In the order of the days. ``after`` is a day and how many of its lines were seen, as in ``2026-11-25:1000``."""
    first, seen = _cursor(after)
    with db.read() as tx:
        found = users.get_workspace(tx, workspace)
        user, zone = whose(who, role), found.time_zone
        items: list[Usage] = []
        for day in rows.days(tx, workspace, span(zone, since, until), user, first):
            on = date.fromisoformat(day)
            times = (on, midnight(on, zone), midnight(on + timedelta(days=1), zone))
            lines = rows.machine_days(tx, workspace, found.currency, *times, user)
            lines += rows.storage_days(tx, workspace, found.currency, *times, grants.visible(who))
            lines += egress.of_day(tx, workspace, found.currency, on, user, grants.visible(who))
            skip = seen if day == first else 0
            taken = lines[skip : skip + limit - len(items)]
            items += taken
            if skip + len(taken) < len(lines):
                return Page(items=tuple(items), next=f"{day}:{skip + len(taken)}")
            if len(items) == limit:
                return Page(items=tuple(items), next=f"{on + timedelta(days=1)}:0")
    return Page(items=tuple(items))


def _cursor(after: str) -> tuple[str, int]:
    if not after:
        return "", 0
    day, _, seen = after.partition(":")
    try:
        return date.fromisoformat(day).isoformat(), max(0, int(seen or "0"))
    except ValueError:
        raise errors.InvalidRequest(
            f"{after!r} is no place in the list.", cure="Pass what the last page gave as `next`, or nothing."
        ) from None
