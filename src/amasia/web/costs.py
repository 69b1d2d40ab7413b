"""The page of costs: over time, by anything, what is to come, budgets, and what is spent for nothing."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from amasia import errors
from amasia.models.costs import Costs, bounded
from amasia.models.money import parse
from amasia.services import alerts, budgets, costs, forecasts, waste
from amasia.web import pages
from amasia.web.access import Db, Payer, Settings

router = APIRouter()

CHOICES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year", "all": "all"}
"""Days back that one may look, as the address says them."""
SHOWN = 20
"""Lines of each cut; the rest is one more."""
LONGEST = 366
"""Days of the picture."""


@router.get("/{workspace}/costs")
def show(request: Request, db: Db, settings: Settings, grant: Payer, workspace: str, days: str = "30") -> Response:
    if days not in CHOICES:
        raise errors.InvalidRequest(f"{days!r} is no choice of days.", cure=f"Choose one of {', '.join(CHOICES)}.")
    ahead = forecasts.get(db, grant.who, grant.role, workspace)
    since = None if days == "all" else ahead.today - timedelta(days=int(days) - 1)
    found = costs.get(db, grant.who, grant.role, workspace, since)
    far = ahead.today - timedelta(days=LONGEST)
    spent = forecasts.spent_by_day(db, grant.who, grant.role, workspace, max(since or far, far))
    return pages.render(
        request,
        "costs.html",
        **pages.place(db, grant, workspace, "costs"),
        costs=found,
        days=days,
        choices=CHOICES,
        spent=spent,
        first=since or min([*spent, ahead.today]),
        cuts=_cuts(found),
        egress=bounded(list(found.egress), SHOWN),
        forecast=ahead,
        ends={one.name: one for one in ahead.budgets},
        waste=waste.find(db, grant.who, grant.role, workspace, parse(settings.storage_price)),
        budget=budgets.get(db, workspace),
        budgets=budgets.find(db, workspace),
        alerts=alerts.find(db, grant.who, workspace),
    )


def _cuts(found: Costs) -> list[tuple[str, str, object]]:
    """(title, what, lines) of those that tell anything apart."""
    every = [
        ("By user", "User", found.by_user),
        ("By group", "Group", found.by_group),
        ("By cluster", "Cluster", found.by_cluster),
        ("By repository", "Repository", found.by_repository),
        ("By view", "View", found.by_view if len(found.by_view) > 1 else ()),
        ("By tag", "Tag", found.by_tag if any("=" in line.key for line in found.by_tag) else ()),
        ("By location", "Location", found.by_location),
        ("By machine type", "Type", found.by_machine_type),
    ]
    shown = ("By user", "By cluster", "By repository")
    return [(title, what, bounded(list(lines), SHOWN)) for title, what, lines in every if lines or title in shown]
