"""The small nouns, against a real API."""

import pytest

from amasia.client import accounts, budgets, costs, events, locations, workspaces
from amasia.client.transport import Connection
from amasia.errors import Conflict, ControlPlaneDown, InvalidRequest, NotFound, NotSignedIn, PermissionDenied
from amasia.settings import client_settings
from tests.client.conftest import ControlPlane


def test_signing_in_keeps_the_token_and_chooses_a_workspace(control_plane: ControlPlane) -> None:
    before = client_settings().token.get_secret_value()
    me = accounts.sign_in(control_plane.url, "ada", control_plane.password)
    assert me.user.name == "ada"
    settings = client_settings()
    assert settings.token.get_secret_value() not in ("", before)
    assert (settings.url, settings.workspace) == (control_plane.url, "demo")
    assert settings.profile.stat().st_mode & 0o777 == 0o600
    assert accounts.get().user.name == "ada"


def test_a_wrong_password_is_refused_and_the_profile_stays(control_plane: ControlPlane) -> None:
    before = client_settings().profile.read_text()
    with pytest.raises(NotSignedIn):
        accounts.sign_in(control_plane.url, "ada", "wrong horse")
    with pytest.raises(NotSignedIn):
        accounts.keep(control_plane.url, "am_nonsense")
    with pytest.raises(ControlPlaneDown):
        accounts.sign_in("http://127.0.0.1:1", "ada", "correct horse")
    assert client_settings().profile.read_text() == before


def test_signing_out_forgets_the_control_plane(control_plane: ControlPlane) -> None:
    accounts.sign_out()
    accounts.sign_out()
    with pytest.raises(NotSignedIn, match="amasia up"):
        accounts.get()


def test_a_token_works_until_it_is_revoked(control_plane: ControlPlane) -> None:
    made = accounts.create_token("ci", days=3)
    other = Connection(control_plane.url, made.secret)
    assert accounts.get(connection=other).user.name == "ada"
    assert made.token.id in [token.id for token in accounts.find_tokens()]
    accounts.revoke_token(made.token.id)
    with pytest.raises(NotSignedIn):
        accounts.get(connection=other)


def test_a_token_for_no_days_is_refused_before_it_is_sent(control_plane: ControlPlane) -> None:
    with pytest.raises(InvalidRequest, match="days"):
        accounts.create_token("ci", days=0, connection=Connection("http://127.0.0.1:1"))


def test_a_reading_token_changes_nothing(control_plane: ControlPlane) -> None:
    reader = Connection(control_plane.url, accounts.create_token("looker", scope="read").secret)
    assert budgets.get("demo", connection=reader).limit == 10_000_000
    with pytest.raises(PermissionDenied):
        budgets.set("99", "demo", connection=reader)
    assert budgets.get().limit == 10_000_000


def test_a_budget_that_was_set_is_there(control_plane: ControlPlane) -> None:
    assert budgets.set("12.34").limit == 12_340_000
    assert budgets.get("demo").limit == 12_340_000
    assert costs.get().limit == 12_340_000


def test_a_budget_that_is_no_money_is_refused(control_plane: ControlPlane) -> None:
    for text in ("-1", "ten", "1.2345678", "1e3"):
        with pytest.raises(InvalidRequest):
            budgets.set(text)
    assert budgets.get().limit == 10_000_000


def test_budgets_of_users_tags_and_months_come_and_go(control_plane: ControlPlane) -> None:
    made = budgets.create("daily", "5", user="ada", per="day")
    assert (made.scope.kind, made.scope.name, made.period, made.limit) == ("user", "ada", "day", 5_000_000)
    assert made.resets_at is not None
    budgets.create("nino", "7.50", tag="project=nino", hard=False)
    assert budgets.set("6", name="daily").limit == 6_000_000
    assert [one.name for one in budgets.find()] == ["workspace", "daily", "nino"]
    with pytest.raises(InvalidRequest, match="user and tag"):
        budgets.create("both", "1", user="ada", tag="a=b")
    with pytest.raises(InvalidRequest, match="period"):
        budgets.create("odd", "1", per="week")
    budgets.delete("daily")
    with pytest.raises(NotFound):
        budgets.get(name="daily")
    assert workspaces.set_time_zone("Europe/Zurich").time_zone == "Europe/Zurich"
    assert budgets.get(name="nino").time_zone == "Europe/Zurich"
    with pytest.raises(InvalidRequest, match="is no time zone"):
        workspaces.set_time_zone("Zurich")


def test_members_come_and_go(control_plane: ControlPlane) -> None:
    eve = control_plane.another("eve")
    assert workspaces.find(connection=eve) == []
    with pytest.raises((PermissionDenied, NotFound)):
        budgets.get("demo", connection=eve)
    workspaces.set_member("eve", "viewer")
    assert [one.name for one in workspaces.find(connection=eve)] == ["demo"]
    assert {one.user: one.role for one in workspaces.members()} == {"ada": "owner", "eve": "viewer"}
    workspaces.remove_member("eve")
    assert workspaces.find(connection=eve) == []


def test_a_role_that_is_none_names_those_there_are(control_plane: ControlPlane) -> None:
    with pytest.raises(InvalidRequest, match="owner, admin, billing, member, viewer, auditor, guest"):
        workspaces.set_member("eve", "king")


def test_a_second_workspace_of_the_same_name_is_a_conflict(control_plane: ControlPlane) -> None:
    assert workspaces.create("oceans").name == "oceans"
    with pytest.raises(Conflict):
        workspaces.create("oceans")


def test_without_a_workspace_anywhere_it_says_how_to_name_one() -> None:
    with pytest.raises(InvalidRequest, match="workspace use"):
        workspaces.current()


def test_events_are_the_newest_first_and_no_more_than_asked_for(control_plane: ControlPlane) -> None:
    budgets.set("11")
    budgets.set("12")
    found = events.find(last=2)
    assert [event.verb for event in found] == ["budget.set", "budget.set"]
    assert found[0].id > found[1].id
    assert len(events.find()) > 2


def test_locations_have_their_offers(control_plane: ControlPlane) -> None:
    (local,) = locations.find()
    assert [(offer.type, offer.price) for offer in local.offers] == [("c1-m1", 45_000)]


def test_charges_begin_empty(control_plane: ControlPlane) -> None:
    assert costs.charges() == []
    assert costs.get().amount == 0
