"""A cloud's own bill file: FOCUS (any version) or AWS's Cost and Usage Report, as CSV, CSV.gz or Parquet.

Egress is apart from what else a resource cost. AWS tells it by the type of use, in both reports and in its FOCUS
(``x_UsageType``): data that leaves to the internet, to another region, to CloudFront, and between zones; see
<https://docs.aws.amazon.com/cur/latest/userguide/cur-data-transfers-charges.html> and
<https://docs.aws.amazon.com/AmazonS3/latest/userguide/aws-usage-report-understand.html>. Azure's FOCUS tells it by the
meter category *Bandwidth* (``x_SkuMeterCategory``, <https://learn.microsoft.com/cloud-computing/finops/focus/metadata>).
FOCUS itself has no word for it: of others the description of the charge decides.
"""

import csv
import gzip
import io
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from amasia import errors

FORMATS = {
    "FOCUS": ("ResourceId", "ChargePeriodStart", "BilledCost", "BillingCurrency"),
    "CUR 2": ("line_item_resource_id", "line_item_usage_start_date", "line_item_unblended_cost",
              "line_item_currency_code"),
    "CUR": ("lineItem/ResourceId", "lineItem/UsageStartDate", "lineItem/UnblendedCost", "lineItem/CurrencyCode"),
}  # fmt: skip
"""Each with its columns of the resource, the time, the amount and the currency."""
KINDS = {"FOCUS": "ChargeCategory", "CUR 2": "line_item_line_item_type", "CUR": "lineItem/LineItemType"}
USES = {"FOCUS": "x_UsageType", "CUR 2": "line_item_usage_type", "CUR": "lineItem/UsageType"}
USED = {"Usage", "DiscountedUsage", "SavingsPlanCoveredUsage", "SpotUsage", ""}
"""Kinds of lines that are about resources that were used; taxes, credits and fees are not."""
TRANSFER = re.compile(r"(DataTransfer|AWS|CloudFront)-(Out|Regional)-A?Bytes(-T\d)?$")
"""Of AWS's types of use, such as ``EUC1-DataTransfer-Out-Bytes`` and ``EUC1-USE1-AWS-Out-Bytes``."""
SAID = re.compile(r"\bdata transfer\b(?! in\b)", re.IGNORECASE)
"""In the description of a charge: ``Network Internet Data Transfer Out from EMEA to EMEA``."""
NAMED = (
    re.compile(r"^arn:[\w-]+:ec2:[^:]*:[^:]*:instance/([^/:]+)$"),
    re.compile(r"^arn:[\w-]+:s3:::([^/:]+)$"),
    re.compile(r"/zones/[^/]+/instances/([^/]+)$"),
    re.compile(r"^(?://storage\.googleapis\.com/)?projects/[^/]+/buckets/([^/]+)$"),
    re.compile(r"/microsoft\.(?:compute/virtualmachines|storage/storageaccounts)/([^/]+)$", re.IGNORECASE),
)
"""Names of machines and buckets in AWS, Google Cloud and Azure. Of other things the last word may be the same one."""
LONGEST = 300
"""Characters of a resource's name."""
LARGEST = 10**12
"""Of one amount; more is no money."""


@dataclass(frozen=True)
class Bill:
    """A cloud's file; amounts in micro-units."""

    format: str
    currency: str
    resources: Mapping[str, int]
    """By the name that the file has for it, without egress."""
    egress: Mapping[str, Mapping[date, int]]
    """By what the resource is called by itself, and day; never below zero, as a credit is no egress."""
    first: date
    last: date
    others: int
    """Of lines without a resource, of those that are no use of one, and of credits above a day's egress."""
    nameless: int
    """Of the others: egress that says no resource."""


@dataclass(frozen=True)
class _Line:
    resource: str
    day: date
    amount: int
    currency: str
    used: bool
    """Whether it is of something that was used."""
    leaves: bool
    """Whether it is egress."""


def read(*paths: Path) -> Bill:
    """A cloud's bill, which may come in several files.

    Raises
    ------
    InvalidRequest
        It is no bill that is understood, with which columns were found and which are looked for; or it has no line.
    """
    resources: Counter[str] = Counter()
    egress: dict[str, Counter[date]] = defaultdict(Counter)
    forms, currencies, days, others, nameless = dict[str, None](), set[str](), set[date](), 0, 0
    for path in {path.resolve(): path for path in paths}.values():
        for form, line in _read(path):
            forms[form] = None
            currencies.add(line.currency)
            if not line.resource or not line.used:
                others += line.amount
                nameless += line.amount if line.used and line.leaves else 0
                continue
            days.add(line.day)
            if line.leaves:
                egress[short(line.resource)][line.day] += line.amount
            else:
                resources[line.resource] += line.amount
    if not days:
        raise errors.InvalidRequest(
            f"{' and '.join(map(str, paths))} has no line of a resource that was used.",
            cure="Was it written to its end, and with resource ids?",
        )
    if len(currencies) > 1:
        raise errors.InvalidRequest(
            f"{' and '.join(map(str, paths))} has amounts in {', '.join(sorted(currencies))}.",
            cure="Give one file for each currency.",
        )
    credited = sum(min(0, amount) for of_one in egress.values() for amount in of_one.values())
    left = {name: {day: max(0, amount) for day, amount in of_one.items()} for name, of_one in egress.items()}
    return Bill(" and ".join(forms), next(iter(currencies), ""), dict(resources), left,
                min(days), max(days), others + credited, nameless)  # fmt: skip


def short(resource: str) -> str:
    """What a machine or a bucket is called by itself, of its ARN or path: ``i-0abc``; others have their whole name."""
    found = next(filter(None, (form.search(resource) for form in NAMED)), None)
    return found[1] if found else resource


def _read(path: Path) -> Iterator[tuple[str, _Line]]:
    """Every line of one file, with the file's format."""
    form = ""
    try:
        for cells in _cells(path):
            form = form or _format(path, list(cells))
            yield form, _line(cells, form)
    except (OSError, EOFError, ValueError, KeyError, TypeError, ArithmeticError, csv.Error, zlib.error) as error:
        raise errors.InvalidRequest(
            f"{path} cannot be read as a bill ({type(error).__name__}: {error}).",
            cure="Give a FOCUS or AWS CUR file, as .csv, .csv.gz or .parquet.",
        ) from error


def _cells(path: Path) -> Iterator[Mapping[str, str]]:
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


def _line(cells: Mapping[str, str], form: str) -> _Line:
    resource, at, amount, currency = (cells[name] or "" for name in FORMATS[form])
    value = Decimal(amount or "0")
    if not value.is_finite() or abs(value) > LARGEST:
        raise ValueError(f"{amount} is no amount")
    if not resource.isprintable() or len(resource) > LONGEST:
        resource = ""  # no machine and no bucket is called so
    used = (cells.get(KINDS[form]) or "") in USED
    return _Line(resource, date.fromisoformat(at[:10]), round(value * 1_000_000), currency, used, _leaves(cells, form))


def _leaves(cells: Mapping[str, str], form: str) -> bool:
    use = cells.get(USES[form]) or ""
    if use or form != "FOCUS":
        return TRANSFER.search(use) is not None
    said = cells.get("ChargeDescription") or ""
    return cells.get("x_SkuMeterCategory") == "Bandwidth" or SAID.search(said) is not None
