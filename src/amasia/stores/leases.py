"""Leases that renew themselves: one request at a time per repository and process, kept until near their end."""

import pickle
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import icechunk

from amasia import errors
from amasia.models.base import now
from amasia.models.repositories import BucketKind, Lease

type Source = Callable[[], Lease]
"""Asks for a lease. Picklable, so that workers ask for their own; it holds no secret."""

EARLY = timedelta(minutes=5)
"""A lease is renewed this long before its end, or when two thirds of its life are over where that is later: what may
go wrong with asking has this long to be mended unnoticed."""
_AGAIN = timedelta(seconds=10)
"""Between two tries, while the old lease is still good."""
_PATIENCE = 10.0
"""Seconds to ask again and again, when the old lease is over."""


@dataclass
class _Shelf:
    lock: threading.Lock = field(default_factory=threading.Lock)
    lease: Lease | None = None
    renew_at: datetime | None = None
    failure: errors.AmasiaError | None = None


_shelves: defaultdict[bytes, _Shelf] = defaultdict(_Shelf)


def current(source: Source) -> Lease:
    """A good lease: the kept one, or a new one when that nears its end.

    While the kept one is good, nobody waits for the one who asks, and nobody minds that there is no answer.
    """
    return _current(source)[0]


def _current(source: Source) -> tuple[Lease, datetime | None]:
    """The lease, and when to ask again."""
    shelf = _shelves[pickle.dumps(source)]
    kept = shelf.lease
    if not shelf.lock.acquire(blocking=not _good(kept)):
        assert kept is not None
        return kept, _soon(kept)
    try:
        if shelf.lease is None or (shelf.renew_at is not None and now() >= shelf.renew_at):
            _renew(shelf, source)
        assert shelf.lease is not None
        return shelf.lease, shelf.renew_at
    finally:
        shelf.lock.release()


def _renew(shelf: _Shelf, source: Source) -> None:
    # Whoever was idle notices the end only afterwards: then there is a moment to ask again, once in an outage.
    deadline = time.monotonic() + (_PATIENCE if shelf.lease and not shelf.failure else 0)
    while True:
        try:
            shelf.lease, shelf.failure = source(), None
        except errors.Unavailable as error:
            if _good(shelf.lease):
                assert shelf.lease is not None
                shelf.renew_at = _soon(shelf.lease)
                return
            if time.monotonic() >= deadline:
                shelf.failure = error
                raise
            time.sleep(0.5)
        except errors.AmasiaError as error:
            shelf.failure = error
            raise
        else:
            shelf.renew_at = _before_end(shelf.lease)
            return


def _good(lease: Lease | None) -> bool:
    return lease is not None and (lease.expires_at is None or now() < lease.expires_at)


def _before_end(lease: Lease) -> datetime | None:
    if lease.expires_at is None:
        return None
    return lease.expires_at - min(EARLY, (lease.expires_at - now()) / 3)


def _soon(lease: Lease) -> datetime | None:
    """The next try, before the end in any case."""
    if lease.expires_at is None:
        return None
    return now() + min(_AGAIN, (lease.expires_at - now()) / 4)


def failure(source: Source) -> errors.AmasiaError | None:
    """Why the last renewal failed; None when it did not. Icechunk passes on no more than its text."""
    return _shelves[pickle.dumps(source)].failure


def is_full(source: Source) -> bool:
    """Whether whoever lends says that the store takes no more, asked anew."""
    try:
        source()
    except errors.AmasiaError as error:
        return isinstance(error, errors.StoreFull)
    return False


@dataclass(frozen=True)
class Credentials:
    """What Icechunk calls for credentials, in this process and wherever a session is unpickled."""

    source: Source

    def __call__(self) -> Any:
        """Of the kind that Icechunk wants for this store."""
        lease, renew_at = _current(self.source)
        until = renew_at.astimezone(UTC) if renew_at else None
        if lease.kind is BucketKind.gcs:
            return icechunk.GcsBearerCredential(lease.session_token, expires_after=until)
        if lease.kind is BucketKind.azure:
            return icechunk.AzureRefreshableCredential.SasToken(lease.session_token, expires_after=until)
        return icechunk.S3StaticCredentials(
            access_key_id=lease.access_key,
            secret_access_key=lease.secret_key,
            session_token=lease.session_token,
            expires_after=until,
        )
