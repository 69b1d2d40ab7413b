"""Expire and collect what was asked for, and remove the objects of repositories that were deleted long ago."""

from collections.abc import Callable, Collection
from datetime import timedelta

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.repositories import Repository
from amasia.models.storage import Cleaned, Cleaning, CleaningStatus
from amasia.reconcilers.repositories import forget, source
from amasia.services import cleanings, repositories
from amasia.stores import cleanings as stores
from amasia.stores import objects
from amasia.stores import repositories as opened
from amasia.stores.leases import current

log = structlog.get_logger()

type Protected = Callable[[Database, Repository], Collection[str]]
"""Snapshots of a repository that something beside its branches and tags needs."""


def reconcile(db: Database, protected: Protected = cleanings.needed, session: timedelta = stores.SESSION) -> None:
    """One step of every cleaning that is due; repeatable, also after a crash half-way."""
    for cleaning in cleanings.due(db, session):
        try:
            _step(db, cleaning, protected, session)
        except errors.Unavailable as error:
            log.warning("cleaning waits for its store", repository=cleaning.repository, error=str(error))
        except errors.AmasiaError as error:
            cleanings.advance(db, cleaning, CleaningStatus.failed, cleaning.result or Cleaned(), str(error))


def remove(db: Database, grace: timedelta) -> None:
    """The objects of repositories that were deleted longer ago than the time of grace."""
    for repository in cleanings.buried(db, now() - grace):
        try:
            count, nbytes, failed = objects.remove_all(current(source(db, repository)))
            if not failed:
                forget(db, repository)
        except errors.AmasiaError as error:
            log.warning("a deleted repository waits", repository=repository.full_name, error=str(error))
            continue
        if not failed:
            cleanings.removed(db, repository, count, nbytes)


def _step(db: Database, cleaning: Cleaning, protected: Protected, session: timedelta) -> None:
    repository = repositories.get(db, *cleaning.repository.split("/"))
    administrator = source(db, repository)
    repo = opened.open(administrator)
    before = cleaning.result or Cleaned()
    if cleaning.status is CleaningStatus.requested:
        age = timedelta(seconds=cleaning.older_than)
        if not cleaning.dry_run:
            stores.collect(
                administrator, repo, at=now(), session=session
            )  # what the last one left, which this one would hold up
        held = protected(db, repository)
        if not cleaning.dry_run:
            # Written down first: whoever is killed after forgetting them finds them in no history again.
            found = stores.expire(administrator, repo, age, held, at=now(), dry_run=True)
            before = before.model_copy(update={"snapshots": (*before.snapshots, *found.snapshots)})
            cleanings.plan(db, cleaning, before)
        found = stores.expire(administrator, repo, age, held, at=now(), dry_run=cleaning.dry_run)
        gone = {*before.snapshots, *found.snapshots}.difference(found.kept)
        before = Cleaned(snapshots=tuple(sorted(gone)), kept=found.kept)
    if cleaning.status is CleaningStatus.requested and not cleaning.dry_run:
        cleanings.advance(db, cleaning, CleaningStatus.expired, before)
        lines = [opened.history(repo, branch) for branch in repo.list_branches()]
        cleanings.rejoin(db, repository, [(one.id, one.parent) for line in lines for one in line])
        return
    collected = stores.collect(administrator, repo, at=now(), session=session, dry_run=cleaning.dry_run)
    if collected is None and not cleaning.dry_run:
        cleanings.postpone(db, cleaning, session)
        return
    result = before if collected is None else before.model_copy(
        update={"objects": collected.objects, "nbytes": collected.nbytes, "overwritten": collected.overwritten,
                "failed": collected.failed}
    )  # fmt: skip
    cleanings.advance(db, cleaning, CleaningStatus.done, result)
