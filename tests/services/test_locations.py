"""Locations, and who may name which addresses."""

import pytest

from amasia import errors
from amasia.models.locations import LocationRequest, Use
from amasia.services import locations, machines

LAB = LocationRequest(name="lab", provider="ssh", secrets={"key": "k"})


@pytest.mark.parametrize(("who", "everybody", "may"), [("ada", False, True), ("bo", False, False), ("bo", True, True)])
def test_private_addresses_are_for_operators_or_for_everybody(world, who, everybody, may):
    made = locations.create(world.db, getattr(world, who), "lab", LAB, private_endpoints=everybody)
    assert made.private_endpoints is may
    assert locations.get(world.db, "lab", "lab").private_endpoints is may


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
