"""Heartbeats that come at the same time are heard together: one transaction, however many machines there are."""

import asyncio
import time

from starlette.concurrency import run_in_threadpool

from amasia.database.engine import Database
from amasia.models.machines import Wishes
from amasia.services import heartbeats, machines
from amasia.services.heartbeats import Told
from amasia.settings import ServerSettings

MOST = 100
"""Heartbeats in one transaction."""
COUNTED = 5.0
"""Seconds after which the machines are counted again."""
LARGE, GATHER = 100, 0.05
"""From so many machines on, a heartbeat waits so many seconds for others to come."""


class Beats:
    """While some are heard in a thread, the next ones gather here; only in a crowd does one wait for company."""

    def __init__(self, db: Database, settings: ServerSettings) -> None:
        self._db, self._settings = db, settings
        self._waiting: list[tuple[Told, asyncio.Future[Wishes | None]]] = []
        self._hearing: asyncio.Task[None] | None = None
        self._crowd, self._counted = 0, 0.0

    async def hear(self, told: Told) -> Wishes | None:
        """The answer; None where this heartbeat is to be heard by itself."""
        answer: asyncio.Future[Wishes | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((told, answer))
        if self._hearing is None or self._hearing.done():
            self._hearing = asyncio.create_task(self._hear_all())
        return await answer

    async def _hear_all(self) -> None:
        while self._waiting:
            if self._crowd >= LARGE and len(self._waiting) < MOST:
                await asyncio.sleep(GATHER)
            taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            found: list[Wishes | None]
            try:
                found = await run_in_threadpool(self._hear, [told for told, _ in taken])
            except Exception:  # by itself, each gets its own answer or error
                found = [None] * len(taken)
            for (_, answer), wishes in zip(taken, found, strict=True):
                if not answer.done():
                    answer.set_result(wishes)

    def _hear(self, told: list[Told]) -> list[Wishes | None]:
        if time.monotonic() - self._counted > COUNTED:
            self._crowd, self._counted = machines.crowd(self._db), time.monotonic()
        return heartbeats.hear(self._db, self._settings, told, self._crowd)
