"""The console's page of budgets: what is typed is a limit, and what cannot be one is said beside it."""

import re
from datetime import timedelta

import pytest

from amasia.models.base import now
from amasia.models.budgets import NewBudget, NewScope
from amasia.models.machines import Join
from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.services import budgets, joins, machines, workspaces
from tests.browsers import picture, sideways

from .conftest import sign_in

NEW = {"name": "phds", "kind": "user", "of": "bo", "limit": "12.5", "period": "month", "hard": "yes"}


@pytest.fixture(params=["billing", "admin"])
def payer(request, world, as_):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="eve", role=request.param))
    return as_("eve")


def test_whoever_sets_budgets_makes_one_sets_its_limit_and_deletes_it(world, payer):
    assert 'href="/lab/budgets"' in payer.get("/lab/costs").text
    sent = payer.post("/lab/budgets", data=NEW)
    assert (sent.status_code, sent.headers["location"]) == (303, "/lab/budgets")
    made = budgets.get(world.db, "lab", "phds")
    assert (str(made.scope), made.limit, made.period, made.hard) == ("user bo", 12_500_000, "month", True)
    assert 'value="12.50"' in payer.get("/lab/budgets").text
    assert payer.post("/lab/budgets/phds", data={"limit": "0.000001"}).status_code == 303
    assert budgets.get(world.db, "lab", "phds").limit == 1
    assert payer.post("/lab/budgets/phds/delete").status_code == 303
    assert "phds" not in {one.name for one in budgets.find(world.db, "lab")}


def test_a_grant_has_days_and_a_soft_budget_only_tells(world, as_):
    grant = {**NEW, "period": "grant", "starts": "2026-01-01", "ends": "2027-12-31"} | {"hard": ""}
    assert as_("ada").post("/lab/budgets", data=grant).status_code == 303
    made = budgets.get(world.db, "lab", "phds")
    assert (made.starts.isoformat(), made.ends.isoformat(), made.hard) == ("2026-01-01", "2027-12-31", False)
    text = as_("ada").get("/lab/budgets").text
    assert "2026-01-01 to 2027-12-31, only tells" in text


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({"limit": "1e3"}, 422, "no amount of money"),
        ({"of": "nobody"}, 404, "no member"),
        ({"of": ""}, 422, "says which"),
        ({"kind": "planet"}, 422, "cannot have a budget"),
        ({"period": "grant", "starts": "tomorrow"}, 422, "is no day"),
        ({"period": "grant", "starts": "2026-01-01", "ends": "9999-12-31"}, 422, "2999-12-31"),
        ({"limit": "9" * 4296}, 422, "no amount of money"),
        ({"name": "workspace"}, 409, "already"),
    ],
)
def test_what_cannot_be_one_is_said_and_what_was_typed_is_still_there(world, as_, fields, status, word):
    answer = as_("ada").post("/lab/budgets", data=NEW | fields)
    assert answer.status_code == status
    assert word in answer.text
    assert f'value="{(NEW | fields)["name"]}"' in answer.text
    assert len(budgets.find(world.db, "lab")) == 1


def test_a_limit_that_ends_machines_is_asked_for_twice(world, as_):
    machine = world.cluster(n_workers=0).machines[0]
    boot = machines.begin(world.db, world.settings, machine)
    joins.join(world.db, world.settings, Join(machine_id=machine.id, join_token=boot.join_token, agent_version="0",
                                              started_at=now() - timedelta(seconds=1)))  # fmt: skip
    before = budgets.get(world.db, "lab").limit
    answer = as_("ada").post("/lab/budgets/workspace", data={"limit": "0"})
    assert answer.status_code == 422
    assert "lets nothing go on" in answer.text
    assert "Set it to 0 all the same" in answer.text
    assert budgets.get(world.db, "lab").limit == before
    assert as_("ada").post("/lab/budgets/workspace", data={"limit": "0", "sure": "yes"}).status_code == 303
    assert budgets.get(world.db, "lab").limit == 0


def test_a_new_one_that_ends_machines_is_asked_for_twice(world, as_):
    world.cluster(n_workers=0)
    new = {**NEW, "of": "ada", "limit": "0.000001"}
    answer = as_("ada").post("/lab/budgets", data=new)
    assert answer.status_code == 422
    assert "lets nothing go on" in answer.text
    assert len(budgets.find(world.db, "lab")) == 1
    form = answer.text.split('role="alert"', 1)[1].split("</form>", 1)[0]
    asked = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    assert asked == {**new, "starts": "", "ends": "", "sure": "yes"}
    assert as_("ada").post("/lab/budgets", data=asked).status_code == 303
    assert budgets.get(world.db, "lab", "phds").limit == 1


def test_one_that_is_past_its_limit_says_what_that_ends(world, as_):
    world.cluster(n_workers=0)
    scope = NewScope(kind="user", name="ada")
    for name, hard in (("tight", True), ("soft", False)):
        wish = NewBudget(name=name, scope=scope, limit=1, hard=hard, confirmed=True)
        budgets.create(world.db, world.ada, "lab", wish)
    for page in ("/lab/budgets", "/lab/costs"):
        assert as_("ada").get(page).text.count("past its limit: nothing starts, and what runs ends") == 1


def test_the_workspaces_own_cannot_be_deleted_and_one_that_is_not_there_cannot_be_set(as_):
    assert as_("ada").post("/lab/budgets/workspace/delete").status_code == 409
    assert as_("ada").post("/lab/budgets/none", data={"limit": "1"}).status_code == 404


def test_members_see_the_limits_and_set_none(world, as_):
    budgets.create(world.db, world.ada, "lab", NewBudget(name="phds", scope=NewScope(kind="user", name="bo"), limit=5))
    bo = as_("bo")
    text = bo.get("/lab/budgets").text
    assert "phds" in text
    assert "<form" not in text.split("<main", 1)[1]
    for path in ("/lab/budgets", "/lab/budgets/phds", "/lab/budgets/phds/delete"):
        assert bo.post(path, data=NEW).status_code == 403
    assert budgets.get(world.db, "lab", "phds").limit == 5


def test_what_others_set_is_seen_and_what_is_typed_stays(window, world):
    sign_in(window)
    window.goto("/lab/budgets")
    window.get_by_label("Name", exact=True).fill("half-typed")
    limit = window.get_by_role("textbox", name="Limit of workspace")
    limit.fill("33")
    budgets.create(world.db, world.ada, "lab", NewBudget(name="phds", scope=NewScope(kind="user", name="bo"), limit=5))
    window.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    window.get_by_role("rowheader", name="phds").wait_for()
    assert window.get_by_label("Name", exact=True).input_value() == "half-typed"
    assert limit.input_value() == "33"


def test_one_is_made_and_deleted_in_a_browser(page, world):
    sign_in(page)
    page.goto("/lab/budgets")
    page.get_by_label("Name", exact=True).fill("phds")
    page.get_by_label("Its name").fill("bo")
    page.get_by_label("Limit in EUR").fill("200")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("textbox", name="Limit of phds").fill("250.5")
    page.get_by_role("button", name="Set the limit of phds").click()
    page.wait_for_function("document.querySelector('[aria-label^=\"Limit of phds\"]').value === '250.50'")
    assert sideways(page) == []
    picture(page, "budgets-made")
    page.get_by_role("button", name="Delete phds").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete phds").click()
    page.wait_for_function("!document.body.innerText.includes('phds')")
