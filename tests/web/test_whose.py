"""Each person begins with what is theirs: a user with their own clusters, who manages the workspace with all."""

import pytest

from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.services import workspaces

from .conftest import charge, end, start


@pytest.fixture
def busy(world):
    """A cluster of each that runs, and one that ended."""
    for who in (world.ada, world.bo):
        end(world, start(world, who, name=f"old-of-{who.user}"), who)
        start(world, who, name=f"new-of-{who.user}")
    return world


def seen(text):
    return {name for name in ("old-of-ada", "new-of-ada", "old-of-bo", "new-of-bo") if f">{name}</a>" in text}


def test_a_user_begins_with_their_own_and_finds_the_others_one_click_away(busy, as_):
    bo = as_("bo")
    assert seen(bo.get("/lab").text) == {"old-of-bo", "new-of-bo"}
    assert seen(bo.get("/lab?whose=all").text) == {"old-of-ada", "new-of-ada", "old-of-bo", "new-of-bo"}
    assert 'hx-get="/lab?whose=all"' in bo.get("/lab?whose=all").text


def test_who_manages_the_workspace_and_who_runs_nothing_begin_with_all(busy, as_):
    every = {"old-of-ada", "new-of-ada", "old-of-bo", "new-of-bo"}
    ada = as_("ada")
    assert seen(ada.get("/lab").text) == every
    assert seen(ada.get("/lab?whose=mine").text) == {"old-of-ada", "new-of-ada"}
    viewer = Membership(workspace="lab", user="eve", role=Role.viewer)
    workspaces.set_member(busy.db, busy.ada, Role.owner, viewer)
    assert seen(as_("eve").get("/lab").text) == every
    assert "Nothing of yours runs" in as_("eve").get("/lab?whose=mine").text


def test_the_rate_is_that_of_what_is_shown(busy, as_):
    assert "0.14 EUR<small> per hour" in as_("bo").get("/lab").text
    assert "0.27 EUR<small> per hour" in as_("bo").get("/lab?whose=all").text


def test_another_choice_is_none(busy, as_):
    answer = as_("bo").get("/lab?whose=eve")
    assert answer.status_code == 422
    assert "Choose one of mine, all" in answer.text


def test_costs_and_the_trail_are_ones_own_or_the_workspaces_by_role(busy, as_):
    charge(busy, start(busy, busy.ada, name="dear-one"), 450_000, 90_000)
    assert "dear-one" in as_("ada").get("/lab/costs").text
    assert "dear-one" not in as_("bo").get("/lab/costs").text
    assert "cluster.create" in as_("ada").get("/lab/audit").text
    start(busy, busy.bo, name="of-bo")
    for address in ("/lab/audit", "/lab/audit?verb=cluster", "/lab/audit?actor=ada", "/lab/audit?outcome=done"):
        text = as_("bo").get(address).text
        assert ("of-bo" in text) == ("actor" not in address), address
        assert not [word for word in ("dear-one", ">ada<", "amasia audit verify", "thing.do") if word in text], address
