"""``amasia cost``, asked of a control plane on a real port."""

import csv
import io
import json

import fastparquet
import pytest
from typer.testing import CliRunner

from amasia.cli.costs import app
from amasia.client import costs
from amasia.client.reconciliations import compare, read
from amasia.database import budgets as rows
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
    assert sum(one.amount for one in read(tmp_path / "a.parquet").resources.values()) == 111
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
