"""Large regions in pieces, so that memory is bounded; on the active Dask cluster, where there is one."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from distributed import Client

from amasia.stores.views.axes import Range

TARGET = 32 << 20
"""Bytes of the source in one piece."""


def split(ranges: Sequence[Range], longest: int) -> list[Range]:
    """The same rows in ranges of at most so many."""
    return [(at, min(at + longest, stop)) for start, stop in ranges for at in range(start, stop, longest)]


def each[Piece, Found](function: Callable[[Piece], Found], pieces: Sequence[Piece]) -> Iterator[Found]:
    """Results in order. With a cluster, a few more than it has threads are under way at a time, and no more."""
    client = _client() if len(pieces) > 1 else None
    if client is None:
        yield from map(function, pieces)
        return
    ahead = 2 + sum(client.nthreads().values())  # type: ignore[no-untyped-call]
    shared = client.scatter(function, hash=False)  # type: ignore[no-untyped-call]
    waiting: list[Any] = []
    try:
        for piece in pieces:
            waiting.append(client.submit(_run, shared, piece, pure=False))
            if len(waiting) >= ahead:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        client.cancel(waiting)  # type: ignore[no-untyped-call]


def _run(function: Callable[[Any], Any], piece: Any) -> Any:
    return function(piece)


def _client() -> Client | None:
    try:
        found: Client = Client.current()  # type: ignore[no-untyped-call]
    except ValueError:
        return None
    return found if found.nthreads() else None  # type: ignore[no-untyped-call]
