"""Locations, and who may name which addresses."""

import pytest

from amasia.models.locations import LocationRequest
from amasia.services import locations

LAB = LocationRequest(name="lab", provider="ssh", secrets={"key": "k"})


@pytest.mark.parametrize(("who", "everybody", "may"), [("ada", False, True), ("bo", False, False), ("bo", True, True)])
def test_private_addresses_are_for_operators_or_for_everybody(world, who, everybody, may):
    made = locations.create(world.db, getattr(world, who), "lab", LAB, private_endpoints=everybody)
    assert made.private_endpoints is may
    assert locations.get(world.db, "lab", "lab").private_endpoints is may
