"""Who sees what, who may stop what, and what other sites cannot make a browser do."""

import pytest

from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.models.workspaces import WorkspaceRequest
from amasia.services import clusters, users, workspaces
from amasia.web.access import local

from .conftest import browser, repository, start

COOKIE = "amasia-8642"


@pytest.fixture
def viewer(world, as_):
    member = Membership(workspace="lab", user="eve", role=Role.viewer)
    workspaces.set_member(world.db, world.ada, Role.owner, member)
    return as_("eve")


def pages(cluster):
    return (
        "/lab",
        "/lab/costs",
        "/lab/locations",
        "/lab/locations/local",
        f"/lab/clusters/{cluster.id}",
        f"/lab/clusters/{cluster.name}",
        "/lab/repositories",
        "/lab/repositories/data",
    )


def test_every_page_asks_for_a_sign_in_and_leads_back_to_where_one_wanted_to_go(world, anybody):
    repository(world, "data")
    for path in ("/", *pages(start(world, world.ada))):
        answer = anybody.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/-/sign-in?next={path}"
        assert "running-one" not in answer.text


def test_members_see_every_page(world, as_):
    repository(world, "data")
    bo = as_("bo")
    for path in pages(start(world, world.ada)):
        answer = bo.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_a_stranger_gets_the_same_404_page_for_a_workspace_that_is_there_and_one_that_is_not(world, as_):
    repository(world, "data")
    eve = as_("eve")
    for path in pages(start(world, world.ada)):
        real, unreal = eve.get(path), eve.get(path.replace("/lab", "/none", 1))
        assert real.status_code == unreal.status_code == 404, path
        assert real.text.replace("lab", "none") == unreal.text


def test_the_first_page_leads_to_ones_own_workspace_and_offers_the_others(world, as_):
    workspaces.create(world.db, world.ada, WorkspaceRequest(name="atlas"), limit=1)
    ada = as_("ada")
    assert ada.get("/").headers["location"] == "/atlas"
    text = ada.get("/atlas").text
    assert 'href="/lab"' in text
    assert 'href="/other"' not in text


def test_an_owner_stops_their_cluster_with_the_button_of_the_page(world, as_):
    made = start(world, world.ada)
    ada = as_("ada")
    action = f"/lab/clusters/{made.id}/stop"
    assert f'action="{action}"' in ada.get("/lab").text
    answer = ada.post(action, data={"next": "/lab"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/lab")
    assert clusters.get(world.db, "lab", made.id).target.value == "stopped"
    text = ada.get("/lab").text
    assert "ada stopped it" in text
    assert action not in text


def test_a_member_has_no_button_for_what_belongs_to_another_and_a_sent_form_is_refused(world, as_):
    made = start(world, world.ada)
    bo = as_("bo")
    assert "/stop" not in bo.get("/lab").text + bo.get(f"/lab/clusters/{made.id}").text
    answer = bo.post(f"/lab/clusters/{made.id}/stop")
    assert answer.status_code == 403
    assert "It belongs to ada." in answer.text
    assert clusters.get(world.db, "lab", made.id).target.value == "running"


def test_whoever_manages_the_workspace_stops_anybodys_cluster(world, as_):
    made = start(world, world.bo)
    ada = as_("ada")
    assert f"/lab/clusters/{made.id}/stop" in ada.get("/lab").text
    assert ada.post(f"/lab/clusters/{made.id}/stop").status_code == 303
    assert clusters.get(world.db, "lab", made.id).reason == "ada stopped it"


def test_a_viewer_has_no_stop_button_and_a_sent_form_is_refused(world, viewer):
    made = start(world, world.ada)
    assert "/stop" not in viewer.get("/lab").text
    answer = viewer.post(f"/lab/clusters/{made.id}/stop")
    assert answer.status_code == 403
    assert "needs the permission" in answer.text
    assert clusters.get(world.db, "lab", made.id).target.value == "running"


def test_only_owner_and_managers_read_a_log(world, as_, viewer):
    made = start(world, world.bo, log="the secret of bo\n")
    path = f"/lab/clusters/{made.id}"
    assert "the secret of bo" in as_("bo").get(path).text
    assert "the secret of bo" in as_("ada").get(path).text
    assert "the secret of bo" not in viewer.get(path).text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver:9999"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {},
    ],
)
def test_a_form_from_elsewhere_is_refused_though_the_cookie_is_there(world, site, as_, headers):
    made = start(world, world.ada)
    secret = as_("ada").cookies[COOKIE]
    forged = browser(site)
    forged.headers.pop("Sec-Fetch-Site")
    forged.cookies.set(COOKIE, secret)
    for path in (f"/lab/clusters/{made.id}/stop", "/-/sign-out", "/-/sign-in"):
        answer = forged.post(path, headers=headers, data={"name": "ada", "password": "ada's password"})
        assert answer.status_code == 403, path
        assert "only this console" in answer.text
        assert "set-cookie" not in answer.headers
    assert clusters.get(world.db, "lab", made.id).target.value == "running"
    assert forged.get("/lab").status_code == 200


def test_an_old_browser_that_sends_only_its_origin_is_served(site):
    old = browser(site)
    old.headers.pop("Sec-Fetch-Site")
    form = {"name": "ada", "password": "ada's password"}
    assert old.post("/-/sign-in", data=form, headers={"Origin": "http://testserver"}).status_code == 303


@pytest.mark.parametrize(
    "path",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
     "javascript:x", "evil.example", "", " //evil.example", "///evil.example", "/\n/evil.example"],
)  # fmt: skip
def test_sign_in_leads_nowhere_but_to_this_console(anybody, path):
    form = {"name": "ada", "password": "ada's password", "next": path}
    assert anybody.post("/-/sign-in", data=form).headers["location"] == "/"
    assert "evil" not in anybody.get("/-/sign-in", params={"next": path}).text


def test_local_paths_are_kept_with_their_query():
    assert local("/lab/repositories/data?x=1#s") == "/lab/repositories/data?x=1#s"


def test_the_cookie_is_for_http_only_strict_and_never_in_an_address(anybody):
    answer = anybody.post("/-/sign-in", data={"name": "ada", "password": "ada's password"})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=ama_")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "ama_" not in answer.headers["location"] + answer.text


def test_with_https_the_cookie_is_secure_and_bound_to_the_host(world, site):
    console = site.router.routes[-1].app.app
    console.state.settings = world.settings.model_copy(update={"public_url": "https://amasia.example"})
    cookie = browser(site).post("/-/sign-in", data={"name": "ada", "password": "ada's password"}).headers["set-cookie"]
    assert cookie.startswith("__Host-amasia-8642=")
    assert "; Secure" in cookie
    assert "Domain" not in cookie


def test_a_wrong_password_and_an_unknown_or_impossible_name_are_told_alike(anybody):
    told = set()
    for name in ("ada", "nobody", "<script>"):
        answer = anybody.post("/-/sign-in", data={"name": name, "password": "wrong"})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "<script>" not in answer.text.replace('<script src="/', "")
        told.add(answer.text.count("Name or password is wrong."))
    assert told == {1}


def test_sign_out_ends_the_token_itself(world, site, as_):
    ada = as_("ada")
    secret = ada.cookies[COOKIE]
    kept = browser(site)
    kept.cookies.set(COOKIE, secret)
    assert kept.get("/lab").status_code == 200
    before = len(users.find_tokens(world.db, world.ada))
    answer = ada.post("/-/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/-/sign-in")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert kept.get("/lab").status_code == 303
    assert kept.post("/-/sign-out").status_code == 303
    assert len(users.find_tokens(world.db, world.ada)) == before - 1


def test_the_session_is_no_key_to_the_api_so_no_form_can_reach_it(as_):
    assert as_("ada").get("/v1/me").status_code == 401


def test_a_page_that_polls_is_sent_to_sign_in_as_a_whole_when_the_session_is_over(anybody):
    answer = anybody.get("/lab", headers={"HX-Request": "true"})
    assert answer.headers["hx-redirect"] == "/-/sign-in?next=/lab"
    assert answer.text == ""


def test_a_link_from_another_site_asks_once_more_so_that_the_strict_cookie_is_sent(anybody):
    answer = anybody.get("/lab", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.headers["refresh"]) == (200, "0")
