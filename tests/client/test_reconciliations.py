"""A cloud's own bill beside ours: nothing that differs goes unsaid."""

import gzip
from datetime import date

import pytest

from amasia import errors
from amasia.client import bills, focus, reconciliations, tables

from .test_focus import machine, storage

CUR = """lineItem/LineItemType,lineItem/ResourceId,lineItem/UsageStartDate,lineItem/UnblendedCost,lineItem/CurrencyCode
Usage,i-0same,2026-11-25T00:00:00Z,0.040,EUR
Usage,i-0same,2026-11-26T00:00:00Z,0.005,EUR
Usage,arn:aws:ec2:eu-central-1:1:instance/i-0more,2026-11-25T00:00:00Z,0.100,EUR
Usage,i-0theirs,2026-11-25T00:00:00Z,1.5,EUR
Tax,,2026-11-25T00:00:00Z,0.33,EUR
"""
OURS = [
    machine(resource="i-0same", id="ma-1"),
    machine(resource="i-0more", id="ma-2"),
    machine(resource="i-0ours", id="ma-3"),
    machine(resource="", id="ma-4", amount=7),
    storage(amount=3),
]


def test_every_difference_is_named_with_its_amount(tmp_path):
    (tmp_path / "cur.csv").write_text(CUR)
    bill = bills.read(tmp_path / "cur.csv")
    assert (bill.format, bill.first, bill.last) == ("CUR", date(2026, 11, 25), date(2026, 11, 26))
    found = reconciliations.compare(bill, OURS)
    assert [(one.kind, one.resource, one.machine, one.by) for one in found.differences] == [
        ("theirs only", "i-0theirs", "", 1_500_000),
        ("amount", "i-0more", "ma-2", 55_000),
        ("ours only", "i-0ours", "ma-3", -45_000),
    ]
    assert (found.matched, found.unnamed, found.others) == (1, 10, 330_000)
    assert found.theirs - found.ours == sum(one.by for one in found.differences)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_our_own_export_agrees_with_ourselves(tmp_path, name):
    rows = [focus.row(one) for one in OURS if one.resource]
    if name.endswith("parquet"):
        tables.write_parquet(tmp_path / name, tuple(focus.COLUMNS), focus.NUMBERS, rows)
    else:
        with gzip.open(tmp_path / name, "wt") if name.endswith("gz") else (tmp_path / name).open("w") as file:
            tables.write_csv(file, tuple(focus.COLUMNS), rows)
    found = reconciliations.compare(bills.read(tmp_path / name), OURS, tolerance=0)
    assert (found.matched, found.differences) == (3, ())


def test_small_differences_are_none_where_it_is_said_so(tmp_path):
    (tmp_path / "cur.csv").write_text(CUR)
    bill = bills.read(tmp_path / "cur.csv")
    kinds = [one.kind for one in reconciliations.compare(bill, OURS, tolerance=60_000).differences]
    assert kinds == ["theirs only", "ours only"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "its columns are a, b"),
        ("", "its columns are none"),
        (CUR.replace("0.100", "a lot"), "cannot be read as a bill"),
        (CUR.replace("0.100", "NaN"), "is no amount"),
        (CUR.replace("0.100", "1e999999"), "is no amount"),
        (CUR.replace("2026-11-26T", "26.11.T"), "cannot be read as a bill"),
        (CUR.replace("1.5,EUR", "1.5,USD"), "amounts in EUR, USD"),
        ("\x00\xff", "its columns are"),
    ],
)
def test_what_is_no_bill_is_refused_with_what_was_found(tmp_path, text, told):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(errors.InvalidRequest, match=told):
        bills.read(tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.csv.gz"])
def test_a_broken_file_is_no_traceback(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00PAR1 nonsense")
    with pytest.raises(errors.InvalidRequest):
        bills.read(tmp_path / name)
    with pytest.raises(errors.InvalidRequest):
        bills.read(tmp_path / f"none-{name}")


def test_another_currency_is_refused(tmp_path):
    (tmp_path / "cur.csv").write_text(CUR.replace("EUR", "USD"))
    with pytest.raises(errors.InvalidRequest, match="USD, and the workspace counts in EUR"):
        reconciliations.compare(bills.read(tmp_path / "cur.csv"), OURS)
