"""Providers in memory that keep the contract, or break it just as their name says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from amasia.errors import TooLarge, Unavailable
from amasia.models.base import now
from amasia.models.locations import Offer
from amasia.models.machines import Boot, Found, Machine
from amasia.models.sizes import GIB


class ControlPlaneKilled(BaseException):
    """Stands for a kill -9 in the middle of a call: nothing in the control plane may catch it and go on."""


@dataclass
class Entry:
    """What the cloud knows of one machine."""

    boot: Boot
    started_at: datetime
    stopped_at: datetime | None = None
    reason: str = ""


class MemoryProvider:
    """Keeps the contract with machines that are entries of a dict: no agent ever joins from them."""

    name = "memory"

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.stopped: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        """("start", id), ("find", ""), ("stop", id) in the order they came."""
        self._lock = Lock()

    def offers(self) -> list[Offer]:
        return [
            Offer(type="small", cpus=1, memory=GIB, price=60_000, price_source="made up"),
            Offer(type="large", cpus=4, memory=8 * GIB, price=240_000, price_source="made up"),
        ]

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        with self._lock:
            self.calls.append(("start", machine.id))
            if machine.id not in self.stopped and machine.id not in self.entries:
                self.entries[machine.id] = Entry(boot, now())
            return {"entry": machine.id}

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        with self._lock:
            self.calls.append(("find", ""))
            ids = list(self.entries) if machines is None else [machine.id for machine in machines]
            return {one: self._found(one, self.entries[one]) for one in ids if one in self.entries}

    def stop(self, machine_id: str) -> None:
        with self._lock:
            self.calls.append(("stop", machine_id))
            self.stopped.add(machine_id)
            self._end(machine_id, "it was stopped")

    def cut_power(self, machine_id: str, reason: str = "its host went down") -> None:
        """End a machine as if by itself."""
        with self._lock:
            self._end(machine_id, reason)

    def alive(self) -> set[str]:
        """Ids of the machines that really run, and really cost."""
        return {one for one, entry in self.entries.items() if entry.stopped_at is None}

    def _found(self, machine_id: str, entry: Entry) -> Found:
        return Found(
            machine_id=machine_id,
            alive=entry.stopped_at is None,
            started_at=entry.started_at,
            stopped_at=entry.stopped_at,
            reason=entry.reason,
        )

    def _end(self, machine_id: str, reason: str) -> None:
        entry = self.entries.get(machine_id)
        if entry and entry.stopped_at is None:
            entry.stopped_at, entry.reason = now(), reason


class FailingProvider(MemoryProvider):
    """Fails the first `times` times; a child says how."""

    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self.times = times

    def fails(self) -> bool:
        with self._lock:
            self.times -= 1
            return self.times >= 0


class RefusesStart(FailingProvider):
    """Has no room just now, and starts nothing."""

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        if self.fails():
            raise Unavailable("The location has no room for another machine just now.", cure="It is tried again.")
        return super().start(machine, boot)


class NeverHasThatSize(MemoryProvider):
    """Refuses every machine as too large."""

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        raise TooLarge(f"No machine here has {machine.memory} bytes.", cure="Ask for at most 8 GiB.")


class LosesAnswerOfStart(FailingProvider):
    """Starts the machine, and the answer never arrives."""

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        handle = super().start(machine, boot)
        if self.fails():
            raise Unavailable("The provider did not answer in time.", cure="It is tried again.")
        return handle


class KilledBeforeStart(FailingProvider):
    """The control plane is killed as it is about to call; no machine is made."""

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        if self.fails():
            raise ControlPlaneKilled
        return super().start(machine, boot)


class KilledAfterStart(FailingProvider):
    """The control plane is killed when the machine exists and nobody has written that down."""

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        handle = super().start(machine, boot)
        if self.fails():
            raise ControlPlaneKilled
        return handle


class DiesAtBoot(FailingProvider):
    """Machines that are accepted and end at once."""

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        handle = super().start(machine, boot)
        if self.fails():
            self.cut_power(machine.id, "its kernel did not boot")
        return handle


class NeverBoots(MemoryProvider):
    """Machines that are alive for ever and never join: all of a `MemoryProvider`, said aloud."""


class AppearsLate(FailingProvider):
    """A new machine is missing from the first answers of `find`."""

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        found = super().find(machines)
        return {} if found and self.fails() else found


class FindFails(FailingProvider):
    """Does not answer `find`, which says nothing about its machines."""

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        if self.fails():
            raise Unavailable("The provider did not answer in time.", cure="It is tried again.")
        return super().find(machines)


class StopFails(FailingProvider):
    """Does not answer `stop`, and ends nothing."""

    def stop(self, machine_id: str) -> None:
        if self.fails():
            raise Unavailable("The provider did not answer in time.", cure="It is tried again.")
        super().stop(machine_id)


class EndsSlowly(FailingProvider):
    """`stop` only has its effect when it was repeated often enough."""

    def stop(self, machine_id: str) -> None:
        if self.fails():
            self.calls.append(("stop", machine_id))
            self.stopped.add(machine_id)
            return
        super().stop(machine_id)


class Forgets(MemoryProvider):
    """A machine that ended is gone without a trace: no time, no reason."""

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        return {one: found for one, found in super().find(machines).items() if found.alive}


class Queues(MemoryProvider):
    """Accepts machines and lets them wait until it is opened."""

    closed = True

    def open(self) -> None:
        self.closed = False
        for entry in self.entries.values():
            entry.started_at = now()

    def _found(self, machine_id: str, entry: Entry) -> Found:
        found = super()._found(machine_id, entry)
        if not self.closed or not found.alive:
            return found
        return Found(machine_id=machine_id, alive=True, waiting=True, reason="No node is free")
