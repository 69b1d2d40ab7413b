"""What is written down of denials, and how much of it."""

from collections import Counter
from datetime import timedelta

import pytest

from amasia import errors
from amasia.database import failures
from amasia.database.failures import Flood
from amasia.models.base import now
from amasia.models.events import EventFilter
from amasia.models.users import SignIn
from amasia.services import access, events, users


def test_what_was_left_out_is_told_also_when_older_counts_were_forgotten_meanwhile(world, monkeypatch):
    for _ in range(access.DENIALS + 7):
        access.deny(world.db, world.bo, "lab", "thing.do", "x")
    later = now() + timedelta(hours=1)
    for module in (access, users):
        monkeypatch.setattr(module, "now", lambda: later)
    with pytest.raises(errors.NotSignedIn):
        users.sign_in(world.db, SignIn(name="eve", password="wrong"), "192.0.2.1")
    access.deny(world.db, world.bo, "lab", "thing.do", "again")
    assert events.find(world.db, "lab", None, 1, EventFilter(verb="thing.do"))[0].detail == {"left_out": 7}


def test_a_flood_from_one_address_does_not_hide_the_tries_of_another(world):
    for source in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
        for _ in range(access.OF_ADDRESS + 3):
            access.deny(world.db, access.anonymous(source), None, "token.use", "x")
    access.deny(world.db, access.anonymous("2001:db8::2"), None, "token.use", "of the same network")
    access.deny(world.db, access.anonymous("192.0.2.3"), None, "token.use", "alone")
    found = Counter(one.source for one in events.find(world.db, None, None, 500, EventFilter(verb="token.use")))
    many = access.OF_ADDRESS
    assert found == {"192.0.2.1": many, "192.0.2.2": many, "2001:db8::1": many, "192.0.2.3": 1}


def test_floods_from_many_addresses_make_no_more_rows_and_are_told_by_the_next_one(world, monkeypatch):
    monkeypatch.setattr(access, "ADDRESSES", 3)
    monkeypatch.setattr(access, "OF_ADDRESS", 2)
    for number in range(10):
        for _ in range(4):
            access.deny(world.db, access.anonymous(f"192.0.2.{number}"), None, "token.use", "x")
            world.db.denied = Flood()  # each is written, as if it came late
    with world.db.read() as tx:
        assert failures.rows(tx, "denied:anonymous") == 4
    assert len(events.find(world.db, None, None, 500, EventFilter(verb="token.use"))) == 4 * 2
    later = now() + access.WHILE + timedelta(seconds=1)
    monkeypatch.setattr(access, "now", lambda: later)
    access.deny(world.db, access.anonymous("192.0.2.99"), None, "token.use", "x")
    assert events.find(world.db, None, None, 1, EventFilter(verb="token.use"))[0].detail == {"left_out": 3 * 2}
