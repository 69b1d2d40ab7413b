"""Each role sees its own pages, and those of the others neither in the menu nor by their address."""

import pytest

from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.services import workspaces
from tests.browsers import picture, sideways

from .conftest import sign_in

PAGES = ("", "locations", "costs", "people", "audit")
SEES = {
    "owner": {"", "locations", "costs", "people", "audit"},
    "admin": {"", "locations", "costs", "people", "audit"},
    "member": {"", "locations", "costs", "people"},
    "viewer": {"", "locations", "costs", "people"},
    "billing": {"costs", "people"},
    "auditor": {"people", "audit"},
    "guest": set(),
}


@pytest.mark.parametrize("role", Role)
def test_each_role_sees_its_pages_and_their_links_and_no_others(world, as_, role):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="bo", role=role))
    browser = as_("bo")
    menu = browser.get("/lab/repositories").text
    for page in PAGES:
        answer = browser.get(f"/lab/{page}" if page else "/lab")
        seen = page in SEES[role.value]
        assert answer.status_code == (200 if seen else 303 if page == "" else 403), page
        assert (f'href="/lab/{page}"' in menu.replace('href="/lab"', 'href="/lab/"')) == (seen or page == ""), page


@pytest.mark.parametrize(("role", "page"), [("billing", "costs"), ("auditor", "audit"), ("guest", "repositories")])
def test_who_sees_no_clusters_begins_with_the_first_page_for_them(world, as_, role, page):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="bo", role=Role(role)))
    assert as_("bo").get("/lab").headers["location"] == f"/lab/{page}"


def test_an_admin_lets_somebody_in_gives_another_role_and_removes_them(world, as_):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="bo", role=Role.admin))
    bo, roles = as_("bo"), lambda: {one.user: one.role.value for one in workspaces.members(world.db, "lab")}
    sent = bo.post("/lab/people", data={"user": "eve", "role": "viewer"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/lab/people")
    assert roles()["eve"] == "viewer"
    assert bo.post("/lab/people", data={"user": "eve", "role": "auditor"}).status_code == 303
    assert roles()["eve"] == "auditor"
    assert bo.post("/lab/people/remove", data={"user": "eve"}).status_code == 303
    assert "eve" not in roles()


@pytest.mark.parametrize(
    ("path", "fields", "status", "word"),
    [
        ("people", {"user": "nobody", "role": "member"}, 404, "no user"),
        ("people", {"user": "eve", "role": "emperor"}, 422, "emperor"),
        ("people", {"user": "eve", "role": "owner"}, 403, "Only an owner"),
        ("people", {"user": "ada", "role": "viewer"}, 403, "Only an owner"),
        ("people/remove", {"user": "ada"}, 403, "Only an owner"),
        ("people/remove", {"user": "eve"}, 404, "no member"),
    ],
)
def test_what_an_admin_may_not_or_cannot_is_said_on_the_page(world, as_, path, fields, status, word):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="bo", role=Role.admin))
    before = workspaces.members(world.db, "lab")
    answer = as_("bo").post(f"/lab/{path}", data=fields)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert word in answer.text
    assert workspaces.members(world.db, "lab") == before


def test_the_last_owner_stays_and_a_member_changes_nobody(world, as_):
    answer = as_("ada").post("/lab/people/remove", data={"user": "ada"})
    assert (answer.status_code, "at least one owner" in answer.text) == (409, True)
    bo = as_("bo")
    assert "/people/remove" not in bo.get("/lab/people").text
    for path in ("people", "people/remove"):
        assert bo.post(f"/lab/{path}", data={"user": "bo", "role": "admin"}).status_code == 403


def test_somebody_is_let_in_and_removed_in_a_browser(page):
    sign_in(page)
    page.goto("/lab/people")
    page.get_by_label("Name of their account").fill("eve")
    page.get_by_role("button", name="Let in").click()
    page.get_by_role("button", name="Change eve").press("Enter")
    page.get_by_label("Role of eve").select_option("viewer")
    picture(page, "people-change")
    page.get_by_role("button", name="Give this role").click()
    page.locator("tr", has_text="eve").get_by_role("cell", name="viewer").wait_for()
    assert sideways(page) == []
    page.get_by_role("button", name="Change eve").click()
    page.get_by_role("button", name="Remove eve").click()
    page.get_by_role("row", name="eve").wait_for(state="detached")


def test_the_audit_page_finds_by_who_what_and_outcome_and_goes_on_to_older_ones(world, as_):
    bo = as_("bo")
    for _ in range(60):
        assert bo.get("/lab/audit").status_code == 403
    ada = as_("ada")
    page = ada.get("/lab/audit?actor=bo&verb=console&outcome=denied").text
    assert page.count("console.audit") == 50
    assert page.count("Older") == 1
    older = page.partition('<p><a href="')[2].partition('"')[0].replace("&amp;", "&")
    assert ada.get(older).text.count("<small>lab</small>") == 10
    assert "Nothing of that kind" in ada.get("/lab/audit?actor=nobody").text
    assert ada.get("/lab/audit?outcome=nonsense").status_code == 200
