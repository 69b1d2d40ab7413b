"""Egress, which only the cloud's own bill knows: taken from it, also past the budget, since it was spent already."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta

from amasia import errors
from amasia.database import clusters, events
from amasia.database import egress as rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.budgets import Key
from amasia.models.egress import EgressRequest, EgressTaken
from amasia.models.users import Principal
from amasia.services.ledgers import Ledger, Move, Spender


def take(db: Database, who: Principal, workspace: str, request: EgressRequest) -> EgressTaken:
    """What is of the workspace's own machines and buckets, in place of what was known of those days before.

    All of it or nothing. A hard budget that it takes past its limit lets nothing start or go on until it was raised.
    """
    days = {day for of_one in request.amounts.values() for day in of_one}
    if days and max(days) > now().date() + timedelta(days=1):
        raise errors.InvalidRequest(
            f"The bill has egress of {max(days)}, which is yet to come.", cure="A bill tells of what was: look at it."
        )
    with db.read() as tx:  # before the money is held: it may look at very many machines
        owners = rows.owners(tx, workspace, min(days, default=date.max))
    after = {
        (resource, day.isoformat()): rows.Left(amount, owners[resource])
        for resource, of_one in request.amounts.items()
        for day, amount in of_one.items()
        if resource in owners
    }
    with db.write() as tx:
        ledger = Ledger(tx, workspace)
        if request.currency != ledger.workspace.currency:
            raise errors.InvalidRequest(
                f"The bill is in {request.currency or 'no currency'}, and the workspace counts in "
                f"{ledger.workspace.currency}.",
                cure="Convert the bill's amounts first: nothing here knows the rate of a day.",
            )
        before = rows.known(tx, workspace, after) if after else {}
        more = _by_day(after)
        more.subtract(_by_day(before))
        passed = ledger.book(_moves(ledger, more))
        rows.replace(tx, workspace, before, after)
        taken = EgressTaken(
            currency=request.currency,
            resources=len({resource for resource, _ in after}),
            amount=sum(left.amount for left in after.values()),
            change=more.total(),
            unknown=tuple(sorted(request.amounts.keys() - owners.keys())),
            passed=tuple(one.budget.name for one in passed),
        )
        if min(more.values(), default=0) < 0:
            clusters.go_on(tx, workspace)
        events.append(tx, actor=who.actor, verb="egress.take", target=workspace, workspace=workspace,
                      source=who.source, first=min(days, default=None), last=max(days, default=None),
                      **taken.model_dump(exclude={"unknown"}))  # fmt: skip
    return taken


def _by_day(lefts: Mapping[rows.Day, rows.Left]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, day), left in lefts.items():
        found[day] += left.amount
    return found


def _moves(ledger: Ledger, more: Mapping[str, int]) -> dict[Key, Move]:
    """What each budget of the workspace as a whole has spent more, in the periods of the bill's days."""
    found: Counter[Key] = Counter()
    for day, amount in more.items():
        for key in ledger.keys(Spender(), date.fromisoformat(day)):
            found[key] += amount
    return {key: Move(spent=amount) for key, amount in found.items()}
