"""``amasia budget``, asked of a control plane on a real port."""

import pytest
from typer.testing import CliRunner

from amasia.cli.budgets import app
from amasia.client import budgets
from amasia.database import budgets as rows
from amasia.errors import InvalidRequest
from amasia.models.base import now
from amasia.models.budgets import Charge
from tests.client.conftest import _demo, control_plane  # noqa: F401

RUNNER = CliRunner()


@pytest.fixture
def charged(control_plane):  # noqa: F811
    """A charge of ada's, of 5 micro-units."""
    at = now()
    item = Charge(id=0, workspace="demo", user="ada", cluster_id=None, machine_id="ma-1", machine_type="c1-m1",
                  location="local", day=at.date().isoformat(), start=at, end=at, milliseconds=1000,
                  amount=5)  # fmt: skip
    with control_plane.db.write() as tx:
        rows.charge(tx, [item])
    return control_plane


def run(*words):
    done = RUNNER.invoke(app, list(words))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.mark.parametrize("words", [("create", "tight", "0.000004"), ("set", "0.000004", "--name", "tight")])
def test_a_limit_below_what_is_spent_is_asked_about_first(charged, words):
    if words[0] == "set":
        budgets.create("tight", "1")
    before = budgets.find()
    with pytest.raises(InvalidRequest, match=r"lets nothing go on.*no terminal") as refused:
        run(*words)
    assert refused.value.cure == "Add --yes."
    assert budgets.find() == before
    assert "0.000004 EUR" in run(*words, "--yes").stdout
    assert budgets.get(name="tight").limit == 4


def test_a_limit_that_ends_nothing_is_not_asked_about(charged):
    assert "0.000005 EUR" in run("create", "exact", "0.000005").stdout
    assert "0.000004 EUR" in run("create", "soft", "0.000004", "--soft").stdout
    with pytest.raises(InvalidRequest, match="no amount of money"):
        run("set", "a lot", "--yes")
