"""Locations, and who may name which addresses."""

import pytest

from amasia import errors
from amasia.models.events import EventFilter, Outcome
from amasia.models.locations import LocationChange, LocationRequest, LocationStatus, Use
from amasia.services import events, locations, machines
from tests.conftest import OFFERS

LAB = LocationRequest(name="lab", provider="ssh", secrets={"key": "k"})


@pytest.mark.parametrize(("who", "everybody", "may"), [("ada", False, True), ("bo", False, False), ("bo", True, True)])
def test_private_addresses_are_for_operators_or_for_everybody(world, who, everybody, may):
    made = locations.create(world.db, getattr(world, who), "lab", LAB, private_endpoints=everybody)
    assert made.private_endpoints is may
    assert locations.get(world.db, "lab", "lab").private_endpoints is may


def secrets_of(world):
    return {location.name: secrets for location, secrets in locations.every(world.db)}["lab"]


def test_a_change_leaves_what_it_does_not_name_and_wishes_for_a_look(world):
    locations.create(world.db, world.ada, "lab", LAB)
    locations.checked(world.db, locations.get(world.db, "lab", "lab"), (), ())
    found = locations.update(world.db, world.ada, "lab", "lab", LocationChange(max_machines=7))
    assert (found.max_machines, found.status, found.private_endpoints) == (7, LocationStatus.requested, True)
    assert secrets_of(world) == {"key": "k"}
    locations.update(world.db, world.ada, "lab", "lab", LocationChange(secrets={"key": "new"}))
    assert secrets_of(world) == {"key": "new"}


def test_whoever_changes_what_a_location_does_answers_for_it(world):
    locations.create(world.db, world.ada, "lab", LAB)
    keyless = LocationRequest(name="own", provider="aws")
    locations.create(world.db, world.ada, "lab", keyless)
    for change in ({"options": {"subnets": ["s-1"]}}, {"secrets": {"key": "mine"}}, {"max_machines": 100_000}):
        with pytest.raises(errors.PermissionDenied):
            locations.update(world.db, world.bo, "lab", "own", LocationChange.model_validate(change))
    with pytest.raises(errors.PermissionDenied):
        locations.update(world.db, world.bo, "lab", "lab", LocationChange(secrets={}))
    elsewhere = locations.update(world.db, world.bo, "lab", "lab", LocationChange(options={"hosts": []}))
    assert not elsewhere.private_endpoints
    denied = events.find(world.db, "lab", None, 10, EventFilter(verb="location.update", outcome=Outcome.denied))
    assert [one.target for one in denied] == ["lab", "own", "own", "own"]


@pytest.mark.parametrize("aim", ["endpoint", "authority"])
def test_secrets_that_somebody_else_gave_are_sent_nowhere_else(world, aim):
    there = {aim: "https://there.example"}
    request = LocationRequest(name="lab", provider="azure", secrets={"secret": "s3cret"}, options=there)
    locations.create(world.db, world.ada, "lab", request)
    for options in ({aim: "https://eve.example"}, {}):
        for who in (world.bo, world.ada):
            with pytest.raises(errors.PermissionDenied, match=f"sent to another {aim}") as refused:
                locations.update(world.db, who, "lab", "lab", LocationChange(options=options))
            assert "[secrets]" in refused.value.cure
    assert locations.update(world.db, world.bo, "lab", "lab", LocationChange(options=there | {"zones": []}))
    change = LocationChange(options={aim: "https://eve.example"}, secrets={"secret": "eve's"})
    assert locations.update(world.db, world.bo, "lab", "lab", change).options == {aim: "https://eve.example"}
    assert secrets_of(world) == {"secret": "eve's"}


@pytest.mark.parametrize(
    ("options", "may"),
    [
        ({"hosts": [{"address": "a"}, {"address": "b"}], "root": "/r"}, True),
        ({"hosts": [{"address": "b"}], "root": "/r"}, False),
        ({"hosts": [{"address": "a"}], "root": "/other"}, False),
        ({"hosts": [{"address": "a"}]}, False),
    ],
)
def test_nothing_changes_under_machines_but_more_may_come(world, options, may):
    locations.create(
        world.db, world.ada, "lab", LAB.model_copy(update={"options": {"hosts": [{"address": "a"}], "root": "/r"}})
    )
    locations.checked(world.db, locations.get(world.db, "lab", "lab"), (), OFFERS)
    world.cluster(n_workers=0, location="lab")
    if may:
        assert locations.update(world.db, world.ada, "lab", "lab", LocationChange(options=options)).options == options
        return
    with pytest.raises(errors.Conflict, match="1 machines"):
        locations.update(world.db, world.ada, "lab", "lab", LocationChange(options=options))


def test_what_is_not_there_cannot_be_changed(world):
    with pytest.raises(errors.NotFound):
        locations.update(world.db, world.ada, "lab", "nowhere", LocationChange(max_machines=1))


def test_what_is_at_a_location_is_counted_with_what_it_costs(world):
    assert locations.in_use(world.db, "lab") == {}
    made = world.cluster(n_workers=2)
    assert locations.in_use(world.db, "lab") == {"local": Use(machines=3, rate=0)}
    first = made.machines[0]
    machines.begin(world.db, world.settings, first)
    assert locations.in_use(world.db, "lab") == {"local": Use(machines=3, rate=first.price)}
    found = locations.machines_at(world.db, "lab", "local")
    assert {one.id for one in found} == {one.id for one in made.machines}
    assert locations.in_use(world.db, "other") == {}
    with pytest.raises(errors.NotFound, match="has no location 'none'"):
        locations.machines_at(world.db, "lab", "none")
