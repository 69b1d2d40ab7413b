"""The bill as FOCUS, and as files that other programs read."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import fastparquet

from amasia.client import focus, tables
from amasia.models.usage import Usage

MONTH = 730 * 3600 << 30
DAY = datetime(2026, 11, 25, tzinfo=UTC)


def machine(**changes):
    return Usage(**{
        "kind": "machine", "day": date(2026, 11, 25), "start": DAY, "end": DAY + timedelta(hours=1), "workspace": "lab",
        "currency": "EUR", "amount": 45_000, "id": "ma-1", "name": "work", "user": "ada", "milliseconds": 3_600_000,
        "machine_type": "small", "location": "aws", "provider": "aws", "region": "eu-central-1", "resource": "i-0abc",
        "tags": {"project": "x"}, **changes,
    })  # fmt: skip


def storage(**changes):
    return machine(kind="storage", id="re-1", name="data", user="", machine_type="", location="", provider="",
                   region="", resource="", tags={}, milliseconds=0, byte_seconds=2 * MONTH, **changes)  # fmt: skip


def test_a_row_of_a_machine_says_what_it_was_and_whose():
    row = focus.row(machine(spot=True))
    assert row["BilledCost"] == Decimal("0.045000")
    assert (row["PricingQuantity"], row["PricingUnit"]) == (1, "Hours")
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    assert (row["ResourceId"], row["ServiceCategory"], row["PricingCategory"]) == ("i-0abc", "Compute", "Dynamic")
    assert row["Tags"] == (
        '{"project": "x", "amasia/user": "ada", "amasia/cluster": "work", "amasia/machine": "ma-1", '
        '"amasia/location": "aws"}'
    )


def test_storage_is_in_gib_months():
    row = focus.row(storage())
    assert (row["ConsumedQuantity"], row["ConsumedUnit"], row["ServiceCategory"]) == (2, "GiB-Months", "Storage")


def test_money_keeps_its_last_micro_unit_in_csv():
    file = io.StringIO()
    tables.write_csv(file, tuple(focus.COLUMNS), [focus.row(machine(amount=1)), focus.row(machine(amount=10**12))])
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["BilledCost"] for row in rows] == ["0.000001", "1000000.000000"]
    assert rows[0]["ChargeClass"] == ""


def test_parquet_has_the_same_rows_in_parts_and_none_is_a_file_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS", 2)
    rows = [focus.row(machine(amount=amount)) for amount in range(5)]
    tables.write_parquet(tmp_path / "a.parquet", tuple(focus.COLUMNS), focus.NUMBERS, rows)
    found = fastparquet.ParquetFile(str(tmp_path / "a.parquet")).to_pandas()
    assert [round(value * 1e6) for value in found["BilledCost"]] == [0, 1, 2, 3, 4]
    assert list(found["ResourceId"]) == ["i-0abc"] * 5
    tables.write_parquet(tmp_path / "b.parquet", tuple(focus.COLUMNS), focus.NUMBERS, [])
    assert len(fastparquet.ParquetFile(str(tmp_path / "b.parquet")).to_pandas()) == 0
