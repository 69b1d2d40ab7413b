"""Leases that renew themselves: one request at a time per repository and process, kept until near their end."""

import pickle
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, timedelta

import icechunk

from amasia import errors
from amasia.models.base import now
from amasia.models.repositories import Lease

type Source = Callable[[], Lease]
"""Asks for a lease. Picklable, so that workers ask for their own; it holds no secret."""

EARLY = timedelta(minutes=5)
"""A lease is renewed this long before its end, so that a long request cannot outlive it."""


@dataclass
class _Shelf:
    lock: threading.Lock = field(default_factory=threading.Lock)
    lease: Lease | None = None
    failure: errors.AmasiaError | None = None


_shelves: defaultdict[bytes, _Shelf] = defaultdict(_Shelf)


def current(source: Source) -> Lease:
    """A lease that is good for some minutes at least: the kept one, or a new one."""
    shelf = _shelves[pickle.dumps(source)]
    with shelf.lock:
        if shelf.lease is not None and _fresh(shelf.lease):
            return shelf.lease
        try:
            shelf.lease, shelf.failure = source(), None
        except errors.AmasiaError as error:
            shelf.failure = error
            raise
        return shelf.lease


def failure(source: Source) -> errors.AmasiaError | None:
    """Why the last renewal failed; None when it did not. Icechunk passes on no more than its text."""
    return _shelves[pickle.dumps(source)].failure


@dataclass(frozen=True)
class Credentials:
    """What Icechunk calls for credentials, in this process and wherever a session is unpickled."""

    source: Source

    def __call__(self) -> icechunk.S3StaticCredentials:
        lease = current(self.source)
        return icechunk.S3StaticCredentials(
            access_key_id=lease.access_key,
            secret_access_key=lease.secret_key,
            session_token=lease.session_token,
            expires_after=(lease.expires_at - EARLY).astimezone(UTC) if lease.expires_at else None,
        )


def _fresh(lease: Lease) -> bool:
    return lease.expires_at is None or now() < lease.expires_at - EARLY
