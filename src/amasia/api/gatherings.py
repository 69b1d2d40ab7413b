"""What many agents say at the same time is taken down together: one transaction, however many there are."""

import asyncio
import time
from collections.abc import Callable, Sequence

from starlette.concurrency import run_in_threadpool

from amasia.database.engine import Database
from amasia.services import machines

MOST = 100
"""In one transaction."""
COUNTED = 5.0
"""Seconds after which the machines are counted again."""
LARGE, PAUSE = 100, 0.05
"""From so many machines on, one waits so many seconds for others to come."""


class Crowd:
    """About how many machines there are."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._counted = 0.0
        self.size = 0

    def count(self) -> int:
        """Now and then anew, which takes a query."""
        if time.monotonic() - self._counted > COUNTED:
            self.size, self._counted = machines.crowd(self._db), time.monotonic()
        return self.size


class Gathering[Said, Answer]:
    """While some are answered in a thread, the next ones gather here; only in a crowd does one wait for company."""

    def __init__(self, crowd: Crowd, answer: Callable[[Sequence[Said]], Sequence[Answer | None]]) -> None:
        self._crowd, self._answer = crowd, answer
        self._waiting: list[tuple[Said, asyncio.Future[Answer | None]]] = []
        self._answering: asyncio.Task[None] | None = None

    async def ask(self, said: Said) -> Answer | None:
        """The answer; None where this one is to be asked by itself."""
        answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((said, answer))
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        while self._waiting:
            if self._crowd.size >= LARGE and len(self._waiting) < MOST:
                await asyncio.sleep(PAUSE)
            taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            found: Sequence[Answer | None]
            try:
                found = await run_in_threadpool(self._together, [said for said, _ in taken])
            except Exception:  # by itself, each gets its own answer or error
                found = [None] * len(taken)
            for (_, answer), one in zip(taken, found, strict=True):
                if not answer.done():
                    answer.set_result(one)

    def _together(self, said: Sequence[Said]) -> Sequence[Answer | None]:
        self._crowd.count()
        return self._answer(said)
