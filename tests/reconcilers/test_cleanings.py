"""Cleanings, sizes and graves, on a real repository in a directory."""

import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from amasia.models.repositories import BucketRequest, RepositoryRequest
from amasia.models.storage import CleaningRequest
from amasia.reconcilers import buckets, cleanings, repositories, storage
from amasia.services import cleanings as verbs
from amasia.services import events, refs
from amasia.services import repositories as repository_verbs
from amasia.services import storage as storage_verbs
from amasia.stores import repositories as stores
from amasia.stores import writing

SOON = timedelta(seconds=0.5)


@pytest.fixture
def snapshots(world, tmp_path: Path):
    """Of three commits, each of which replaces all; indexed."""
    bucket = BucketRequest(name="disk", kind="directory", uri=str(tmp_path / "bucket"))
    repository_verbs.create_bucket(world.db, world.ada, "lab", bucket)
    repository_verbs.create(world.db, world.ada, "lab", RepositoryRequest(name="data", bucket="disk"))
    buckets.check(world.db)
    repositories.create(world.db)
    source = repositories.source(world.db, repository_verbs.get(world.db, "lab", "data"))
    repo = stores.open(source)
    made = []
    for number in range(3):
        session = repo.writable_session("main")
        writing.write(session, xr.Dataset({"v": ("x", np.random.default_rng(number).random(20_000))}), mode="w")
        made.append(stores.commit(source, session, str(number), {}))
    time.sleep(1.1)
    repositories.index(world.db)
    return made


def ask(world, **request):
    asked = verbs.create(world.db, world.ada, "lab", "data", CleaningRequest(older_than=0, **request))
    cleanings.reconcile(world.db, session=SOON)
    return verbs.get(world.db, "lab", "data", asked.id)


def history(world):
    return [commit.snapshot for commit in history_with_sizes(world)]


def history_with_sizes(world):
    return refs.history(world.db, "lab", "data", "main", 50)


def test_a_cleaning_expires_first_and_collects_later_and_tells_what_it_freed(world, snapshots):
    repositories.compare(world.db)
    storage.reconcile(world.db, 20_000)
    before = storage_verbs.get(world.db, "lab", "data").nbytes
    assert before > 3 * 130_000
    found = ask(world)
    assert (found.status, set(found.result.snapshots)) == ("expired", set(snapshots[:2]))
    assert history(world)[0] == snapshots[2]
    assert len(history(world)) == 2, "the newest, and the empty repository that all begin with"
    time.sleep(1.1)
    cleanings.reconcile(world.db, session=SOON)
    done = verbs.get(world.db, "lab", "data", found.id)
    assert done.status == "done"
    assert done.result.nbytes > 2 * 130_000
    told = [event.verb for event in events.find(world.db, "lab", None, 4)]
    assert told[:3] == ["cleaning.done", "cleaning.expired", "repository.expire"]


def test_a_cleaning_that_was_killed_after_it_forgot_still_tells_what_is_gone(world, snapshots, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(verbs, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            ask(world)
    cleanings.reconcile(world.db, session=timedelta(hours=1))
    (found,) = verbs.find(world.db, "lab", "data")
    assert (found.status, set(found.result.snapshots)) == ("expired", set(snapshots[:2]))
    assert len(history(world)) == 2, "the index knows no snapshot that is gone"


def test_what_snapshots_added_and_the_rest_is_every_byte_of_the_bucket(world, snapshots, tmp_path):
    storage.snapshots(world.db)
    storage.reconcile(world.db, 20_000)
    found = storage_verbs.bill(world.db, "lab", "data", 9)
    (root,) = (tmp_path / "bucket" / "lab").glob("re-*/")
    sizes = {path.relative_to(root): path.stat().st_size for path in root.rglob("*") if path.is_file()}
    assert found.nbytes == sum(sizes.values())
    refs = sum(size for path, size in sizes.items() if path.parts[0] in ("repo", "overwritten"))
    assert found.rest.nbytes == refs, "the list of refs, and its old copies"
    assert sum(one.chunks_nbytes for one in found.snapshots) == sum(
        size for path, size in sizes.items() if path.parts[0] == "chunks"
    )
    added = {one.snapshot: one.nbytes for one in found.snapshots}
    assert all(added[snapshot] > 130_000 for snapshot in snapshots)
    assert [one.nbytes for one in history_with_sizes(world)] == list(added.values())
    storage.snapshots(world.db)
    assert storage_verbs.unsized(world.db, 9) == []


def test_what_a_view_needs_is_not_forgotten(world, snapshots):
    verbs.create(world.db, world.ada, "lab", "data", CleaningRequest(older_than=0))
    cleanings.reconcile(world.db, lambda db, repository: {snapshots[1]})
    (found,) = verbs.find(world.db, "lab", "data")
    assert found.result.snapshots == (snapshots[0],)
    assert history(world)[:2] == [snapshots[2], snapshots[1]]


def test_a_dry_run_changes_nothing(world, snapshots):
    found = ask(world, dry_run=True)
    assert (found.status, set(found.result.snapshots)) == ("done", set(snapshots[:2]))
    assert len(history(world)) == 4


def test_the_objects_of_a_deleted_repository_go_after_the_time_of_grace(world, snapshots, tmp_path):
    repository_verbs.delete(world.db, world.ada, "lab", "data")
    cleanings.remove(world.db, timedelta(days=30))
    assert [path for path in (tmp_path / "bucket").rglob("*") if path.is_file()]
    cleanings.remove(world.db, -timedelta(seconds=1))
    assert not list((tmp_path / "bucket" / "lab").glob("re-*/*"))
    assert events.find(world.db, "lab", None, 1)[0].verb == "repository.remove"
