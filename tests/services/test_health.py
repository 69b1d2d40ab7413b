"""What an operator sees of a control plane: how it is, and nothing of what is in it."""

from amasia.database import locations as rows
from amasia.models.health import Round
from amasia.models.locations import Finding, Location, LocationStatus
from amasia.models.repositories import RepositoryRequest
from amasia.services import events, health, repositories


def test_it_counts_per_workspace_and_names_what_fails_and_shows_nothing_of_what_is_inside(world):
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="secret-data"))
    world.cluster(n_workers=1)
    finding = Finding(subject="10.0.0.7", what="the key of hush@example.org is refused", ok=False)
    broken = Location(workspace="other", name="far", provider="ssh", status=LocationStatus.failed, findings=(finding,))
    with world.db.write() as tx:
        rows.put_location(tx, broken)
    found = health.get(
        world.db, world.settings, "1", store="http://store", rounds=[Round(name="machines", seconds=0.5, age=0.1)]
    )
    assert found.ok
    lab = next(one for one in found.workspaces if one.workspace == "lab")
    assert (lab.machines, lab.waiting, lab.starting, lab.repositories) == (2, 2, 0, 1)
    assert [(one.workspace, one.name) for one in found.failed_locations] == [("other", "far")]
    said = found.model_dump_json()
    assert not [word for word in ("secret-data", "hush", "10.0.0.7", "small", "ada", "bo@") if word in said]


def test_it_is_not_well_with_a_loop_that_fails_or_hangs_or_without_a_store(world):
    for rounds, store in (
        ([Round(name="machines", seconds=0.5, age=0.1, failures=3, problem="OSError")], "http://store"),
        ([Round(name="machines", seconds=0.5, age=61)], "http://store"),
        ([Round(name="prices", seconds=3600, age=61)], ""),
    ):
        assert not health.get(world.db, world.settings, "1", store=store, rounds=rounds).ok
    slow = [Round(name="prices", seconds=3600, age=5000)]
    assert health.get(world.db, world.settings, "1", store="http://store", rounds=slow).ok


def test_events_that_a_place_outside_has_not_got_are_counted(world):
    batch = events.claim(world.db, "file", limit=1)
    events.exported(world.db, batch)
    (behind,) = health.get(world.db, world.settings, "1", store="").behind
    assert behind.sink == "file"
    assert behind.events == sum(events.head(world.db, one).seq for one in (None, "lab", "other")) - 1
