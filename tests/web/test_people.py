"""Each role sees its own pages, and those of the others neither in the menu nor by their address."""

import pytest

from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.services import workspaces

PAGES = ("", "locations", "costs", "people", "audit")
SEES = {
    "owner": {"", "locations", "costs", "people", "audit"},
    "admin": {"", "locations", "costs", "people", "audit"},
    "member": {"", "locations", "costs", "people", "audit"},
    "viewer": {"", "locations", "costs", "people", "audit"},
    "billing": {"costs", "people", "audit"},
    "auditor": {"people", "audit"},
    "guest": {"audit"},
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


def test_the_audit_page_finds_by_who_what_and_outcome_and_goes_on_to_older_ones(world, as_):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="bo", role=Role.guest))
    bo = as_("bo")
    for _ in range(60):
        assert bo.get("/lab/people").status_code == 403
    ada = as_("ada")
    page = ada.get("/lab/audit?actor=bo&verb=console&outcome=denied").text
    assert page.count("console.people") == 50
    assert page.count("Older") == 1
    older = page.partition('<p><a href="')[2].partition('"')[0].replace("&amp;", "&")
    assert ada.get(older).text.count("<small>lab</small>") == 10
    assert "Nothing of that kind" in ada.get("/lab/audit?actor=nobody").text
    assert ada.get("/lab/audit?outcome=nonsense").status_code == 200
