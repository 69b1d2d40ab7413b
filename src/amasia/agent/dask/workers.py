"""A worker of a cluster: Dask's own, which says what runs and tells of its end before it comes."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import psutil
from distributed import Worker, rpc
from distributed.core import Status
from distributed.diagnostics.plugin import WorkerPlugin

from amasia.agent.dask import deaths
from amasia.agent.dask.channel import Channel
from amasia.agent.dask.setups import LOCAL, security
from amasia.agent.words import over_memory

BRINK = 0.95
"""Part of the memory limit at which a worker ends itself while it can still say why."""
FASTEST = 2 << 30
"""Bytes that a program may fill in a second: the closer the brink, the more often it is looked for."""
LAST_WORDS = 0.5
"""Seconds that the scheduler gets to hear of the end."""
DEATH_TIMEOUT = 20.0


class LeavingWorker(Worker):
    """Remembers whether it was retired."""

    retired = False

    async def close(self, *args: Any, **kwargs: Any) -> Any:
        self.retired = self.retired or self.status == Status.closing_gracefully
        return await super().close(*args, **kwargs)


class Running(WorkerPlugin):
    """Keeps the keys of running tasks in a small file, so that they are known after a sudden death."""

    name = "amasia"

    def __init__(self, path: str) -> None:
        self.keys: list[str] = []
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def setup(self, worker: Worker) -> None:
        self._state = worker.state

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Also a task that nobody wants any more runs to its end, and may take its worker with it."""
        keys = sorted(str(task.key) for task in self._state.all_running_tasks)
        if keys == self.keys:
            return
        self.keys = keys
        text = json.dumps(keys[:32]).encode()
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))


async def serve(channel: Channel, setup: dict[str, Any]) -> None:
    """Run a worker until its scheduler or its agent ends it."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    moved = asyncio.Event()
    address = await _scheduler_address(channel, over, moved)
    if not address:
        return None
    running = Running(setup["running"])
    worker = _made(address, setup, running)
    try:
        await _join(worker, address, setup)
    except (OSError, TimeoutError, ValueError) as error:
        return channel.say(status="scheduler-gone", reason=str(error))
    channel.say(status="running", address=worker.address)
    last_words = _last_words(worker, channel, setup, running, asyncio.get_running_loop())
    Thread(target=watch, args=(setup["memory_limit"], last_words), daemon=True).start()
    await _either(worker.finished(), over.wait(), moved.wait())  # type: ignore[no-untyped-call]
    if not over.is_set():
        channel.say(status="retired" if worker.retired else "scheduler-gone")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(worker.close(timeout=1, executor_wait=False, reason="its machine ends"), 2)
    return None


def _made(address: str, setup: dict[str, Any], running: Running) -> LeavingWorker:
    return LeavingWorker(
        address,
        name=setup["name"],
        nthreads=setup["nthreads"],
        memory_limit=setup["memory_limit"],
        resources=setup["resources"],
        local_directory=setup["directory"],
        host=setup["host"],
        protocol="tls",
        security=security(setup),
        dashboard=False,
        dashboard_address=LOCAL,
        death_timeout=DEATH_TIMEOUT,
        plugins=(running,),
    )


def _last_words(
    worker: LeavingWorker,
    channel: Channel,
    setup: dict[str, Any],
    running: Running,
    loop: asyncio.AbstractEventLoop,
) -> Callable[[int], None]:
    """Tells the agent and the scheduler of a death for want of memory, from the thread that sees it come."""

    def say(used: int) -> None:
        reason = over_memory("worker", used, setup["memory_limit"], running.keys)
        death = {
            "address": worker.address,
            "label": setup["label"],
            "reason": reason,
            "keys": running.keys,
            "over": False,
        }
        channel.say(status="dying", reason=reason)
        loop.call_soon_threadsafe(worker.log_event, deaths.TOPIC, death)

    return say


def watch(limit: int, last_words: Callable[[int], None]) -> None:
    """End this process at the brink of its memory, after it has said so."""
    process, pause = psutil.Process(), Event()
    while (used := process.memory_info().rss) < BRINK * limit:
        pause.wait(min(0.5, max(0.02, (BRINK * limit - used) / FASTEST)))
    last_words(used)
    pause.wait(LAST_WORDS)
    os.kill(os.getpid(), signal.SIGKILL)


async def _join(worker: Worker, address: str, setup: dict[str, Any]) -> None:
    """Tell first why the process before this one died: its name is free only when the scheduler has understood."""
    async with asyncio.timeout(DEATH_TIMEOUT):
        if setup["death"].get("address"):
            async with rpc(address, connection_args=worker.connection_args) as scheduler:  # type: ignore[no-untyped-call]
                death = setup["death"] | {"label": setup["label"], "over": True}
                await scheduler.log_event(topic=deaths.TOPIC, msg=death)
        await worker


async def _scheduler_address(channel: Channel, over: asyncio.Event, moved: asyncio.Event) -> str:
    """The address, as soon as the agent knows it; empty when told to end first."""
    known: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def handle(instruction: dict[str, Any]) -> None:
        address = instruction.get("scheduler_address")
        if not address:
            return
        if not known.done():
            known.set_result(address)
        elif known.result() != address:
            moved.set()  # a new scheduler: the agent starts a new worker for it

    channel.listen(handle)
    await _either(known, over.wait())
    return known.result() if known.done() else ""


async def _either(*waits: Any) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if not task.done():
            task.cancel()
