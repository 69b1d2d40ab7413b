"""A cloud's own bill beside ours: every machine that only one of the two knows, and every amount that differs.

The file is FOCUS (any version) or AWS's Cost and Usage Report, as CSV, CSV.gz or Parquet. Ours are the days of those
machines that their provider gave a name; amounts are compared by machine, over the days of the file.
"""

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

from amasia import errors
from amasia.models.usage import Usage

FORMATS = {
    "FOCUS": ("ResourceId", "ChargePeriodStart", "BilledCost", "BillingCurrency"),
    "CUR 2": ("line_item_resource_id", "line_item_usage_start_date", "line_item_unblended_cost",
              "line_item_currency_code"),
    "CUR": ("lineItem/ResourceId", "lineItem/UsageStartDate", "lineItem/UnblendedCost", "lineItem/CurrencyCode"),
}  # fmt: skip
"""Each with its columns of the resource, the time, the amount and the currency."""
KINDS = {"FOCUS": "ChargeCategory", "CUR 2": "line_item_line_item_type", "CUR": "lineItem/LineItemType"}
USED = {"Usage", "DiscountedUsage", "SavingsPlanCoveredUsage", "SpotUsage", ""}
"""Kinds of lines that are about machines that ran; taxes, credits and fees are not."""
LARGEST = 10**12
"""Of one amount; more is no money."""


@dataclass
class Theirs:
    """What a file says of one resource."""

    amount: int = 0
    days: set[date] = field(default_factory=set)


@dataclass(frozen=True)
class Bill:
    """A cloud's file, by resource; amounts in micro-units."""

    format: str
    currency: str
    resources: Mapping[str, Theirs]
    first: date | None
    last: date | None
    others: int
    """Of lines without a resource, and of those that are no use of one."""


@dataclass(frozen=True)
class Difference:
    """One machine about which the two do not agree."""

    kind: Literal["ours only", "theirs only", "amount"]
    resource: str
    machine: str
    """Our id; empty where we know none."""
    cluster: str
    ours: int
    theirs: int

    @property
    def by(self) -> int:
        """How much theirs is more."""
        return self.theirs - self.ours


@dataclass(frozen=True)
class Reconciliation:
    currency: str
    matched: int
    """Machines that are in both, for the same amount within the tolerance."""
    differences: tuple[Difference, ...]
    """The largest first."""
    ours: int
    theirs: int
    unnamed: int
    """Of our amount: of machines that no provider named, such as local ones, which are in nobody's bill."""
    others: int
    """Of theirs: taxes, credits, fees, and what is no machine."""


def read(path: Path) -> Bill:
    """A cloud's bill file.

    Raises
    ------
    InvalidRequest
        It is no bill that is understood: which columns were found, and which are looked for.
    """
    resources: dict[str, Theirs] = defaultdict(Theirs)
    found, currencies, others = "", set[str](), 0
    try:
        for line in _lines(path):
            found = found or _format(path, list(line))
            resource, day, amount, currency, used = _cells(line, found)
            currencies.add(currency)
            if not resource or not used:
                others += amount
                continue
            resources[resource].amount += amount
            resources[resource].days.add(day)
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, csv.Error) as error:
        raise errors.InvalidRequest(
            f"{path} cannot be read as a bill ({type(error).__name__}: {error}).",
            cure="Give a FOCUS or AWS CUR file, as .csv, .csv.gz or .parquet.",
        ) from error
    if len(currencies) > 1:
        raise errors.InvalidRequest(
            f"{path} has amounts in {', '.join(sorted(currencies))}.", cure="Give one file for each currency."
        )
    days = [day for one in resources.values() for day in one.days]
    return Bill(found, next(iter(currencies), ""), dict(resources), min(days, default=None), max(days, default=None),
                others)  # fmt: skip


def compare(bill: Bill, ours: Iterable[Usage], tolerance: int = 10_000) -> Reconciliation:
    """Machine for machine. Amounts that differ by no more than ``tolerance`` micro-units are the same."""
    known: dict[str, list[Usage]] = defaultdict(list)
    unnamed, currency = 0, bill.currency
    for one in ours:
        currency = one.currency
        if one.kind == "machine" and one.resource:
            known[_short(one.resource)].append(one)
        else:
            unnamed += one.amount
    if bill.currency and currency != bill.currency:
        raise errors.InvalidRequest(
            f"The bill is in {bill.currency}, and the workspace counts in {currency}.",
            cure="Convert the bill's amounts first: nothing here knows the rate of a day.",
        )
    told: dict[str, int] = defaultdict(int)
    for name, one_of_theirs in bill.resources.items():
        told[_short(name)] += one_of_theirs.amount
    found, matched = [], 0
    for resource in sorted(known.keys() | told.keys()):
        mine, theirs = known.get(resource, []), told.get(resource, 0)
        amount = sum(one.amount for one in mine)
        if mine and resource in told and abs(theirs - amount) <= tolerance:
            matched += 1
            continue
        kind: Literal["ours only", "theirs only", "amount"]
        kind = "theirs only" if not mine else "amount" if resource in told else "ours only"
        machine, cluster = (mine[-1].id, mine[-1].name) if mine else ("", "")
        found.append(Difference(kind, resource, machine, cluster, amount, theirs))
    found.sort(key=lambda one: (-abs(one.by), one.resource))
    ours_all = sum(one.amount for lines in known.values() for one in lines)
    return Reconciliation(currency, matched, tuple(found), ours_all, sum(told.values()), unnamed, bill.others)


def _lines(path: Path) -> Iterator[Mapping[str, str]]:
    """Every line of the file, each cell as text, empty where there is none."""
    if path.suffix in (".parquet", ".pq"):
        yield from _parquet(path)
        return
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as binary:
        file = io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")
        rows = csv.DictReader(file)
        _format(path, rows.fieldnames or ())
        yield from rows


def _parquet(path: Path) -> Iterator[Mapping[str, str]]:
    import fastparquet  # noqa: PLC0415  with pandas a second to import, and for Parquet only

    for frame in fastparquet.ParquetFile(str(path)).iter_row_groups():
        _format(path, list(frame.columns))
        for row in frame.to_dict("records"):
            yield {name: "" if cell is None or cell != cell else str(cell) for name, cell in row.items()}  # noqa: PLR0124


def _format(path: Path, columns: Sequence[str]) -> str:
    for name, wanted in FORMATS.items():
        if set(wanted) <= set(columns):
            return name
    some = ", ".join(columns[:6]) or "none"
    looked_for = "; ".join(f"{name}: {', '.join(wanted)}" for name, wanted in FORMATS.items())
    raise errors.InvalidRequest(
        f"{path} is no bill that is understood: its columns are {some}, …", cure=f"Looked for were: {looked_for}."
    )


def _cells(line: Mapping[str, str], form: str) -> tuple[str, date, int, str, bool]:
    """(resource, day, micro-units, currency, whether it is of something that ran)."""
    resource, at, amount, currency = (line[name] or "" for name in FORMATS[form])
    value = Decimal(amount or "0")
    if not value.is_finite() or abs(value) > LARGEST:
        raise ValueError(f"{amount} is no amount")
    day = date.fromisoformat(at[:10])
    return resource, day, round(value * 1_000_000), currency, (line.get(KINDS[form]) or "") in USED


def _short(resource: str) -> str:
    """The last word of an ARN or a path: ``i-0abc``."""
    return resource.rsplit("/", 1)[-1]
