"""One appends at a time, and a dead one blocks the others for no longer than its turn."""

from datetime import timedelta

import pytest

from amasia import errors
from amasia.models import turns as models
from amasia.models.base import now
from amasia.models.repositories import RepositoryRequest
from amasia.models.turns import TurnRequest
from amasia.services import repositories, turns


@pytest.fixture
def data(world):
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="data"))
    repositories.made(world.db, repositories.get(world.db, "lab", "data"))


def take(world, who, branch="main"):
    return turns.take(world.db, who, "lab", "data", TurnRequest(branch=branch))


def test_a_turn_is_one_writers_until_it_is_given_back(world, data):
    first = take(world, world.ada)
    assert first.mine
    second = take(world, world.bo)
    assert (second.mine, second.user, second.id) == (False, "ada", first.id)
    assert take(world, world.bo, "dev").mine
    turns.end(world.db, "lab", "data", first.id)
    assert take(world, world.bo).mine


def test_a_turn_ends_by_itself_and_its_late_holder_is_told(world, data, monkeypatch):
    first = take(world, world.ada)
    later = now() + timedelta(seconds=models.SECONDS + 1)
    monkeypatch.setattr(turns, "now", lambda: later)
    assert take(world, world.bo).mine
    with pytest.raises(errors.Conflict, match="is over"):
        turns.renew(world.db, "lab", "data", first.id)
    turns.end(world.db, "lab", "data", first.id)
    assert not take(world, world.ada).mine, "whoever is late ends nobody else's turn"


def test_a_turn_that_is_renewed_goes_on(world, data, monkeypatch):
    first = take(world, world.ada)
    later = now() + timedelta(seconds=models.SECONDS - 1)
    monkeypatch.setattr(turns, "now", lambda: later)
    turns.renew(world.db, "lab", "data", first.id)
    later += timedelta(seconds=models.SECONDS - 1)
    assert not take(world, world.bo).mine
