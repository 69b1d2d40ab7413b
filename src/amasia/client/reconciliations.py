"""A cloud's own bill beside ours: every machine that only one of the two knows, and every amount that differs.

Ours are the days of those machines that their provider gave a name, and the egress that was taken from such bills;
amounts are compared by resource, egress by itself, over the days of the file.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from amasia import errors
from amasia.client.bills import Bill, short
from amasia.models.usage import Usage


@dataclass(frozen=True)
class Difference:
    """One machine, or the egress of one resource, about which the two do not agree."""

    kind: Literal["ours only", "theirs only", "amount"]
    resource: str
    machine: str
    """Our id; empty where we know none."""
    cluster: str
    ours: int
    theirs: int
    egress: bool = False

    @property
    def by(self) -> int:
        """How much theirs is more."""
        return self.theirs - self.ours


@dataclass(frozen=True)
class Reconciliation:
    currency: str
    matched: int
    """Machines, and resources with egress, that are in both, for the same amount within the tolerance."""
    differences: tuple[Difference, ...]
    """The largest first."""
    ours: int
    theirs: int
    unnamed: int
    """Of our amount: of machines that no provider named, such as local ones, which are in nobody's bill."""
    others: int
    """Of theirs: taxes, credits, fees, and what is no machine."""


def compare(bill: Bill, ours: Iterable[Usage], tolerance: int = 10_000) -> Reconciliation:
    """Resource for resource. Amounts that differ by no more than ``tolerance`` micro-units are the same."""
    known: dict[tuple[str, bool], list[Usage]] = defaultdict(list)
    unnamed, currency = 0, bill.currency
    for one in ours:
        currency = one.currency
        if one.kind != "storage" and one.resource:
            known[short(one.resource), one.kind == "egress"].append(one)
        else:
            unnamed += one.amount
    if bill.currency and currency != bill.currency:
        raise errors.InvalidRequest(
            f"The bill is in {bill.currency}, and the workspace counts in {currency}.",
            cure="Convert the bill's amounts first: nothing here knows the rate of a day.",
        )
    told: Counter[tuple[str, bool]] = Counter()
    for name, amount in bill.resources.items():
        told[short(name), False] += amount
    for name, days in bill.egress.items():
        told[name, True] += sum(days.values())
    found, matched = [], 0
    for key in sorted(known.keys() | told.keys()):
        resource, egress = key
        mine, theirs = known.get(key, []), told[key]
        amount = sum(one.amount for one in mine)
        if mine and key in told and abs(theirs - amount) <= tolerance:
            matched += 1
            continue
        kind: Literal["ours only", "theirs only", "amount"]
        kind = "theirs only" if not mine else "amount" if key in told else "ours only"
        machine, cluster = (mine[-1].id, mine[-1].name) if mine else ("", "")
        found.append(Difference(kind, resource, machine, cluster, amount, theirs, egress))
    found.sort(key=lambda one: (-abs(one.by), one.resource))
    ours_all = sum(one.amount for lines in known.values() for one in lines)
    return Reconciliation(currency, matched, tuple(found), ours_all, sum(told.values()), unnamed, bill.others)
