"""Machines on this computer: each one a directory, a session of processes and a memory limit.

They are no children of anybody's lifetime: they outlive the control plane and are found again by their directory.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any

import psutil
from filelock import FileLock

from amasia.errors import NotFound, TooLarge, Unavailable
from amasia.models import homes
from amasia.models.base import NAME, now
from amasia.models.homes import Exit, Identity
from amasia.models.locations import Offer
from amasia.models.machines import Boot, Found, Machine
from amasia.models.sizes import GIB
from amasia.providers import processes

GRACE = 6.0
"""Seconds between the polite signal and the last one."""
NOT_THEIRS = (
    "PYTHONDONTWRITEBYTECODE",
    *(f"AMASIA_{name}" for name in ("KEYS", "DATABASE_URL", "ISSUERS", "SMTP_URL", "AUDIT_SECRET")),
)
"""Variables of the control plane that are no machine's business: the first would cost time, the others are secrets."""
FORGET = 24 * 3600.0
"""Seconds after its end that a machine's directory is kept."""


class LocalProvider:
    """Runs machines as processes of this computer.

    Parameters
    ----------
    home
        Directory of the control plane; machines live in ``home/machines/<id>``.
    price_per_cpu, price_per_gib
        Micro-units per hour, for a core and for a GiB of memory.
    python
        Interpreter that the agents run in; it needs Amasia installed.
    uv_cache
        Cache of packages to share with the people of this computer, on the file system of ``home``; None for one in
        ``home``, filled from the package index.
    """

    name = "local"

    def __init__(
        self,
        home: Path,
        price_per_cpu: int,
        price_per_gib: int,
        python: str = sys.executable,
        uv_cache: Path | None = None,
    ) -> None:
        self.machines = home.absolute() / "machines"
        self.cache = home.absolute() / "cache"
        self.price_per_cpu = price_per_cpu
        self.price_per_gib = price_per_gib
        self.python = python
        self.uv_cache = uv_cache
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._buried: set[str] = set()

    def __repr__(self) -> str:
        return f"LocalProvider({str(self.machines.parent)!r})"

    def offers(self) -> list[Offer]:
        cpus, memory = host_size()
        return [
            Offer(
                type=f"c{c}-m{m / GIB:g}",
                cpus=c,
                memory=m,
                price=self._price(c, m),
                price_source="settings: local_price_per_cpu, local_price_per_gib",
            )
            for c in _steps(1, cpus)
            for m in _steps(GIB // 4, memory)
        ]

    def start(self, machine: Machine, boot: Boot) -> dict[str, Any]:
        home = self._home(machine.id)
        cpus, memory = host_size()
        if machine.cpus > cpus or machine.memory > memory:
            raise TooLarge(
                f"{machine.cpus:g} cpus and {_gib(machine.memory)} were asked for; "
                f"this computer has {cpus} cpus and {_gib(memory)}.",
                cure="Ask for smaller machines, or use another location.",
            )
        self.machines.mkdir(parents=True, exist_ok=True)
        with FileLock(self.machines / "starts.lock", mode=0o600):
            if not self._settled(home):
                self._check_room(machine, memory)
                self._launch(home, boot)
        return {"directory": str(home)}

    def find(self, machines: Sequence[Machine] | None = None) -> dict[str, Found]:
        ids = self._ids() if machines is None else [machine.id for machine in machines]
        found = {}
        for machine_id in ids:
            with contextlib.suppress(NotFound):
                found[machine_id] = self._look(machine_id)
        return found

    def stop(self, machine_id: str) -> None:
        if not NAME.fullmatch(machine_id):
            return
        home = self._home(machine_id)
        home.mkdir(parents=True, exist_ok=True)
        marker = home / homes.STOPPED
        with contextlib.suppress(FileExistsError), marker.open("x"):
            pass
        self._end(machine_id)

    def _home(self, machine_id: str) -> Path:
        return self.machines / machine_id

    def _ids(self) -> list[str]:
        """Every machine that has a directory; those that ended long ago are forgotten first."""
        if not self.machines.exists():
            return []
        found = []
        for home in sorted(path for path in self.machines.iterdir() if path.is_dir()):
            if _age(home / homes.EXIT) > FORGET or (_is_empty(home) and _age(home / homes.STOPPED) > FORGET):
                shutil.rmtree(home, ignore_errors=True)
                continue
            found.append(home.name)
        return found

    def _settled(self, home: Path) -> bool:
        """Whether there is nothing left to start: it runs, it ended, or it was stopped."""
        if (home / homes.STOPPED).exists() or (home / homes.EXIT).exists():
            return True
        identity = homes.read(home / homes.IDENTITY, Identity)
        if identity is None:
            return False
        if not processes.is_alive(identity):
            self._bury(home, identity)
        return True

    def _check_room(self, machine: Machine, memory: int) -> None:
        taken = sum(boot.memory for boot in self._living())
        if taken + machine.memory > memory:
            raise Unavailable(
                f"{_gib(machine.memory)} were asked for; running machines hold {_gib(taken)} "
                f"of this computer's {_gib(memory)}.",
                cure="Stop a cluster, ask for less memory, or wait.",
            )

    def _living(self) -> Iterator[Boot]:
        for machine_id in self._ids():
            home = self._home(machine_id)
            identity = homes.read(home / homes.IDENTITY, Identity)
            boot = homes.read(home / homes.BOOT, Boot)
            if boot and identity and not (home / homes.EXIT).exists() and processes.is_alive(identity):
                yield boot

    def _launch(self, home: Path, boot: Boot) -> None:
        home.mkdir(exist_ok=True)
        homes.write(home / homes.BOOT, boot)
        shared = ["--uv-cache", str(self.uv_cache)] if self.uv_cache else []
        with (home / homes.LOG).open("ab") as log:
            child = subprocess.Popen(
                [self.python, "-m", "amasia.agent", str(home), "--cache", str(self.cache), *shared],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
                env={key: value for key, value in os.environ.items() if key not in NOT_THEIRS},
                start_new_session=True,
            )
        self._children[home.name] = child
        identity = processes.identify(child.pid)
        if identity is not None:
            with contextlib.suppress(FileExistsError):
                homes.write(home / homes.IDENTITY, identity, replace=False)

    def _look(self, machine_id: str) -> Found:
        home = self._home(machine_id)
        identity = homes.read(home / homes.IDENTITY, Identity)
        if identity is None:
            raise NotFound(f"machine {machine_id} never began")
        self._reap(machine_id)
        if processes.is_alive(identity) and (home / homes.STOPPED).exists():
            self._end(machine_id)
        started_at = homes.moment(identity.created)
        if processes.is_alive(identity):
            return Found(machine_id=machine_id, alive=True, started_at=started_at)
        self._bury(home, identity)
        end = homes.read(home / homes.EXIT, Exit)
        if end is None:
            return Found(machine_id=machine_id, alive=False, started_at=started_at)
        return Found(
            machine_id=machine_id,
            alive=False,
            started_at=started_at,
            stopped_at=max(end.at, started_at),
            reason=end.reason,
        )

    def _end(self, machine_id: str) -> None:
        """Signal politely; after the grace, or when the agent is gone, kill what is left."""
        home = self._home(machine_id)
        identity = homes.read(home / homes.IDENTITY, Identity)
        if identity is None:
            return
        self._reap(machine_id)
        if not processes.is_alive(identity):
            self._bury(home, identity)
            return
        if _age(home / homes.STOPPED) < GRACE:
            processes.terminate(identity)
            return
        processes.kill_all(identity)
        self._reap(machine_id)
        _write_end(home, now(), "it did not end when asked to, and was killed")

    def _bury(self, home: Path, identity: Identity) -> None:
        """Leave nothing of a machine whose agent is gone, and write down its end where the agent could not."""
        if home.name in self._buried:
            return
        processes.kill_all(identity)
        self._buried.add(home.name)
        if not (home / homes.EXIT).exists():
            _write_end(home, _last_seen(home, identity), _reason(home))

    def _reap(self, machine_id: str) -> None:
        child = self._children.get(machine_id)
        if child is not None and child.poll() is not None:
            self._children.pop(machine_id, None)

    def _price(self, cpus: float, memory: int) -> int:
        return round(cpus * self.price_per_cpu) + memory * self.price_per_gib // GIB


def host_size() -> tuple[int, int]:
    """Cores, and bytes of memory in whole quarters of a GiB, of this computer."""
    memory = int(psutil.virtual_memory().total)
    return psutil.cpu_count() or 1, memory - memory % (GIB // 4)


def _write_end(home: Path, at: datetime, reason: str) -> None:
    with contextlib.suppress(FileExistsError):
        homes.write(home / homes.EXIT, Exit(at=at, reason=reason, by="provider"), replace=False)


def _last_seen(home: Path, identity: Identity) -> datetime:
    alive = home / homes.ALIVE
    return datetime.fromtimestamp(alive.stat().st_mtime, UTC) if alive.exists() else homes.moment(identity.created)


def _reason(home: Path) -> str:
    if (home / homes.STOPPED).exists():
        return "it was stopped"
    return "its agent died without a word: killed from outside, or the computer went down"


def _is_empty(home: Path) -> bool:
    return not (home / homes.BOOT).exists()


def _age(path: Path) -> float:
    """Seconds since a file was written; 0 where there is none."""
    try:
        return time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _steps(first: int, last: int) -> list[int]:
    """first, twice, four times … up to last, which is always among them."""
    steps = [last]
    while first < last:
        steps.append(first)
        first *= 2
    return sorted(steps)


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
