"""Branches, tags and histories as the control plane answers them, without a store."""

from datetime import UTC, datetime, timedelta

import pytest

from amasia import errors
from amasia.models.base import now
from amasia.models.refs import Ref, RefKind, RefRequest, RefVerb
from amasia.models.repositories import CommitDone, CommitRequest, LeaseRequest, Mode, RepositoryRequest
from amasia.services import events, refs, repositories

BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def data(world):
    """S0 ← S1 ← S2 on main, S1 ← D2 on dev, S1 tagged v1; one a day."""
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="data"))
    made = repositories.get(world.db, "lab", "data")
    repositories.made(world.db, made)
    line = [item("S2", "S1", 2), item("S1", "S0", 1), item("S0", "", 0), item("D2", "S1", 3) | {"branch": "dev"}]
    look(world, made, line)
    return repositories.get(world.db, "lab", "data")


def item(name, parent, day, metadata=None):
    at = BEGIN + timedelta(days=day)
    return {"branch": "main", "snapshot": name, "parent": parent, "message": name, "at": at, "metadata": metadata or {}}


def look(world, repository, line):
    named = [("branch", "main", "S2"), ("branch", "dev", "D2"), ("tag", "v1", "S1")]
    found = [Ref(kind=kind, name=name, snapshot=snapshot) for kind, name, snapshot in named]
    repositories.index(world.db, repository, line, now(), found)


def log(world, ref, limit=50):
    return [commit.snapshot for commit in refs.history(world.db, "lab", "data", ref, limit)]


def day(number):
    return (BEGIN + timedelta(days=number, hours=1)).strftime("%Y-%m-%dT%H:%M:%S+00:00")


@pytest.mark.parametrize(
    ("ref", "snapshots"),
    [
        ("main", ["S2", "S1", "S0"]),
        ("dev", ["D2", "S1", "S0"]),
        ("v1", ["S1", "S0"]),
        ("S1", ["S1", "S0"]),
        (day(1), ["S1", "S0"]),
        (f"dev@{day(5)}", ["D2", "S1", "S0"]),
    ],
)
def test_a_history_is_that_of_its_branch_tag_snapshot_or_time(world, data, ref, snapshots):
    assert log(world, ref) == snapshots
    assert log(world, ref, 1) == snapshots[:1]


@pytest.mark.parametrize("ref", ["nope", "2001-01-01", "dev@2001-01-01", "nope@2026-11-22", "2026-99-99", ""])
def test_what_is_not_there_is_not_found(world, data, ref):
    with pytest.raises(errors.NotFound, match="lab/data has no branch, tag or snapshot"):
        log(world, ref)


def test_a_commit_counts_from_the_moment_its_maker_says_so(world, data):
    begun = repositories.begin_commit(world.db, world.ada, "lab", "data", CommitRequest(message="m"))
    assert log(world, "main")[0] == "S2"
    repositories.finish_commit(world.db, world.ada, "lab", "data", begun.commit_id, CommitDone(snapshot="S3"))
    assert log(world, "main") == ["S3", "S2", "S1", "S0"]
    assert log(world, "dev")[0] == "D2"


def test_what_was_reported_and_is_not_in_the_history_leaves_the_log(world, data):
    begun = repositories.begin_commit(world.db, world.bo, "lab", "data", CommitRequest(message="m"))
    repositories.finish_commit(world.db, world.bo, "lab", "data", begun.commit_id, CommitDone(snapshot="FAKE"))
    look(world, data, [])
    assert log(world, "main") == ["S2", "S1", "S0"]


def test_a_refused_commit_is_over_at_once(world, data):
    begun = repositories.begin_commit(world.db, world.bo, "lab", "data", CommitRequest(message="m"))
    done = repositories.finish_commit(world.db, world.bo, "lab", "data", begun.commit_id, CommitDone(snapshot=""))
    assert done.status.value == "abandoned"
    look(world, data, [])
    assert repositories.stale(world.db, now() + timedelta(minutes=1)) == []


def test_a_change_is_an_event_before_it_is_made_and_known_when_it_is(world, data):
    request = RefRequest(kind=RefKind.branch, verb=RefVerb.reset, name="main", snapshot="S1")
    refs.begin(world.db, world.bo, "lab", "data", request)
    newest = events.find(world.db, "lab", None, 1)[0]
    assert (newest.actor, newest.verb, newest.detail) == ("bo", "branch.reset", {"name": "main", "snapshot": "S1"})
    assert [found.name for found in repositories.stale(world.db, now())] == ["data"]
    refs.finish(world.db, world.bo, "lab", "data", request)
    assert log(world, "main") == ["S1", "S0"]
    gone = RefRequest(kind=RefKind.tag, verb=RefVerb.delete, name="v1")
    refs.finish(world.db, world.bo, "lab", "data", gone)
    assert [ref.name for ref in refs.find(world.db, "lab", "data")] == ["dev", "main"]


def test_what_cannot_be_is_refused(world, data):
    with pytest.raises(errors.NotFound, match="no branch 'nope'"):
        refs.begin(world.db, world.bo, "lab", "data", RefRequest(kind=RefKind.branch, verb=RefVerb.delete, name="nope"))
    with pytest.raises(errors.InvalidRequest, match="never moves"):
        refs.begin(world.db, world.bo, "lab", "data", RefRequest(kind=RefKind.tag, verb=RefVerb.reset, name="v1"))


def test_what_may_be_written_without_telling_is_looked_at_again(world, data):
    repositories.watch(world.db, now())
    assert repositories.stale(world.db, now()) == []
    repositories.lend(world.db, world.bo, "lab", "data", LeaseRequest(mode=Mode.write))
    repositories.watch(world.db, now() - timedelta(minutes=1))
    assert [found.name for found in repositories.stale(world.db, now())] == ["data"]
