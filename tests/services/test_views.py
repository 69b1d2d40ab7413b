from datetime import UTC, datetime

import pytest

from amasia import errors
from amasia.models.grants import Level
from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.models.views import ViewChange, ViewStatus
from amasia.services import cleanings, grants, refreshes, repositories, views, workspaces


def test_a_new_view_is_behind_by_the_commits_of_its_source(lake):
    lake.commit("data", "S2", "S3")
    view = lake.view()
    assert (view.status, view.lag, view.newest, view.snapshot) == (ViewStatus.behind, 3, "S3", "")
    assert (view.source, view.target, view.owner) == ("lab/data", "lab/means", "ada")


def test_a_source_without_a_commit_leaves_nothing_to_do(lake):
    lake.repository("empty")
    view = lake.view(source="lab/empty")
    assert (view.status, view.lag, view.newest) == (ViewStatus.current, 0, "")


def test_a_name_is_taken_once_and_so_is_a_target_group(lake):
    lake.view()
    with pytest.raises(errors.Conflict, match="a view lab/monthly already"):
        lake.view(target_group="/other")
    with pytest.raises(errors.Conflict, match="lab/monthly writes to lab/means / already"):
        lake.view("yearly")
    lake.view("yearly", target_group="yearly/")
    with pytest.raises(errors.Conflict, match="lab/yearly writes to lab/means /yearly"):
        lake.view("again", target_group="/yearly")


def test_a_cycle_is_refused_also_through_other_views(lake):
    for name in ("b", "c"):
        lake.repository(name)
    with pytest.raises(errors.InvalidRequest, match="the same repository"):
        lake.view(source="lab/data", target="lab/data", target_group="other")
    lake.view("one", "lab/data", "lab/b")
    lake.view("two", "lab/b", "lab/c")
    with pytest.raises(errors.InvalidRequest, match="through lab/one and lab/two"):
        lake.view("three", "lab/c", "lab/data")
    assert [view.name for view in views.find(lake.world.db, lake.world.ada, "lab")] == ["one", "two"]


def test_making_one_needs_reading_the_source_and_writing_the_target(lake):
    world = lake.world
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="bo", role=Role.viewer))
    with pytest.raises(errors.PermissionDenied, match="'write'"):
        lake.view(who=world.bo)
    with pytest.raises(errors.NotFound, match="no repository other/secret that ada may see"):
        lake.view(source="other/secret", trigger="manual")
    assert views.find(world.db, world.ada, "lab") == []


def test_whoever_may_not_read_the_target_is_not_told_of_the_view(lake):
    lake.view()
    world = lake.world
    assert views.get(world.db, world.bo, "lab", "monthly").name == "monthly"
    target = repositories.get(world.db, "lab", "means")
    grants.put(world.db, world.ada, target, "user:bo", Level.none)
    assert views.find(world.db, world.bo, "lab") == []
    for ask in (views.get, refreshes.find, refreshes.request):
        with pytest.raises(errors.NotFound, match="no view 'monthly'"):
            ask(world.db, world.bo, "lab", "monthly")
    assert [view.name for view in views.find(world.db, world.ada, "lab")] == ["monthly"]


def test_what_machines_could_not_do_is_refused_at_once(lake):
    workspaces.set_member(lake.world.db, lake.world.eve, Role.owner,
                          Membership(workspace="other", user="ada", role=Role.viewer))  # fmt: skip
    repositories.create(lake.world.db, lake.world.eve, "other", repositories.RepositoryRequest(name="far"))
    with pytest.raises(errors.InvalidRequest, match="in another workspace"):
        lake.view(source="other/far")
    lake.view(source="other/far", trigger="manual")
    with pytest.raises(errors.InvalidRequest, match="may not read there"):
        refreshes.request(lake.world.db, lake.world.ada, "lab", "monthly")
    with pytest.raises(errors.NotFound, match="environment 0000"):
        lake.view("yearly", target_group="y", environment_hash="0" * 64)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"source": "lab/none"}, "no repository lab/none"),
        ({"target": "lab/none"}, "no repository lab/none"),
        ({"trigger": "schedule", "schedule": "every day"}, "'every day' is no schedule"),
        ({"trigger": "schedule"}, "the schedule is ''"),
        ({"trigger": "commit", "schedule": "0 3 * * *"}, "only with that"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(lake, fields, told):
    with pytest.raises(errors.AmasiaError, match=told):
        lake.view(**fields)
    assert views.find(lake.world.db, lake.world.ada, "lab") == []


def test_a_function_over_one_mib_is_refused(lake):
    lake.request(function="A" * ((4 << 20) // 3))
    with pytest.raises(ValueError, match="at most 1398101 characters"):
        lake.request(function="A" * ((4 << 20) // 3 + 1))


def test_a_schedule_says_when_it_is_due(lake):
    assert views.next_time("0 3 * * *", datetime(2026, 11, 1, 4, tzinfo=UTC)) == datetime(2026, 11, 2, 3, tzinfo=UTC)
    assert lake.view(trigger="schedule", schedule="0 3 * * *").next_at.hour == 3


def test_a_paused_view_rests_until_it_is_resumed(lake):
    lake.view()
    world = lake.world
    assert views.change(world.db, world.ada, "lab", "monthly", ViewChange(paused=True)).status is ViewStatus.paused
    refreshes.wish_due(world.db)
    with pytest.raises(errors.Conflict, match="is paused"):
        refreshes.request(world.db, world.ada, "lab", "monthly")
    assert refreshes.live(world.db) == []
    views.change(world.db, world.ada, "lab", "monthly", ViewChange(paused=False))
    refreshes.wish_due(world.db)
    assert len(refreshes.live(world.db)) == 1


def test_a_repository_that_a_view_needs_is_not_forgotten(lake):
    lake.view()
    for name in ("data", "means"):
        with pytest.raises(errors.Conflict, match="read or written by the views lab/monthly"):
            repositories.delete(lake.world.db, lake.world.ada, "lab", name)
    views.delete(lake.world.db, lake.world.ada, "lab", "monthly")
    repositories.delete(lake.world.db, lake.world.ada, "lab", "data")


def test_deleting_forgets_its_refreshes_too(lake):
    lake.view()
    refreshes.wish_due(lake.world.db)
    views.delete(lake.world.db, lake.world.ada, "lab", "monthly")
    assert refreshes.live(lake.world.db) == []
    with pytest.raises(errors.NotFound, match="no view 'monthly'"):
        lake.get()


def test_snapshots_that_a_view_has_still_to_read_are_held(lake):
    world = lake.world
    with world.db.read() as tx:
        assert views.held_snapshots(tx, repositories.get(world.db, "lab", "data").id) == set()
    lake.view()
    lake.commit("data", "S2")
    with world.db.write() as tx:
        tx.exec_driver_sql("UPDATE views SET snapshot = 'S1'")
    lake.commit("data", "S3")
    with world.db.read() as tx:
        assert views.held_snapshots(tx, repositories.get(world.db, "lab", "data").id) == {"S1", "S2", "S3"}
        assert views.held_snapshots(tx, repositories.get(world.db, "lab", "means").id) == set()
    assert cleanings.needed(world.db, repositories.get(world.db, "lab", "data")) == {"S1", "S2", "S3"}
    assert lake.get().lag == 2
