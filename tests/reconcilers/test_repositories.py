"""The index of histories, also where one of them cannot be read."""

from datetime import timedelta

import pytest

from amasia import errors
from amasia.models.base import now
from amasia.models.repositories import RepositoryRequest
from amasia.reconcilers import repositories as loop
from amasia.services import repositories


@pytest.mark.parametrize("problem", [errors.NotFound("It is gone."), ValueError("what another tool wrote")])
def test_one_history_that_cannot_be_read_keeps_no_other_from_its_turn(world, monkeypatch, problem):
    for name in ("broken", "whole"):
        repositories.create(world.db, world.ada, "lab", RepositoryRequest(name=name))
        repositories.made(world.db, repositories.get(world.db, "lab", name))
    read = []

    def histories(name):
        read.append(name)
        if name == "broken":
            raise problem
        return []

    monkeypatch.setattr(loop, "SETTLE", -timedelta(minutes=1))
    monkeypatch.setattr(loop, "source", lambda db, repository: repository.name)
    monkeypatch.setattr(loop.stores, "open", lambda name: name)
    monkeypatch.setattr(loop.refs, "find", lambda name: [])
    monkeypatch.setattr(loop, "histories", lambda name, known: histories(name))
    loop.index(world.db)
    assert sorted(read) == ["broken", "whole"]
    assert [found.name for found in repositories.stale(world.db, now() + timedelta(minutes=1))] == ["broken"]
