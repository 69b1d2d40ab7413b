"""Icechunk's errors in Amasia's words."""

from collections.abc import Iterator
from contextlib import contextmanager

import icechunk
from icechunk import ErrorKind

from amasia import errors
from amasia.models.repositories import BucketKind, Lease
from amasia.stores.addresses import where
from amasia.stores.leases import Source, current, failure, is_full

_NO_SPACE = ("No space left", "os error 28", "Disk quota exceeded", "InsufficientStorage", "XMinioStorageFull")
_REFUSED = (
    "AccessDenied", "Access Denied", "Permission denied", "InvalidAccessKeyId", "SignatureDoesNotMatch",
    "lacked the necessary privileges", "lacked valid authentication",
)  # fmt: skip
_LOG = "`amasia repo log` shows snapshots, branches and tags."
_KINDS: tuple[tuple[type[icechunk.IcechunkError], type[errors.AmasiaError], str], ...] = (
    (icechunk.NotFoundError, errors.NotFound, _LOG),
    (icechunk.ConflictError, errors.Conflict, "Open it again and repeat the change."),
    (icechunk.AlreadyExistsError, errors.Conflict, "Choose another name, or remove that one first."),
    (icechunk.ReadOnlyError, errors.PermissionDenied, "Open it with mode='write'."),
    (icechunk.InvalidInputError, errors.InvalidRequest, _LOG),
)


@contextmanager
def translated(source: Source | None = None) -> Iterator[None]:
    """Raise Icechunk's errors as Amasia's, naming the repository where its source is given."""
    try:
        yield
    except icechunk.IcechunkError as error:
        told = _translate(error, source)
        if told is None:
            raise
        raise told from error


def _translate(error: icechunk.IcechunkError, source: Source | None) -> errors.AmasiaError | None:
    renewal = failure(source) if source else None
    if renewal is not None:
        return renewal
    lease = current(source) if source else None
    name = f"{lease.workspace}/{lease.repository}" if lease else "the repository"
    if isinstance(error, icechunk.StorageError):
        return _storage(str(error), name, lease, source)
    if isinstance(error, icechunk.RepositoryNotFoundError):
        return errors.NotFound(
            f"There is no repository {name} in {_where(lease)}.", cure="`amasia repo list` shows those there are."
        )
    said = f"{name}: {str(error).partition('\n')[0]}."
    for kind, told, cure in _KINDS:
        if isinstance(error, kind):
            return told(said, cure=cure)
    if getattr(error, "kind", "") == ErrorKind.NO_CHANGES_TO_COMMIT:
        return errors.InvalidRequest(f"{name}: there is nothing to commit.", cure="Write something first.")
    return None


def _storage(text: str, name: str, lease: Lease | None, source: Source | None) -> errors.AmasiaError:
    place, said = _where(lease), text.partition("\n")[0]
    if any(word in text for word in _NO_SPACE) or _embedded_full(text, lease, source):
        return errors.StoreFull(
            f"No space left in {place}, so nothing of this commit to {name} was kept.",
            cure="Free some space there (see `amasia status` for where it is), then repeat.",
        )
    if any(word in text for word in _REFUSED):
        return errors.PermissionDenied(
            f"{place[0].upper()}{place[1:]} refused this to the credentials for {name}.",
            cure="Open it with mode='write' to write; `amasia repo show` tells what you may do.",
        )
    return errors.StoreDown(
        f"{place[0].upper()}{place[1:]} did not answer for {name} ({said}). Nothing of this commit was kept.",
        cure="`amasia status` shows whether it runs, `amasia doctor` whether its disk is full. Repeat when it does.",
    )


def _embedded_full(text: str, lease: Lease | None, source: Source | None) -> bool:
    """The embedded store has no other word for a full disk; whatever else goes wrong there has one.

    It may be asked again and again until time is up, and that is all the text tells then: whoever lends knows more.
    """
    if lease is None or lease.kind is not BucketKind.embedded:
        return False
    return '"InternalError"' in text or ("timed out" in text and source is not None and is_full(source))


def _where(lease: Lease | None) -> str:
    if lease is None:
        return "the object store"
    if lease.kind is BucketKind.directory:
        return f"the directory {lease.bucket}"
    return f"the object store at {where(lease)} (bucket {lease.bucket})"
