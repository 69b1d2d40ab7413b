"""Letting a computer in, and inviting people, as a client does it."""

import threading

import pytest

from amasia import errors
from amasia.client import accounts, users
from amasia.client.transport import Connection
from amasia.models.devices import DeviceCodes
from amasia.models.users import Principal, Scope
from amasia.services import access, devices
from amasia.settings import client_settings

from .conftest import ControlPlane

ADA = Principal(user="ada", operator=True, scope=Scope.everything, token_id="")


def answered(control_plane: ControlPlane, *, approve: bool) -> list[DeviceCodes]:
    """Sign in by device, with somebody who answers a moment after the code is shown."""
    shown: list[DeviceCodes] = []

    def show(codes: DeviceCodes) -> None:
        shown.append(codes)
        answer = lambda: devices.answer(control_plane.db, ADA, codes.user_code, approve=approve)  # noqa: E731
        threading.Timer(0.2, answer).start()

    accounts.sign_in_by_device(control_plane.url, show, days=3)
    return shown


def test_a_computer_that_is_let_in_has_a_token_of_its_own_in_its_profile(control_plane: ControlPlane) -> None:
    [codes] = answered(control_plane, approve=True)
    assert codes.verification_uri_complete.endswith(f"/-/device?code={codes.user_code}")
    secret = client_settings().token.get_secret_value()
    assert access.principal(control_plane.db, secret, "").user == "ada"
    assert client_settings().workspace == "demo"
    mine = accounts.find_tokens(connection=Connection(control_plane.url, secret))
    assert any(one.label.startswith("amasia login on ") and one.idle_seconds is None for one in mine)


def test_a_computer_that_is_sent_away_keeps_its_profile(control_plane: ControlPlane) -> None:
    before = client_settings().token.get_secret_value()
    with pytest.raises(errors.PermissionDenied, match="sent away"):
        answered(control_plane, approve=False)
    assert client_settings().token.get_secret_value() == before


def test_a_control_plane_says_how_people_get_in(control_plane: ControlPlane) -> None:
    found = accounts.ways(control_plane.url)
    assert (found.providers, found.sign_up) == ((), "closed")


def test_an_operator_invites_and_nobody_else(control_plane: ControlPlane) -> None:
    made = users.invite("bo", days=2)
    assert made.user.name == "bo"
    assert made.url.endswith("/-/invitation")
    assert made.code not in repr(made)
    assert "bo" in {one.name for one in users.find()}
    with pytest.raises(errors.PermissionDenied):
        users.invite("eve", connection=control_plane.another("carl"))
    with pytest.raises(errors.InvalidRequest):
        users.invite("No Name")
