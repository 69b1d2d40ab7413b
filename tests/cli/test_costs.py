"""``amasia cost``, asked of a control plane on a real port."""

import csv
import io
import json

import fastparquet
import pytest
from typer.testing import CliRunner

from amasia.cli.costs import app
from amasia.client import buckets, budgets, costs
from amasia.client.bills import read
from amasia.client.reconciliations import compare
from amasia.database import budgets as rows
from amasia.errors import InvalidRequest
from amasia.models.base import now
from amasia.models.budgets import Charge
from tests.client.conftest import _demo, control_plane  # noqa: F401

RUNNER = CliRunner()


@pytest.fixture
def charged(control_plane):  # noqa: F811
    """Three charges of ada's, of two machines."""
    at, items = now(), []
    for number, tags in enumerate(({"project": "x"}, {"project": "x"}, {})):
        items.append(Charge(id=0, workspace="demo", user="ada", cluster_id=None, machine_id=f"ma-{number // 2}",
                            machine_type="c1-m1", location="local", tags=tags, day=at.date().isoformat(), start=at,
                            end=at, milliseconds=1000, amount=10**number))  # fmt: skip
    with control_plane.db.write() as tx:
        rows.charge(tx, items)
    return control_plane


def run(*words, status=0):
    done = RUNNER.invoke(app, list(words))
    assert done.exit_code == status, (done.output, done.exception)
    return done.stdout


def test_a_cut_is_a_table_and_data(charged):
    assert "project=x\t2.0 s\t0.000011 EUR" in run("--by", "tag")
    lines = json.loads(run("--by", "tag", "--json"))
    assert [(one["key"], one["amount"]) for one in lines] == [("(no tag)", 100), ("project=x", 11)]
    assert json.loads(run("--json"))["amount"] == 111
    assert json.loads(run("--json", "--until", "2026-01-01"))["amount"] == 0


def test_csv_and_parquet_have_every_line(charged, tmp_path):
    lines = list(csv.DictReader(io.StringIO(run("--by", "tag", "--format", "csv"))))
    assert [(one["key"], one["amount"]) for one in lines] == [("(no tag)", "0.000100"), ("project=x", "0.000011")]
    run("--by", "tag", "--format", "parquet", "--output", str(tmp_path / "a.parquet"))
    frame = fastparquet.ParquetFile(str(tmp_path / "a.parquet")).to_pandas()
    assert list(frame["key"]) == ["(no tag)", "project=x"]


def test_a_focus_export_sums_to_the_bill_and_agrees_with_it(charged, tmp_path):
    lines = list(csv.DictReader(io.StringIO(run("--format", "focus"))))
    assert sorted(one["BilledCost"] for one in lines) == ["0.000011", "0.000100"]
    assert {one["ResourceId"] for one in lines} == {"ma-0", "ma-1"}
    run("--format", "focus", "--output", str(tmp_path / "a.parquet"))
    assert sum(read(tmp_path / "a.parquet").resources.values()) == 111
    assert compare(read(tmp_path / "a.parquet"), costs.usage()).unnamed == 111


def test_a_bill_that_differs_is_told_with_status_1(charged, tmp_path):
    (tmp_path / "cur.csv").write_text(
        "lineItem/ResourceId,lineItem/UsageStartDate,lineItem/UnblendedCost,lineItem/CurrencyCode\n"
        f"i-0theirs,{now():%Y-%m-%d}T00:00:00Z,1.25,EUR\n"
    )
    assert "theirs only\ti-0theirs" in run("reconcile", str(tmp_path / "cur.csv"), status=1)
    found = json.loads(run("reconcile", str(tmp_path / "cur.csv"), "--json", status=1))
    assert found["differences"][0]["by"] == 1_250_000
    assert run("reconcile", str(tmp_path / "cur.csv"), "--tolerance", "2", status=1)


def test_a_forecast_says_figure_and_method(charged):
    assert "Method: nothing is known of days before" in run("--forecast")
    assert json.loads(run("--forecast", "--json"))["spent"] == 111


def test_no_waste_is_said_beside_the_data(charged):
    assert run("waste") == ""
    assert json.loads(run("waste", "--json"))["items"] == []


def test_usage_comes_page_by_page(charged, monkeypatch):
    monkeypatch.setattr("amasia.services.usage.find.__defaults__", (None, None, "", 1))
    assert [one.id for one in costs.usage()] == ["ma-0", "ma-1"]
    with pytest.raises(Exception, match="is no place in the list"):
        list(costs.connect().items("/v1/workspaces/demo/costs/usage", Charge, after="x"))


BILL = """lineItem/LineItemType,lineItem/ResourceId,lineItem/UsageStartDate,lineItem/UsageType,lineItem/UnblendedCost,\
lineItem/CurrencyCode
Usage,lab-data,2026-11-25T10:00:00Z,EUC1-DataTransfer-Out-Bytes,1.25,EUR
Usage,lab-data,2026-11-25T10:00:00Z,EUC1-TimedStorage-ByteHrs,0.5,EUR
Usage,somebodys,2026-11-25T10:00:00Z,EUC1-DataTransfer-Out-Bytes,3,EUR
"""


@pytest.fixture
def told(charged, tmp_path):
    """A bill, and the bucket that it tells of."""
    buckets.create("far", "s3://lab-data/amasia", access_key="a", secret_key="s")
    (tmp_path / "cur.csv").write_text(BILL)
    return str(tmp_path / "cur.csv")


def test_egress_is_taken_from_a_bill_once_and_is_in_every_form_of_ours(told, tmp_path):
    found = json.loads(run("egress", told, "--json"))
    assert (found["amount"], found["change"], found["unknown"]) == (1_250_000, 1_250_000, ["somebodys"])
    assert run("egress", told) == "egress of others, not taken\tamount\nsomebodys\t3.00 EUR\n"
    assert "bucket lab-data\t1.25 EUR" in run()
    assert run("--by", "egress") == "egress of\tspent\nbucket lab-data\t1.25 EUR\ntotal\t1.25 EUR\n"
    assert json.loads(run("--by", "egress", "--json"))[0]["amount"] == 1_250_000
    assert run("--by", "egress", "--format", "csv").splitlines()[1] == "bucket lab-data,0,1.250000,0.000000"
    run("--by", "egress", "--format", "parquet", "--output", str(tmp_path / "a.parquet"))
    assert list(fastparquet.ParquetFile(str(tmp_path / "a.parquet")).to_pandas()["amount"]) == [1.25]
    (one,) = [
        row for row in csv.DictReader(io.StringIO(run("--format", "focus"))) if row["ServiceCategory"] == "Networking"
    ]
    assert (one["ResourceId"], one["BilledCost"], one["ResourceType"]) == ("lab-data", "1.250000", "bucket")
    assert (one["ChargePeriodStart"], one["ChargePeriodEnd"]) == ("2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z")


def test_what_was_taken_agrees_with_the_bill_and_what_was_not_is_a_difference(told):
    before = json.loads(run("reconcile", told, "--json", status=1))["differences"]
    assert [(one["kind"], one["resource"]) for one in before if one["egress"]] == [
        ("theirs only", "somebodys"), ("theirs only", "lab-data")]  # fmt: skip
    run("egress", told)
    after = json.loads(run("reconcile", told, "--json", status=1))
    assert [(one["resource"], one["egress"], one["by"]) for one in after["differences"]] == [
        ("somebodys", True, 3_000_000), ("lab-data", False, 500_000)]  # fmt: skip
    assert after["matched"] == 1
    assert "theirs only\tegress of somebodys" in run("reconcile", told, status=1)


def test_a_bill_that_takes_a_budget_past_its_limit_is_taken_and_says_what_that_ends(told):
    budgets.set("1")
    done = RUNNER.invoke(app, ["egress", told])
    assert done.exit_code == 0
    assert "It takes the budget workspace past its limit: nothing starts on it" in done.stderr
    assert budgets.get().left == -250_000
    assert "past its limit" not in RUNNER.invoke(app, ["egress", told]).stderr


def test_a_bill_without_egress_is_refused_with_what_it_lacks(told, tmp_path):
    (tmp_path / "none.csv").write_text(BILL.replace("DataTransfer-Out", "DataTransfer-In"))
    done = RUNNER.invoke(app, ["egress", str(tmp_path / "none.csv")])
    assert isinstance(done.exception, InvalidRequest)
    assert "has no egress of any resource" in str(done.exception)
