"""The scheduler of a cluster: Dask's own, which also knows why workers died, when it is idle, and how many it needs."""

import asyncio
import contextlib
import signal
from collections import defaultdict
from pickle import dumps
from time import time
from typing import Any

import distributed.scheduler
from distributed import Scheduler
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin

from amasia.agent.dask import deaths, drivers
from amasia.agent.dask.channel import Channel
from amasia.agent.dask.scaling import Scaling
from amasia.agent.dask.setups import DASHBOARD, LOCAL, security

PATIENCE = 5.0
"""Seconds that a lost worker's tasks wait for the reason: its agent knows it and brings it with the next process."""
BEAT = 1.0
LEAVING = (Status.closing, Status.closing_gracefully, Status.closed, Status.stopping)


class TellingScheduler(Scheduler):
    """Waits a moment for the reason of a death before it judges the tasks that ran."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.told: dict[str, dict[str, Any]] = {}
        self.shown: set[str] = set()
        self.known: set[str] = set()
        self.reasons: dict[str, list[str]] = defaultdict(list)
        self.retired: list[str] = []
        self._news = asyncio.Condition()

    async def remove_worker(self, address: str, *, stimulus_id: str, expected: bool = False, close: bool = True) -> Any:
        worker = self.workers.get(self.coerce_address(address))
        if worker is None:
            return "already-removed"
        if worker.status == Status.closing_gracefully:
            self.retired.append(str(worker.name))
        expected = expected or worker.status in LEAVING
        if not expected and self.status == Status.running:
            self.handle_worker_status_change("paused", worker, stimulus_id)
            death = await self._reason(worker)
            if worker.address not in self.workers:
                return "already-removed"
            self._blame(worker, death)
        return await super().remove_worker(address, stimulus_id=stimulus_id, expected=expected, close=close)

    async def learn(self, death: dict[str, Any]) -> None:
        """Take in a reason, show it to every client once, and let go of the worker if that has not happened yet."""
        address = death["address"]
        if address in self.told or address not in self.known:
            return
        async with self._news:
            self.told[address] = death
            self._news.notify_all()
        self.show(f"{death['label']}: {death['reason']}. {deaths.cure(death['reason'])}")
        if death["over"]:
            await self.remove_worker(address, stimulus_id=f"amasia-death-{time()}")

    def show(self, sentence: str) -> None:
        """Warn in every connected client, also in those that know nothing of Amasia."""
        if sentence in self.shown:
            return
        self.shown.add(sentence)
        self.log_event("warn", {"message": dumps(sentence), "category": dumps(UserWarning)})

    def idle_seconds(self) -> float:
        since = self.check_idle()
        return max(0.0, time() - since) if since else 0.0

    async def _reason(self, worker: Any) -> dict[str, Any]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(lambda: worker.address in self.told or worker.address not in self.workers)
        silent = {"reason": f"{worker.name} was lost without a word", "keys": None}
        return self.told.get(worker.address, silent)

    def _blame(self, worker: Any, death: dict[str, Any]) -> None:
        """Only tasks that ran may have killed their worker; those that waited there are innocent."""
        for task in worker.processing:
            if death["keys"] is not None and str(task.key) not in death["keys"]:
                task.suspicious -= 1
            else:
                self.reasons[str(task.key)].append(death["reason"])


class Ears(SchedulerPlugin):
    """Hears of deaths, and of workers and clients that come: whoever just came makes an idle cluster a waiting one."""

    name = "amasia"

    def __init__(self, scheduler: TellingScheduler) -> None:
        self.scheduler = scheduler

    def log_event(self, topic: str, msg: Any) -> None:
        if topic == deaths.TOPIC:
            self.scheduler._ongoing_background_tasks.call_soon(self.scheduler.learn, msg)

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        self.scheduler.known.add(worker)
        scheduler.idle_since = None

    def add_client(self, scheduler: Scheduler, client: str) -> None:
        scheduler.idle_since = None

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if finish in ("memory", "forgotten"):
            self.scheduler.reasons.pop(str(key), None)


async def serve(channel: Channel, setup: dict[str, Any]) -> None:
    """Run a scheduler until the agent says otherwise."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    scheduler = TellingScheduler(
        host=setup["host"],
        port=setup["port"],
        protocol="tls",
        security=security(setup),
        dashboard=DASHBOARD,
        dashboard_address=LOCAL,
    )
    scheduler.add_plugin(Ears(scheduler))
    vars(distributed.scheduler)["KilledWorker"] = deaths.raiser(lambda task: scheduler.reasons.get(str(task), []))
    scaling = Scaling(scheduler, setup["spec"])
    await scheduler
    dashboard = f"http://127.0.0.1:{vars(scheduler.http_server)['port']}" if DASHBOARD else ""
    channel.say(status="running", address=scheduler.address, dashboard_address=dashboard)

    def handle(instruction: dict[str, Any]) -> None:
        scaling.wish(instruction.get("scale", {}))
        for notice in instruction.get("notices", ()):
            scheduler.show(notice)

    channel.listen(handle)
    refresh = setup["spec"].get("refresh")
    driver = asyncio.create_task(drivers.drive(refresh, scheduler.address, setup)) if refresh else None
    while not over.is_set() and scheduler.status == Status.running:
        scaling.step()
        ended = driver.result() if driver is not None and driver.done() else ""
        channel.say(scheduler=_report(scheduler, scaling) | {"driver": ended})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), BEAT)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(scheduler.close(reason="its machine ends"), 2)


def _report(scheduler: TellingScheduler, scaling: Scaling) -> dict[str, Any]:
    return {
        "idle_seconds": scheduler.idle_seconds(),
        "wanted_workers": scaling.wanted.get(""),
        "wanted_groups": {name: wanted for name, wanted in scaling.wanted.items() if name},
        "retire": scheduler.retired,
        "tasks": len(scheduler.tasks),
        "workers": len(scheduler.workers),
        "clients": sum(1 for name in scheduler.clients if name != "fire-and-forget"),
    }
