"""Egress, which only the cloud's own bill knows: taken from it, and never past the budget."""

from collections import Counter
from datetime import date

from amasia import errors
from amasia.database import egress as rows
from amasia.database import events
from amasia.database.engine import Database
from amasia.models.budgets import Key
from amasia.models.egress import EgressRequest, EgressTaken
from amasia.models.users import Principal
from amasia.services.ledgers import Ledger, Move, Spender, exceeded


def take(db: Database, who: Principal, workspace: str, request: EgressRequest) -> EgressTaken:
    """What is of the workspace's own machines and buckets, in place of what was known of those days before.

    All of it or nothing: where a budget has no room, it is taken when that was raised.
    """
    days = {day for of_one in request.amounts.values() for day in of_one}
    with db.read() as tx:  # before the money is held: it may look at very many machines
        known = rows.owners(tx, workspace, min(days, default=date.max))
    told = {
        (resource, day.isoformat()): amount
        for resource, of_one in request.amounts.items()
        for day, amount in of_one.items()
        if resource in known
    }
    with db.write() as tx:
        ledger = Ledger(tx, workspace)
        if request.currency != ledger.workspace.currency:
            raise errors.InvalidRequest(
                f"The bill is in {request.currency or 'no currency'}, and the workspace counts in "
                f"{ledger.workspace.currency}.",
                cure="Convert the bill's amounts first: nothing here knows the rate of a day.",
            )
        before = rows.amounts(tx, workspace, told) if told else {}
        if short := ledger.post({key: Move(spent=more) for key, more in _moves(ledger, before, told).items()}):
            raise exceeded(workspace, short, "the egress of this bill")
        rows.replace(tx, workspace, before, told, known)
        taken = EgressTaken(
            currency=request.currency,
            resources=len({resource for resource, _ in told}),
            amount=sum(told.values()),
            change=sum(told.values()) - sum(before.values()),
            unknown=tuple(sorted(request.amounts.keys() - known.keys())),
        )
        events.append(tx, actor=who.actor, verb="egress.take", target=workspace, workspace=workspace,
                      source=who.source, first=min(days, default=None), last=max(days, default=None),
                      **taken.model_dump(exclude={"unknown"}))  # fmt: skip
    return taken


def _moves(ledger: Ledger, before: rows.Amounts, told: rows.Amounts) -> dict[Key, int]:
    """How much more each budget of the workspace as a whole has spent, in the periods of the bill's days."""
    more: Counter[str] = Counter()
    for (resource, day), amount in told.items():
        more[day] += amount - before.get((resource, day), 0)
    found: Counter[Key] = Counter()
    for day, amount in more.items():
        for key in ledger.keys(Spender(), date.fromisoformat(day)):
            found[key] += amount
    return dict(found)
