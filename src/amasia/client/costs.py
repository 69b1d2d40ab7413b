"""What was spent, what is to come, and what is spent for nothing."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from itertools import batched

from amasia.client.bills import Bill
from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.budgets import Charge
from amasia.models.costs import CostLine, Costs, Cut
from amasia.models.egress import EgressRequest, EgressTaken
from amasia.models.forecasts import Forecast
from amasia.models.usage import Usage
from amasia.models.waste import WasteReport

MOST_DAYS = 10_000
"""Days of resources in one request; with the longest names half of what a request may have."""


def get(
    workspace: str | None = None,
    *,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    connection: Connection | None = None,
) -> Costs:
    """Machine time and money of a workspace, by user, cluster, view, repository, tag, location, machine type and day.

    Whoever does not manage the workspace gets what is their own. Of each cut these are the largest lines, and
    ``(others)``; `lines` gives all.

    Parameters
    ----------
    since, until
        First and last day, of the workspace's calendar; a time stands for its day. None for no end there.

    Returns
    -------
    Costs
        Amounts in micro-units of the workspace's currency, time in milliseconds.
    """
    return (connection or connect()).get(f"{path(workspace)}/costs", Costs, since=_day(since), until=_day(until))


def lines(
    by: Cut | str,
    workspace: str | None = None,
    *,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    connection: Connection | None = None,
) -> Iterator[CostLine]:
    """Every line of one cut of the bill, such as ``"tag"`` or ``"day"``."""
    days = {"since": _day(since), "until": _day(until)}
    return (connection or connect()).items(f"{path(workspace)}/costs/lines", CostLine, by=str(by), **days)


def usage(
    workspace: str | None = None,
    *,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    connection: Connection | None = None,
) -> Iterator[Usage]:
    """What each machine, repository and egress cost on each day, day after day."""
    days = {"since": _day(since), "until": _day(until)}
    return (connection or connect()).items(f"{path(workspace)}/costs/usage", Usage, **days)


def take_egress(bill: Bill, workspace: str | None = None, *, connection: Connection | None = None) -> EgressTaken:
    """Take the egress of a cloud's bill, as `amasia.client.bills.read` gives it, into the workspace's own.

    Days and resources that were told before are replaced; those that are nobody's in the workspace are told by name.
    More than 10,000 days of resources are taken in parts, each as a whole.

    Raises
    ------
    InvalidRequest
        The bill is in another currency, or has what cannot be.
    """
    told = [(name, day, amount) for name, days in bill.egress.items() for day, amount in days.items()]
    to, place = connection or connect(), f"{path(workspace)}/costs/egress"
    found = []
    for part in batched(told, MOST_DAYS):
        amounts: dict[str, dict[date, int]] = defaultdict(dict)
        for name, day, amount in part:
            amounts[name][day] = amount
        found.append(to.put(place, request(EgressRequest, currency=bill.currency, amounts=amounts), EgressTaken))
    return EgressTaken(
        currency=bill.currency,
        resources=len(bill.egress.keys() - {name for one in found for name in one.unknown}),
        amount=sum(one.amount for one in found),
        change=sum(one.change for one in found),
        unknown=tuple(sorted({name for one in found for name in one.unknown})),
        passed=tuple(sorted({name for one in found for name in one.passed})),
    )


def forecast(workspace: str | None = None, *, connection: Connection | None = None) -> Forecast:
    """What this month is going to cost, and where each budget goes, if it goes on as in the last weeks."""
    return (connection or connect()).get(f"{path(workspace)}/costs/forecast", Forecast)


def waste(workspace: str | None = None, *, connection: Connection | None = None) -> WasteReport:
    """What is spent for nothing, the largest saving first, each with the command that saves it."""
    return (connection or connect()).get(f"{path(workspace)}/costs/waste", WasteReport)


def charges(workspace: str | None = None, *, connection: Connection | None = None) -> list[Charge]:
    """Every charge of a workspace, oldest first: one stretch of one machine's life each."""
    return list((connection or connect()).items(f"{path(workspace)}/charges", Charge))


def _day(given: date | datetime | None) -> str | None:
    return given.isoformat() if given else None
