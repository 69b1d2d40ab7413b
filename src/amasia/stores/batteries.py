"""What a bucket must be able to do before anything is kept there: tried on the store itself, and told in words."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import obstore
from filelock import FileLock
from obstore.store import ObjectStore

from amasia import errors
from amasia.models.base import new_id
from amasia.models.repositories import Bucket, BucketKind, Lease, Mode
from amasia.stores import addresses, clients, objects
from amasia.stores.credentials import Keys, administer, forget, lend

RACERS = 8
REFUSED = (obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError)

_FLAT = (
    "Azure lends parts of a container only in accounts with a hierarchical namespace; in others, register the account "
    "without a container, and each repository has one of its own."
)


def run(bucket: Bucket, keys: Keys) -> list[str]:
    """Try a bucket. What is wrong with it, each as a sentence; nothing where it is good.

    Of each race of several writers exactly one may win, and lent credentials may open their own prefix and nothing
    else. What was written is deleted again.

    Raises
    ------
    StoreDown
        It did not answer, so nothing is known of it.
    PermissionDenied, InvalidRequest
        It lends no credentials, or is where it may not be.
    """
    if bucket.kind is BucketKind.directory:
        return list(_directory(Path(bucket.uri.removeprefix("file://"))))
    own, sibling = new_id("probe"), new_id("probe")
    try:
        workers = [administer(bucket, keys, one, "probe", bucket.workspace) for one in (own, sibling)]
        wrong = [*_races(workers[0]), *_scopes(bucket, keys, own, workers)]
        return [*wrong, _FLAT] if wrong and _shared(bucket) else wrong
    except FileNotFoundError:
        return [f"There is no {bucket.uri} at {addresses.where(workers[0])}."]
    except REFUSED as error:
        return [f"The control plane's own rights do not reach for what it needs there ({_first(error)})."]
    except (obstore.exceptions.BaseError, OSError) as error:
        raise errors.StoreDown(f"The store of bucket {bucket.name!r} did not answer ({_first(error)}).") from error
    finally:
        for one in (own, sibling):
            _clean(bucket, keys, one)


def _shared(bucket: Bucket) -> bool:
    """Whether it is a container of Azure's with several repositories in it."""
    return bucket.kind is BucketKind.azure and "/" in bucket.uri.removeprefix("az://").rstrip("/")


def _races(lease: Lease) -> Iterator[str]:
    """Whether one of many wins: without that, commits that were acknowledged get lost."""
    store, key = _client(lease), f"{lease.prefix}/race"
    won = _race(lambda number: obstore.put(store, key, str(number).encode(), mode="create", use_multipart=False))
    if won != 1:
        yield f"Of {RACERS} that made the same object where there was none, {won} were told that they did."
    # Other contents than in the first race: the same ones would be the same version.
    found = obstore.head(store, key)
    version: Any = {"e_tag": found["e_tag"], "version": found["version"]}
    version = {name: value for name, value in version.items() if value is not None}
    won = _race(lambda number: obstore.put(store, key, f"again {number}".encode(), mode=version, use_multipart=False))
    if won != 1:
        yield f"Of {RACERS} that replaced the same version of an object, {won} were told that they did."


def _race(put: Callable[[int], Any]) -> int:
    with ThreadPoolExecutor(RACERS) as pool:
        return sum(pool.map(lambda number: _won(put, number), range(RACERS)))


def _won(put: Callable[[int], Any], number: int) -> bool:
    try:
        put(number)
    except (obstore.exceptions.AlreadyExistsError, obstore.exceptions.PreconditionError):
        return False
    return True


def _scopes(bucket: Bucket, keys: Keys, own: str, workers: list[Lease]) -> Iterator[str]:
    """Whether lent credentials are good for what they are lent for, and for nothing else."""
    for mode in Mode:
        for lease in workers:
            obstore.put(_client(lease), f"{lease.prefix}/a", b"a", use_multipart=False)
        lease = lend(bucket, keys, own, "probe", bucket.workspace, mode, "@amasia")
        for what, wanted, call in _tries(lease, workers[1]):
            if _done(call, wanted) != wanted:
                yield f"What is lent to {mode.value} {'cannot' if wanted else 'can'} {what}."


def _tries(lease: Lease, others: Lease) -> Iterator[tuple[str, bool, Callable[[], Any]]]:
    """What is tried with a lease, and whether it may."""
    store, writes = _client(lease), lease.mode is Mode.write
    # Where each repository has a container of its own, the other's is tried with this one's key.
    other = _client(lease.model_copy(update={"bucket": others.bucket}))
    mine, theirs = f"{lease.prefix}/a", f"{others.prefix}/a"
    yield "read its own objects", True, partial(obstore.get, store, mine)
    yield "write its own objects", writes, partial(obstore.put, store, mine, b"b", use_multipart=False)
    yield "read other repositories", False, partial(obstore.get, other, theirs)
    yield "write other repositories", False, partial(obstore.put, other, theirs, b"b", use_multipart=False)
    yield "list its own objects", writes, lambda: list(obstore.list(store, f"{lease.prefix}/"))
    yield "list other repositories", False, lambda: list(obstore.list(other, f"{others.prefix}/"))
    if lease.bucket == others.bucket:
        yield "list the bucket", False, lambda: list(obstore.list(store))
    if not (writes and lease.kind is BucketKind.gcs):  # there, to replace is to delete
        yield "delete", False, partial(obstore.delete, store, mine)


def _done(call: Callable[[], Any], wanted: bool) -> bool:
    """Whether the store did it. Not every refusal is told apart from other failures; of those that matter it is."""
    try:
        call()
    except REFUSED:
        return False
    except (obstore.exceptions.BaseError, OSError) as error:
        if wanted and "403 Forbidden" not in str(error):  # as Azure's refusal to list is told
            raise
        return False
    return True


def _clean(bucket: Bucket, keys: Keys, repository_id: str) -> None:
    """What is left is a few bytes that nobody else may see."""
    with suppress(errors.AmasiaError, obstore.exceptions.BaseError, OSError):
        lease = administer(bucket, keys, repository_id, "probe", bucket.workspace)
        objects.remove_all(lease)
        forget(bucket, keys, repository_id)


def _client(lease: Lease) -> ObjectStore:
    return clients.open(lease, tries=1, seconds=10)


def _first(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _directory(path: Path) -> Iterator[str]:
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f"{new_id('probe')}.lock"
        with FileLock(probe, timeout=5):
            probe.write_text("a")
        probe.unlink(missing_ok=True)
    except OSError as error:
        yield f"The control plane cannot make, lock and remove files in {path} ({error.strerror or error})."
