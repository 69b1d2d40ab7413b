"""Old snapshots go, and nothing that a branch, a tag, a view or a session needs."""

import time
from datetime import timedelta

import pytest
import xarray as xr
import zarr

from amasia.models.base import now
from amasia.stores import cleanings, leases, objects, refs, repositories, writing

MOMENT = timedelta(milliseconds=1)


class Past:
    """A repository with a commit for each number; each commit replaces all values."""

    def __init__(self, source: leases.Source, commits: int = 5) -> None:
        self.source = source
        self.administrator = source.as_mode("administer")
        self.repo = repositories.open(self.administrator)
        self.snapshots = [self.commit(number) for number in range(commits)]

    def commit(self, number: int, branch: str = "main") -> str:
        session = self.repo.writable_session(branch)
        values = [float(number) + step / 1000 for step in range(4000)]
        writing.write(session, xr.Dataset({"v": ("x", values)}), mode="w")
        return repositories.commit(self.source, session, str(number), {})

    def expire(self, older_than: timedelta = MOMENT, **options) -> cleanings.Expired:
        return cleanings.expire(self.administrator, self.repo, older_than, at=now() + MOMENT * 2, **options)

    def collect(self, **options) -> cleanings.Collected | None:
        time.sleep(2.2)  # stores count whole seconds, and may round up
        return cleanings.collect(self.administrator, self.repo, at=now(), session=timedelta(seconds=1), **options)

    def first(self, snapshot: str) -> float:
        return value(repositories.open(self.source).readonly_session(snapshot_id=snapshot))

    def there(self) -> list[bool]:
        history = {one.id for one in repositories.history(repositories.open(self.source))}
        return [snapshot in history for snapshot in self.snapshots]


def value(session) -> float:
    return float(zarr.open_array(session.store, path="v", mode="r")[0])


@pytest.fixture
def past(source: leases.Source) -> Past:
    return Past(source)


def test_old_snapshots_go_and_their_bytes_with_them(past: Past) -> None:
    before = sum(one.nbytes for one in objects.find(leases.current(past.administrator)))
    found = past.expire()
    assert set(found.snapshots) == set(past.snapshots[:4])
    assert past.there() == [False] * 4 + [True]
    collected = past.collect()
    after = sum(one.nbytes for one in objects.find(leases.current(past.administrator)))
    assert collected.failed == 0
    assert collected.nbytes > 0
    assert after < before / 2
    assert past.first(past.snapshots[4]) == 4.0


def test_a_dry_run_tells_the_same_and_does_nothing(past: Past) -> None:
    told = past.expire(dry_run=True)
    assert past.there() == [True] * 5
    assert set(past.expire().snapshots) == set(told.snapshots)


def test_branches_and_tags_and_what_is_protected_stay(past: Past) -> None:
    refs.create_tag(past.source, past.repo, "v1", past.snapshots[0])
    refs.create_branch(past.source, past.repo, "dev", past.snapshots[1])
    found = past.expire(protected={past.snapshots[3]})
    assert set(found.snapshots) == {past.snapshots[2]}
    assert set(found.kept) >= {past.snapshots[0], past.snapshots[1], past.snapshots[3]}
    assert past.collect() is not None
    assert [past.first(past.snapshots[number]) for number in (0, 1, 3, 4)] == [0.0, 1.0, 3.0, 4.0]


def test_what_was_newest_within_the_time_stays(past: Past) -> None:
    """The snapshot that everybody saw until a moment ago is as needed as the one that they see now."""
    time.sleep(1)
    newest = past.commit(5)
    gone = past.expire(timedelta(seconds=0.5)).snapshots
    assert set(gone) == set(past.snapshots[:4])
    assert (past.first(past.snapshots[4]), past.first(newest)) == (4.0, 5.0)


def test_a_reader_and_a_writer_that_are_open_lose_nothing(past: Past) -> None:
    reader = repositories.open(past.source).readonly_session(snapshot_id=past.snapshots[2])
    writer = repositories.open(past.source).writable_session("main")
    writing.write(writer, xr.Dataset({"w": ("x", [1.0] * 5000)}), "other")
    past.expire()
    assert cleanings.collect(past.administrator, past.repo, at=now()) is None
    soon = now() + cleanings.SESSION - timedelta(minutes=1)
    assert cleanings.collect(past.administrator, past.repo, at=soon) is None
    landed = repositories.commit(past.source, writer, "late", {})
    assert landed in {one.id for one in repositories.history(repositories.open(past.source))}
    assert value(reader) == 2.0


def test_nothing_is_collected_soon_after_a_reset(past: Past) -> None:
    refs.reset_branch(past.source, past.repo, "main", past.snapshots[1])
    assert cleanings.collect(past.administrator, past.repo, at=now()) is None
    assert past.first(past.snapshots[4]) == 4.0


def test_old_lists_of_refs_are_removed_too(past: Past) -> None:
    lease = leases.current(past.administrator)
    assert len(list(objects.find(lease, "overwritten/"))) >= 5
    assert past.collect().overwritten >= 5
    assert len(list(objects.find(lease, "overwritten/"))) <= 1  # collecting makes one
    assert past.there() == [True] * 5
    past.commit(6)


def test_a_repository_that_is_gone_leaves_nothing(past: Past) -> None:
    lease = leases.current(past.administrator)
    assert objects.remove_all(lease)[2] == 0
    assert list(objects.find(lease)) == []
    assert list(objects.old_copies(lease)) == []
