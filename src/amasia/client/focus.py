"""The bill in FOCUS 1.2, the open format of costs: a row for each machine, repository and egress on each day.

The columns and their meanings are those of the FinOps Foundation's specification. Money is exact to the micro-unit.
"""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

from amasia.models.calendars import next_month
from amasia.models.sizes import GIB
from amasia.models.storage import MONTH_MS
from amasia.models.usage import Usage

VERSION = "1.2"
GIB_MONTH_SECONDS = GIB * MONTH_MS // 1000

type Cell = str | Decimal | None


def row(one: Usage) -> dict[str, Cell]:
    """One line, by the names of the columns."""
    return {name: cell(one) for name, cell in COLUMNS.items()}


def _money(one: Usage) -> Decimal:
    return Decimal(one.amount).scaleb(-6)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _month(day: date) -> str:
    return f"{day:%Y-%m}-01T00:00:00Z"


def _quantity(one: Usage) -> Decimal:
    """Hours of a machine, GiB-months of storage; of egress the one day, as its bytes are not known."""
    if one.kind == "egress":
        return Decimal(1)
    if one.kind == "machine":
        return round(Decimal(one.milliseconds) / 3_600_000, 9)
    return round(Decimal(one.byte_seconds) / GIB_MONTH_SECONDS, 9)


def _unit(one: Usage) -> str:
    return {"machine": "Hours", "storage": "GiB-Months", "egress": "Days"}[one.kind]


def _said(one: Usage) -> str:
    if one.kind == "storage":
        return f"What the repository {one.name} took up"
    if one.kind == "egress":
        return f"Data transfer out of {one.resource}"
    spot = ", spot" if one.spot else ""
    group = f", workers {one.group}" if one.group else ""
    return f"{one.machine_type}{spot} for {f'the cluster {one.name}{group}' if one.name else 'what was kept warm'}"


def _tags(one: Usage) -> str:
    """Those of its owner, and ours with a prefix."""
    of_machine = one.kind == "machine" or (one.kind == "egress" and one.id)
    ours = {"amasia/user": one.user, "amasia/cluster": one.name if of_machine else "",
            "amasia/machine": one.id if of_machine else "", "amasia/location": one.location,
            "amasia/repository": "" if of_machine else one.name}  # fmt: skip
    return json.dumps({**one.tags, **{key: word for key, word in ours.items() if word}}, ensure_ascii=False)


_SERVICES = {
    "machine": ("Compute", "Machines", "Virtual Machines"),
    "storage": ("Storage", "Repositories", "Object Storage"),
    "egress": ("Networking", "Egress", "Other (Networking)"),
}
"""Category, name and subcategory."""

COLUMNS: dict[str, Callable[[Usage], Cell]] = {
    "AvailabilityZone": lambda one: one.zone or None,
    "BilledCost": _money,
    "BillingAccountId": lambda one: one.workspace,
    "BillingAccountName": lambda one: one.workspace,
    "BillingCurrency": lambda one: one.currency,
    "BillingPeriodEnd": lambda one: _month(next_month(one.day)),
    "BillingPeriodStart": lambda one: _month(one.day),
    "ChargeCategory": lambda one: "Usage",
    "ChargeClass": lambda one: None,
    "ChargeDescription": _said,
    "ChargeFrequency": lambda one: "Usage-Based",
    "ChargePeriodEnd": lambda one: _time(one.end),
    "ChargePeriodStart": lambda one: _time(one.start),
    "CommitmentDiscountStatus": lambda one: None,
    "ConsumedQuantity": _quantity,
    "ConsumedUnit": _unit,
    "ContractedCost": _money,
    "EffectiveCost": _money,
    "InvoiceId": lambda one: None,
    "InvoiceIssuerName": lambda one: "Amasia",
    "ListCost": _money,
    "PricingCategory": lambda one: "Dynamic" if one.spot else "Standard",
    "PricingQuantity": _quantity,
    "PricingUnit": _unit,
    "ProviderName": lambda one: "Amasia",
    "PublisherName": lambda one: one.provider or "Amasia",
    "RegionId": lambda one: one.region or None,
    "RegionName": lambda one: one.region or None,
    "ResourceId": lambda one: one.resource or one.id,
    "ResourceName": lambda one: one.name or None,
    "ResourceType": lambda one: one.machine_type or ("bucket" if one.kind == "egress" else "repository"),
    "ServiceCategory": lambda one: _SERVICES[one.kind][0],
    "ServiceName": lambda one: _SERVICES[one.kind][1],
    "ServiceSubcategory": lambda one: _SERVICES[one.kind][2],
    "Tags": _tags,
}
"""Each column in the order of the file, and what is in it."""
NUMBERS = tuple(name for name in COLUMNS if name.endswith(("Cost", "Quantity")))
"""Of them, those that hold numbers."""
