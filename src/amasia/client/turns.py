"""Turns to append: waited for, kept while the work goes on, and given back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from amasia import errors
from amasia.client.repositories import path
from amasia.client.transport import connect, read
from amasia.models import repositories as models
from amasia.models.turns import SECONDS, Turn, TurnRequest

WAIT = 20
"""Seconds of one request."""
LONGEST = 3600
"""Seconds to wait for a turn in all."""


@contextmanager
def held(record: models.Repository, branch: str) -> Iterator[None]:
    """Be the only one who appends to a branch.

    Raises
    ------
    TimedOut
        Somebody else has been appending for an hour.
    """
    where = f"{path(record.workspace, record.name)}/turns"
    turn = _take(record, where, branch)
    over = Event()
    keeper = Thread(target=_keep, args=(f"{where}/{turn.id}", over), name=f"turn {turn.id}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        with suppress(errors.AmasiaError):  # it ends by itself
            connect().delete(f"{where}/{turn.id}")


def _take(record: models.Repository, where: str, branch: str) -> Turn:
    deadline = time.monotonic() + LONGEST
    while True:
        turn = read(connect().send("POST", where, TurnRequest(branch=branch), query={"wait": WAIT}), Turn)
        if turn.mine:
            return turn
        if time.monotonic() > deadline:
            raise errors.TimedOut(
                f"{turn.user} has been appending to {record.full_name} ({branch!r}) all the time.",
                cure="Try again later, or append to another branch.",
            )


def _keep(where: str, over: Event) -> None:
    """Renew it. Where that fails the work goes on: the store itself refuses what would overlap."""
    while not over.wait(SECONDS / 3):
        with suppress(errors.AmasiaError):
            connect().send("PUT", where)
