"""``amasia limit`` and ``amasia health``, and the same in Python."""

import json

import pytest
from typer.testing import CliRunner

from amasia import errors
from amasia.cli.main import app
from amasia.client import health, limits
from tests.client.conftest import _demo, control_plane  # noqa: F401


def amasia(*words):
    return CliRunner().invoke(app, list(words))


def test_an_operator_sets_limits_and_a_member_sees_them(control_plane):  # noqa: F811
    assert amasia("limit", "set", "demo", "--machines", "20", "--requests", "0").exit_code == 0
    shown = amasia("limit", "show").output
    assert "0 of 20" in shown
    assert "any" in shown
    row = amasia("limit", "list").output.splitlines()[1].split("\t")
    assert row[:2] == ["demo", "0 of 20 *"]
    assert json.loads(amasia("limit", "show", "--json").stdout)["own"] == ["machines", "requests"]
    assert limits.put("demo", starting=3).limits.machines == 20
    assert limits.reset("demo").own == ()
    assert [one.workspace for one in limits.find()] == ["demo"]
    assert limits.get("demo").limits.requests == 200


def test_limits_are_an_operators_word(control_plane):  # noqa: F811
    link = control_plane.another("bo")
    for ask in (limits.find, health.get):
        with pytest.raises(errors.PermissionDenied, match="for operators"):
            ask(connection=link)
    with pytest.raises(errors.PermissionDenied):
        limits.put("demo", machines=1, connection=link)


def test_the_health_of_a_control_plane_without_a_store_is_not_well(control_plane):  # noqa: F811
    shown = amasia("health")
    assert shown.exit_code == 1
    assert "NOT WELL" in shown.output
    assert "demo" in shown.output
    assert json.loads(amasia("health", "--json").stdout)["workspaces"][0]["workspace"] == "demo"
