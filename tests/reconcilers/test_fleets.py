"""Each location has its provider, or the reason why not; none stands in the way of another."""

from amasia import errors
from amasia.models.locations import LocationRequest
from amasia.reconcilers.fleets import Fleet
from amasia.services import locations


def test_a_location_that_its_provider_stumbles_over_keeps_no_other_from_being_served(world):
    for name in ("bad", "good"):
        request = LocationRequest(name=name, provider="ssh", secrets={"key": "x"})
        locations.create(world.db, world.ada, "lab", request)

    def open_place(provider, place):
        if place.name == "bad":
            raise ValueError("a secret may stand here")
        return "opened"

    found = Fleet(world.db, world.settings.home, {}, open_place).by_location()
    assert found["lab", "good"] == "opened"
    assert isinstance(found["lab", "bad"], errors.Unavailable)
    assert "secret" not in str(found["lab", "bad"])
