"""Versioned repositories (Icechunk): create, open, history, and the one way to commit."""

import pickle
from collections import OrderedDict
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import icechunk
import zarr
from filelock import FileLock, Timeout

from amasia import errors
from amasia.models.repositories import BucketKind, Lease, Mode
from amasia.stores import addresses, conflicts
from amasia.stores.failures import translated
from amasia.stores.leases import Credentials, Source, current

# Icechunk warns on each opening that local files are not safe for concurrent commits; `committing` makes them so.
icechunk.set_logs_filter("warn,icechunk_arrow_object_store=error,icechunk_storage::readback=error")

HIDDEN = "_view"
"""The group of a target in which its views keep what they remember."""
_LOCK_SECONDS = 120
_KEPT = 8
_kept: OrderedDict[tuple[bytes, str, str, str], icechunk.Repository] = OrderedDict()
"""What this process opened last. A few, since what they remember grows with what is read."""
_REBASES = 1000
"""Times that others may be first. With eight writers on a slow store, 30 refused a disjoint commit in some hundreds."""


@dataclass(frozen=True)
class Snapshot:
    """One commit in a branch's history, as the store has it."""

    id: str
    parent: str
    """Empty for the first."""
    message: str
    at: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Amasia's own part is under ``amasia``: a `models.repositories.Provenance` as plain data."""


def create(source: Source) -> icechunk.Repository:
    """Make a repository, or open the one that an earlier, interrupted call made.

    Parameters
    ----------
    source
        Gives a lease with administrator's rights (list, write, delete) on the repository's prefix.

    Raises
    ------
    StoreDown, StoreFull, PermissionDenied
    """
    with committing(source), translated(source):
        storage, config = _storage(source), _config(current(source))
        if icechunk.Repository.exists(storage, config.storage):
            return icechunk.Repository.open(storage, config)
        try:
            # The prefix is ours alone; what may be in it is left from a try that was killed.
            return icechunk.Repository.create(storage, config, check_clean_root=False)
        except icechunk.ConflictError:
            return icechunk.Repository.open(storage, config)


def open(source: Source) -> icechunk.Repository:
    """Open a repository with credentials that renew themselves, also in other processes.

    Parameters
    ----------
    source
        Called again when credentials near their end; must be picklable.

    Raises
    ------
    NotFound
        No repository there.
    StoreDown
        The store did not answer; known within 20 s for the embedded store.
    """
    lease = current(source)
    key = pickle.dumps(source), lease.endpoint, lease.bucket, lease.prefix
    kept = _kept.get(key)
    with translated(source):
        storage = kept.storage if kept else _storage(source)
        opened = icechunk.Repository.open(storage, _config(lease))
    # Its connections, snapshots and manifests are at hand, unless somebody changed the configuration that it goes by.
    if kept and kept.config == opened.config:
        return kept
    if lease.mode is Mode.read:
        _keep(key, opened)
    return opened


def _keep(key: tuple[bytes, str, str, str], opened: icechunk.Repository) -> None:
    """Of readers alone: operations that fail on one connection wait for each other, and a commit should not."""
    _kept[key] = opened
    while len(_kept) > _KEPT:
        with suppress(KeyError):  # another thread was faster
            _kept.popitem(last=False)


def history(
    repository: icechunk.Repository,
    branch: str = "main",
    limit: int | None = None,
    *,
    snapshot: str | None = None,
    until: Container[str] = (),
) -> list[Snapshot]:
    """Snapshots of a branch, or those before and with a snapshot, newest first; the last is the empty repository.

    ``until`` are snapshots to end before.
    """
    start = {"snapshot_id": snapshot} if snapshot else {"branch": branch}
    with translated():
        found: list[Snapshot] = []
        for info in repository.ancestry(**start):
            if info.id in until or (limit is not None and len(found) == limit):
                break
            found.append(Snapshot(info.id, info.parent_id or "", info.message, info.written_at, dict(info.metadata)))
        return found


def groups(session: icechunk.Session) -> list[str]:
    """Paths of the groups that hold arrays; ``"/"`` is the root. What views remember of themselves is left out."""
    try:
        members = zarr.open_group(session.store, mode="r").members(max_depth=None)
    except zarr.errors.GroupNotFoundError:  # nothing was ever written
        return []
    paths = {path.rpartition("/")[0] or "/" for path, node in members if isinstance(node, zarr.Array)}
    return sorted(path for path in paths if path.partition("/")[0] != HIDDEN)


@contextmanager
def committing(source: Source) -> Iterator[None]:
    """Hold what serialises changes of branches and tags. For object stores that is nothing: they compare and swap.

    A local file system does not (3 of 100 commits of four writers were lost), so there is one lock per repository.
    """
    lease = current(source)
    if lease.kind is not BucketKind.directory:
        yield
        return
    directory = _directory(lease)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{directory}.lock")
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout as error:
        raise errors.Conflict(
            f"Another process has been writing to {lease.workspace}/{lease.repository} for {_LOCK_SECONDS} s.",
            cure=f"Try again when it is done. Whoever holds {directory}.lock can be found with: fuser {directory}.lock",
        ) from error
    except OSError as error:
        raise errors.StoreDown(
            f"The directory {lease.bucket} of {lease.workspace}/{lease.repository} cannot be written ({error}).",
            cure="Is it mounted here, and may you write there?",
        ) from error
    try:
        yield
    finally:
        lock.release()


def commit(source: Source, session: icechunk.Session, message: str, metadata: Mapping[str, Any]) -> str:
    """Make a session's changes the branch's newest snapshot: all of them or none.

    Parameters
    ----------
    source
        Of the repository.
    session
        Writable, with changes. Changes that others committed meanwhile are kept where both are disjoint.
    message
        One line for people.
    metadata
        Plain data. ``metadata["amasia"]["commit_id"]``, when there, is what a commit is known by whose answer was lost.

    Returns
    -------
    str
        Id of the new snapshot.

    Raises
    ------
    Conflict
        Somebody changed the same thing since the session began; says who, in which snapshot, and which chunks.
    StoreDown, StoreFull
        Not committed, or, where the message says so, not known.
    """
    branch, base = session.branch or "main", session.snapshot_id
    with committing(source):
        try:
            return session.commit(
                message, dict(metadata), rebase_with=icechunk.ConflictDetector(), rebase_tries=_REBASES
            )
        except icechunk.ConflictError as error:
            raise _conflict(source, branch, base, error) from error
        except icechunk.StorageError as error:
            return _look(source, branch, base, metadata, error)
        except icechunk.IcechunkError:
            with translated(source):
                raise
    raise AssertionError("unreachable")


def _look(source: Source, branch: str, base: str, metadata: Mapping[str, Any], error: icechunk.IcechunkError) -> str:
    """A commit whose answer was lost is neither made nor failed until the history was read."""
    wanted = metadata.get("amasia", {}).get("commit_id")
    try:
        with translated(source):
            raise error
    except errors.AmasiaError as told:
        failed = told
    if not wanted:
        raise failed from error
    try:
        snapshots = history(_glance(source), branch)
    except errors.AmasiaError:
        unknown = type(failed)(
            f"{failed.message} Whether commit {wanted} on {branch!r} was made is not known.",
            cure="When the store answers again, `amasia repo log` shows it; repeat only if it is not there.",
            commit=wanted,
        )
        raise unknown from error
    for snapshot in snapshots:
        if snapshot.id == base:
            break
        if snapshot.metadata.get("amasia", {}).get("commit_id") == wanted:
            return snapshot.id
    raise failed from error


def _conflict(source: Source, branch: str, base: str, error: icechunk.ConflictError) -> errors.Conflict:
    since: list[Snapshot] = []
    with suppress(errors.AmasiaError):
        for snapshot in history(_glance(source), branch, limit=_REBASES):
            if snapshot.id == base:
                break
            since.append(snapshot)
    return conflicts.told(current(source), branch, base, since, error)


def _glance(source: Source) -> icechunk.Repository:
    """Open it now or not at all: a look after a failure that was waited for already."""
    timeouts = icechunk.StorageTimeoutSettings(connect_timeout_ms=1000, operation_timeout_ms=2000)
    settings = icechunk.StorageSettings(retries=icechunk.StorageRetriesSettings(max_tries=1), timeouts=timeouts)
    with translated(source):
        return icechunk.Repository.open(_storage(source), icechunk.RepositoryConfig(storage=settings))


def _directory(lease: Lease) -> Path:
    return Path(lease.bucket) / lease.prefix


def _storage(source: Source) -> icechunk.Storage:
    lease = current(source)
    if lease.kind is BucketKind.directory:
        return icechunk.local_filesystem_storage(str(_directory(lease)))
    # Workers start with the credentials at hand; each asks for its own when those end.
    if lease.kind is BucketKind.gcs:
        google = icechunk.gcs_refreshable_credentials(Credentials(source), scatter_initial_credentials=True)
        return icechunk.Storage.new_gcs(lease.bucket, lease.prefix, google, config=addresses.settings(lease))
    if lease.kind is BucketKind.azure:
        azure = icechunk.azure_refreshable_credentials(Credentials(source), scatter_initial_credentials=True)
        config = addresses.settings(lease)
        return icechunk.Storage.new_azure_blob(lease.account, lease.bucket, lease.prefix, azure, config=config)
    return icechunk.s3_storage(
        bucket=lease.bucket,
        prefix=lease.prefix,
        region=lease.region,
        endpoint_url=lease.endpoint or None,
        allow_http=lease.endpoint.startswith("http://"),
        force_path_style=bool(lease.endpoint),
        get_credentials=Credentials(source),
        scatter_initial_credentials=True,
        network_stream_timeout_seconds=15,
    )


def _config(lease: Lease) -> icechunk.RepositoryConfig:
    """Icechunk's defaults try for minutes. These ride out a restart of the store (5 s) and then say what is wrong.

    The time of an operation is the bound for a near store, so that tries which are refused at once are many enough.
    """
    near = lease.kind is BucketKind.embedded
    retries = icechunk.StorageRetriesSettings(max_tries=40, initial_backoff_ms=200, max_backoff_ms=1500)
    timeouts = icechunk.StorageTimeoutSettings(
        connect_timeout_ms=2000,
        # Also the time of one upload: far stores get more, for chunks over slow lines.
        operation_attempt_timeout_ms=12_000 if near else 60_000,
        operation_timeout_ms=16_000 if near else 120_000,
    )
    return icechunk.RepositoryConfig(storage=icechunk.StorageSettings(retries=retries, timeouts=timeouts))
