"""Forget old snapshots, and collect what nothing needs any more. In that order and most of a day apart.

Expiry only edits the history: whoever reads an expired snapshot goes on reading it. Its objects are collected when no
session can be left that knew it: `SESSION` after the expiry, and after any branch or tag was moved or deleted.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import icechunk

from amasia.stores import objects
from amasia.stores.failures import translated
from amasia.stores.leases import Source, current
from amasia.stores.repositories import committing

SESSION = timedelta(hours=20)
"""No session is thought to last longer, by far longer than credentials (an hour) without renewal. Less than a day, so
that what one day's cleaning expired is ripe at the next day's."""
_UPSET = ("BranchReset", "BranchDeleted", "TagDeleted", "ExpirationRan")
"""What leaves snapshots behind that somebody may still read."""


@dataclass(frozen=True)
class Expired:
    snapshots: tuple[str, ...]
    kept: tuple[str, ...]
    """Old enough, and needed by a branch, a tag, or whoever protects them."""


@dataclass(frozen=True)
class Collected:
    objects: int
    nbytes: int
    overwritten: int
    failed: int


def expire(
    source: Source,
    repository: icechunk.Repository,
    older_than: timedelta,
    protected: Collection[str] = (),
    *,
    at: datetime,
    dry_run: bool = False,
) -> Expired:
    """Forget snapshots that nobody could see by looking at a branch within the last so long.

    Parameters
    ----------
    source
        With administrator's rights.
    older_than
        What was a branch's newest snapshot at any moment since then stays, so that time travel reaches so far back.
    protected
        Ids of further snapshots that stay, and all that came after them with them.
    at
        Now.
    """
    with committing(source), translated(source):
        bound = cutoff(repository, at - older_than, protected)
        old = _older(repository, bound)
        tips = {str(repository.lookup_branch(name)) for name in repository.list_branches()}
        tips |= {str(repository.lookup_tag(name)) for name in repository.list_tags()}
        aged = _older(repository, at - older_than)
        gone = old - tips
        if gone and not dry_run:
            gone = set(repository.expire_snapshots(bound))
    return Expired(tuple(sorted(gone)), tuple(sorted(aged - gone)))


def cutoff(repository: icechunk.Repository, since: datetime, protected: Collection[str]) -> datetime:
    """Snapshots written before this may go: on each branch, those before the one that was newest at a time."""
    bounds = [since]
    for name in repository.list_branches():
        past = list(repository.ancestry(branch=name))
        newest = next((info for info in past if info.written_at <= since), None)
        if newest is not None and newest.id != past[0].id:  # a branch's tip stays anyway
            bounds.append(newest.written_at)
        bounds += [info.written_at for info in past if info.id in protected]
    for name in repository.list_tags():
        bounds += [info.written_at for info in repository.ancestry(tag=name) if info.id in protected]
    return min(bounds)


def quiet_since(repository: icechunk.Repository, within: timedelta, at: datetime) -> bool:
    """Whether nothing was expired, reset or deleted for so long."""
    for update in repository.ops_log():
        if at - update.updated_at > within:
            return True
        if type(update.kind).__name__ in _UPSET:
            return False
    return True


def collect(
    source: Source,
    repository: icechunk.Repository,
    *,
    at: datetime,
    session: timedelta = SESSION,
    dry_run: bool = False,
) -> Collected | None:
    """Remove objects that no branch or tag reaches and no session can; None where some session still may.

    Also old copies of the list of refs, of which the store keeps one for every commit.
    """
    before = at - session
    with committing(source), translated(source):
        if not quiet_since(repository, session, at):
            return None
        found = repository.garbage_collect(before, dry_run=dry_run)
    lease = current(source)
    copies = [one for one in objects.find(lease, "overwritten/") if one.at < before]
    hidden = [one for one in objects.old_copies(lease) if one.at < before]
    nbytes = found.bytes_deleted + sum(one.nbytes for one in (*copies, *hidden))
    failed = found.objects_failed_to_delete
    if not dry_run:
        failed += objects.remove(lease, copies)[2] + objects.remove(lease, hidden)[2]
    counted = (
        found.chunks_deleted + found.manifests_deleted + found.snapshots_deleted
        + found.transaction_logs_deleted + found.attributes_deleted + len(hidden)
    )  # fmt: skip
    return Collected(counted + len(copies), nbytes, len(copies), failed)


def _older(repository: icechunk.Repository, bound: datetime) -> set[str]:
    """In the past of a branch or tag, but not the empty repository that all begin with."""
    lines = [repository.ancestry(branch=name) for name in repository.list_branches()]
    lines += [repository.ancestry(tag=name) for name in repository.list_tags()]
    return {info.id for line in lines for info in line if info.written_at < bound and info.parent_id}
