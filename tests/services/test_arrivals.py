"""Files that landed: said once, settled once, and never with a login in their address."""

import pytest
from pydantic import ValidationError

from amasia import errors
from amasia.models.arrivals import ArrivalDone, ArrivalRequest, Outcome
from amasia.models.repositories import Repository, RepositoryRequest
from amasia.services import arrivals, repositories


@pytest.fixture
def place(world) -> Repository:
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="air"))
    return repositories.get(world.db, "lab", "air")


def test_what_waits_is_written_once_and_the_oldest_comes_first(world, place: Repository) -> None:
    arrivals.create(world.db, world.ada, place, ArrivalRequest(urls=("s3://b/1.nc", "s3://b/2.nc")))
    found = arrivals.create(world.db, world.bo, place, ArrivalRequest(urls=("s3://b/2.nc", "s3://b/3.nc")))
    assert [(one.url, one.by) for one in found] == [("s3://b/2.nc", "ada"), ("s3://b/3.nc", "bo")]
    waiting = arrivals.find(world.db, place, Outcome.waiting, 0, 10)
    assert [one.url for one in waiting] == ["s3://b/1.nc", "s3://b/2.nc", "s3://b/3.nc"]


def test_an_arrival_is_settled_once_and_may_land_again(world, place: Repository) -> None:
    (one,) = arrivals.create(world.db, world.ada, place, ArrivalRequest(urls=("s3://b/1.nc",)))
    arrivals.settle(world.db, world.ada, place, one.id, ArrivalDone(outcome=Outcome.refused, reason="cut short"))
    arrivals.settle(world.db, world.ada, place, one.id, ArrivalDone(outcome=Outcome.taken))
    (settled,) = arrivals.find(world.db, place, None, 0, 10)
    assert (settled.outcome, settled.reason) == (Outcome.refused, "cut short")
    (again,) = arrivals.create(world.db, world.ada, place, ArrivalRequest(urls=("s3://b/1.nc",)))
    assert again.id != one.id
    with pytest.raises(errors.NotFound):
        arrivals.settle(world.db, world.ada, place, 10_000, ArrivalDone(outcome=Outcome.taken))


@pytest.mark.parametrize("url", ["https://me:secret@host/a.nc", "https://host/a.nc?X-Amz-Signature=1", " ", "a\0b"])
def test_an_address_with_a_secret_in_it_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        ArrivalRequest(urls=(url,))


def test_too_many_that_nobody_takes_are_refused(world, place: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MOST", 2)
    with pytest.raises(errors.Conflict, match="Is it watched"):
        arrivals.create(world.db, world.ada, place, ArrivalRequest(urls=("s3://b/1", "s3://b/2", "s3://b/3")))
    assert arrivals.find(world.db, place, None, 0, 10) == []
