"""``?wait=``: look again until something is so, or the time is over. No thread is held in between."""

import asyncio
import time
from collections.abc import Callable

from fastapi.concurrency import run_in_threadpool

PAUSE = 0.15


async def until[T](look: Callable[[], T], good: Callable[[T], bool], seconds: float) -> T:
    """What ``look`` saw last: a good answer, or whatever was there when the time was over."""
    end = time.monotonic() + seconds
    while True:
        found = await run_in_threadpool(look)
        if good(found) or time.monotonic() >= end:
            return found
        await asyncio.sleep(PAUSE)
