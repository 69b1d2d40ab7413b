"""The console's page of secrets takes them, and shows none."""

from amasia.models.grants import GroupRequest
from amasia.models.limits import LimitsRequest
from amasia.models.permissions import Role
from amasia.models.secrets import SecretRequest
from amasia.models.users import Membership
from amasia.services import groups, limits, secrets, workspaces
from tests.browsers import picture, sideways

from .conftest import sign_in

VALUE = "correct horse battery staple"


def test_a_form_sets_one_and_a_button_removes_it(world, as_):
    bo = as_("bo")
    assert 'href="/lab/secrets"' in bo.get("/lab/people").text
    sent = bo.post("/lab/secrets", data={"name": "KEY_1", "value": VALUE})
    assert (sent.status_code, sent.headers["location"]) == (303, "/lab/secrets")
    text = bo.get("/lab/secrets").text
    assert "KEY_1" in text
    assert "user:bo" in text
    assert VALUE not in text
    assert bo.post("/lab/secrets/remove", data={"name": "KEY_1", "grantee": "user:bo"}).status_code == 303
    assert "KEY_1" not in bo.get("/lab/secrets").text.replace("COPERNICUS", "")


def test_what_cannot_be_one_is_said_beside_the_form_without_the_value(world, as_):
    ada = as_("ada")
    for fields, word in (
        ({"name": "PATH", "value": VALUE}, "choose another name"),
        ({"name": "KEY_1", "value": "shrt"}, "cannot be hidden in logs"),
        ({"name": "KEY_1", "value": VALUE, "grantee": "group:none"}, "no group"),
    ):
        answer = ada.post("/lab/secrets", data=fields)
        assert answer.status_code in (404, 422)
        assert word in answer.text
        assert fields["value"] not in answer.text


def test_at_the_limit_the_form_says_what_an_operator_can_do(world, as_):
    limits.put(world.db, world.ada, world.settings, "lab", LimitsRequest(secrets=1))
    ada = as_("ada")
    assert ada.post("/lab/secrets", data={"name": "KEY_1", "value": VALUE}).status_code == 303
    answer = ada.post("/lab/secrets", data={"name": "KEY_2", "value": VALUE})
    assert answer.status_code == 422
    assert "operator" in answer.text
    assert "type the value again" not in answer.text


def test_a_member_sees_everyones_and_removes_only_their_own(world, as_):
    wish = SecretRequest(value=VALUE, grantee="everyone")
    secrets.put(world.db, world.ada, Role.owner, "lab", "KEY_1", wish)
    text = as_("bo").get("/lab/secrets").text
    assert "KEY_1" in text
    assert "/secrets/remove" not in text
    assert 'name="grantee"' not in text
    sent = as_("bo").post("/lab/secrets/remove", data={"name": "KEY_1", "grantee": "everyone"})
    assert sent.status_code == 403
    assert "/secrets/remove" in as_("ada").get("/lab/secrets").text


def test_a_viewer_has_no_page_of_secrets(world, as_):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="eve", role=Role.viewer))
    eve = as_("eve")
    assert eve.get("/lab/secrets").status_code == 403
    assert "/lab/secrets" not in eve.get("/lab/people").text


def test_one_is_set_and_removed_with_the_keyboard_and_the_page_fits_its_window(page, world):
    groups.create(world.db, world.ada, "lab", GroupRequest(name="g" * 63))
    wish = SecretRequest(value=VALUE, grantee=f"group:{'g' * 63}")
    secrets.put(world.db, world.ada, Role.owner, "lab", "K" * 100, wish)
    sign_in(page)
    page.goto("/lab/people")
    page.get_by_role("link", name="Secrets").click()
    page.get_by_label("Name").fill("COPERNICUS_KEY")
    page.keyboard.press("Tab")
    page.keyboard.type(VALUE)
    page.keyboard.press("Enter")
    page.get_by_role("row", name="COPERNICUS_KEY").wait_for()
    assert sideways(page) == []
    picture(page, "secrets")
    page.get_by_role("button", name="Remove COPERNICUS_KEY for user:ada").press("Enter")
    page.get_by_role("row", name="COPERNICUS_KEY").wait_for(state="detached")
    assert VALUE not in page.content()
