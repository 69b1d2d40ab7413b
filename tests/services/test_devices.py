"""Devices that are let in: once, soon, by whoever has the code, and not by guessing."""

import pytest
from pydantic import ValidationError

from amasia import errors
from amasia.database.tables import devices as table
from amasia.models.devices import DeviceRequest, DeviceStatus
from amasia.services import access, devices, users


def begin(world, source="192.0.2.7"):
    return devices.begin(world.db, DeviceRequest(label="laptop", days=3), source, "https://amasia.example")


@pytest.fixture
def patient(monkeypatch):
    """Polls that are as far apart as they should be."""
    monkeypatch.setattr(devices, "INTERVAL", 0)


def poll(world, codes):
    return devices.poll(world.db, codes.device_code, "192.0.2.7")


def test_a_device_waits_is_let_in_and_gets_its_token_once(world, patient):
    codes = begin(world)
    assert poll(world, codes).status is DeviceStatus.pending
    seen = devices.get(world.db, world.bo, codes.user_code.lower().replace("-", " "))
    assert (seen.label, seen.source, seen.days) == ("laptop", "192.0.2.7", 3)
    devices.answer(world.db, world.bo, codes.user_code, approve=True)
    given = poll(world, codes)
    assert given.token is not None
    who = access.principal(world.db, given.token.secret, "")
    assert who.user == "bo"
    assert given.token.token.label == "laptop"
    assert (given.token.token.expires_at - given.token.token.created_at).days == 3
    assert poll(world, codes).status is DeviceStatus.expired


def test_a_device_that_is_sent_away_gets_nothing_and_the_first_answer_counts(world, patient):
    codes = begin(world)
    devices.answer(world.db, world.bo, codes.user_code, approve=False)
    with pytest.raises(errors.NotFound):
        devices.answer(world.db, world.ada, codes.user_code, approve=True)
    answer = poll(world, codes)
    assert (answer.status, answer.token) == (DeviceStatus.denied, None)


def test_codes_end_after_minutes(world, patient, monkeypatch):
    codes = begin(world)
    monkeypatch.setattr(devices, "LIFE", -devices.LIFE)
    late = begin(world)
    assert poll(world, late).status is DeviceStatus.expired
    with pytest.raises(errors.NotFound):
        devices.get(world.db, world.bo, late.user_code)
    assert poll(world, codes).status is DeviceStatus.pending


def test_neither_code_is_in_the_database(world):
    codes = begin(world)
    with world.db.read() as tx:
        kept = " ".join(str(value) for row in tx.execute(table.select()).mappings() for value in row.values())
    assert codes.device_code not in kept
    assert codes.user_code not in kept
    assert codes.user_code.replace("-", "") not in kept
    assert codes.device_code not in repr(codes)


def test_whoever_polls_too_fast_asks_too_often_or_types_wrong_codes_waits(world):
    codes = begin(world)
    poll(world, codes)
    with pytest.raises(errors.TooOften):
        poll(world, codes)
    for _ in range(devices.TYPED):
        with pytest.raises(errors.NotFound):
            devices.get(world.db, world.bo, "BBBB-BBBB")
    with pytest.raises(errors.TooOften, match="too many wrong codes"):
        devices.get(world.db, world.bo, codes.user_code)
    assert devices.get(world.db, world.ada, codes.user_code).label == "laptop"
    for _ in range(devices.ASKED - 1):
        begin(world)
    with pytest.raises(errors.TooOften):
        begin(world)
    begin(world, source="192.0.2.8")


def test_what_a_device_calls_itself_can_be_read():
    for label in ("laptop\nfor 1 day", "\u202elaptop", "", "x" * 101):
        with pytest.raises(ValidationError):
            DeviceRequest(label=label)


def test_whoever_was_removed_after_they_let_a_device_in_gives_it_nothing(world, patient):
    codes = begin(world)
    devices.answer(world.db, world.bo, codes.user_code, approve=True)
    users.remove(world.db, world.ada, "bo")
    assert poll(world, codes).token is None
