"""Line 2 of the machines: the control plane is killed at random lines of launch and stop, and the cloud loses answers,
takes requests twice, and lists late what it made. What does the cloud have in the end, and what was charged?

``python -m show.launches --dose 0.1 --seed 7`` runs it alone.
"""

import argparse
import contextlib
import gc
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import structlog
from cryptography.fernet import Fernet

from amasia import errors
from amasia.database import machines as rows
from amasia.database import users as user_rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.clusters import ClusterRequest, ClusterSpec, ClusterStatus
from amasia.models.environments import Environment
from amasia.models.locations import LocationRequest, LocationStatus, Place
from amasia.models.machines import MachineStatus
from amasia.models.users import Principal, Scope, Token, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.providers import aws
from amasia.providers.aws import AwsProvider
from amasia.providers.base import Provider
from amasia.reconcilers import clusters, locations, machines
from amasia.reconcilers.fleets import Fleet
from amasia.services import access, budgets, environments, users, workspaces
from amasia.services import clusters as cluster_verbs
from amasia.services import locations as location_verbs
from amasia.settings import ServerSettings
from amasia.testing.ec2 import Ec2
from show.lines import Line
from show.reapers import Killed, Reaper

KILLS = 1000
LINES = 1500
"""A strike comes within so many lines, each as likely: that is about one launch and its stop."""
WORKSPACE, PLACE = "lab", "there"
ENVIRONMENT = Environment(python="3.13.0", pylock="")
PRECISION = 2.0
"""Seconds: EC2 tells beginnings and ends in whole ones."""


class World(Protocol):
    """A cloud that can be looked at past its provider."""

    name: str
    request: LocationRequest
    code: tuple[str, ...]
    """Parts of the paths of the provider's own code."""

    def open(self, place: Place) -> Provider: ...

    def trouble(self, dice: random.Random) -> str:
        """Something goes wrong next; its name."""
        ...

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        ...

    def lives(self) -> dict[str, list[tuple[datetime, datetime | None]]]:
        """Beginning and end of everything that was ever made for each machine; None while it lives."""
        ...

    def close(self) -> None: ...


class AwsWorld:
    """The real provider against a server that speaks EC2's language; its instances do not boot."""

    name = "aws"
    code = ("providers/aws", "providers/launches")

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.ec2 = Ec2()
        os.environ["AWS_ENDPOINT_URL"] = self.ec2.url
        self.request = LocationRequest(
            name=PLACE,
            provider="aws",
            region="us-east-1",
            options={"subnets": list(self.ec2.subnets.values()), "types": ["m7i.large"], "price_list": False},
            secrets={"access_key": "key", "secret_key": "secret"},
            max_machines=100_000,
        )
        self._first: AwsProvider | None = None
        aws.DOUBT = 1.5  # of a cloud that lists after 0.3 s at most, as 20 s are of one that does after a few

    def open(self, place: Place) -> Provider:
        """A new one, as after a start; only clients and what AWS said of zones and types are kept, to save minutes."""
        made = AwsProvider(place)
        if self._first:
            for kept in ("calls", "market", "_images", "_subnets"):
                setattr(made, kept, getattr(self._first, kept))
        self._first = made
        return made

    def trouble(self, dice: random.Random) -> str:
        faults = self.ec2.faults
        kind = dice.choice(("lost", "lost", "doubled", "late", "no room", "throttled", "none", "none"))
        faults.no_room, faults.late = set(), 0.0
        match kind:
            case "lost" | "doubled" | "throttled":
                setattr(faults, kind, dice.randrange(1, 3))
            case "late":
                faults.late = dice.uniform(0.02, 0.3)
            case "no room":
                faults.no_room = {("*", zone, False) for zone in dice.sample(sorted(self.ec2.subnets), 2)}
        return kind

    def calm(self) -> None:
        faults = self.ec2.faults
        faults.lost = faults.doubled = faults.throttled = 0
        faults.no_room, faults.late = set(), 0.0

    def lives(self) -> dict[str, list[tuple[datetime, datetime | None]]]:
        found: dict[str, list[tuple[datetime, datetime | None]]] = defaultdict(list)
        for machine_id, began, ended in self.ec2.lives():
            found[machine_id].append((began, ended))
        return found

    def close(self) -> None:
        self.ec2.close()


WORLDS: dict[str, Callable[[], World]] = {"aws": AwsWorld}


@dataclass
class Plane:
    """A control plane without its server: its database, its reconcilers, and somebody who wishes."""

    world: World
    settings: ServerSettings
    key: bytes
    reaper: Reaper
    secret: str = ""
    db: Database = field(init=False)
    fleet: Fleet = field(init=False)

    def begin(self) -> None:
        """As after a start of the process."""
        self.db = Database(f"sqlite:///{self.settings.home / 'amasia.db'}", self.key)
        self.fleet = Fleet(self.db, self.settings.home / "locations", {}, lambda _, place: self.world.open(place))

    def end(self) -> None:
        """All its threads are gone; whatever they were about to do is not done."""
        for pool in (self.fleet.hands, self.fleet.watching, self.fleet.sweeping, self.fleet.checking):
            pool._pool.shutdown(wait=True, cancel_futures=True)
        self.reaper.revive()
        gc.collect()  # what the dead still held, a system takes from them: transactions, locks
        self.db.close()

    def turn(self) -> None:
        """One round of every loop that launches and stops."""
        clusters.reconcile(self.db, self.settings)
        machines.reconcile(self.db, self.settings, self.fleet)
        machines.watch(self.db, self.settings, self.fleet)
        machines.sweep(self.db, self.fleet)

    def pass_time(self) -> None:
        """Claims of the dead, and waits between tries, are over."""
        with self.db.write() as tx:
            for machine, _ in rows.accounts(tx):
                if machine.status is not MachineStatus.stopped:
                    rows.update(tx, machine.id, claimed_until=None, tries=0)

    @property
    def who(self) -> Principal:
        return access.principal(self.db, self.secret, "show")


def lines(dose: float, seed: int, base: Path, name: str = "aws") -> Iterator[Line]:
    kills = max(5, round(KILLS * dose))
    structlog.configure(logger_factory=structlog.PrintLoggerFactory((base / "log").open("w")))
    world = WORLDS[name]()
    reaper = Reaper("amasia/reconcilers/", "amasia/services/", "amasia/database/machines", *world.code)
    settings = ServerSettings(home=base / "home", lease_seconds=36_000, join_seconds=36_000)
    plane = Plane(world, settings, Fernet.generate_key(), reaper)
    try:
        settle(plane)
        dice = random.Random(seed)
        with reaper.watching():
            seen = live_through(plane, dice, kills)
        evening(plane)
        yield from judge(plane, f"{name}: {kills} kills (seed {seed}; {seen})")
        plane.end()
    finally:
        world.close()


def settle(plane: Plane) -> None:
    """A workspace with money, somebody in it, and the location."""
    plane.settings.home.mkdir(parents=True, exist_ok=True)
    plane.begin()
    plane.db.migrate()
    users.create(plane.db, None, UserRequest(name="ada", password=access.new_secret(), operator=True))
    plane.secret = access.new_secret()
    token = Token(id="tk-ada", user="ada", label="show", scope=Scope.everything, prefix=plane.secret[:10],
                  created_at=now(), expires_at=now() + timedelta(days=1))  # fmt: skip
    with plane.db.write() as tx:
        user_rows.add_tokens(tx, [(token, access.digest(plane.secret), {})])
    workspaces.create(plane.db, plane.who, WorkspaceRequest(name=WORKSPACE), limit=10**15, offers=())
    environments.put(plane.db, plane.who, WORKSPACE, ENVIRONMENT.hash, ENVIRONMENT)
    location_verbs.create(plane.db, plane.who, WORKSPACE, plane.world.request)
    while (found := location_verbs.get(plane.db, WORKSPACE, PLACE)).status is LocationStatus.requested:
        locations.check(plane.db, plane.fleet)
        time.sleep(0.1)
    assert found.status is LocationStatus.ready, found.findings


def live_through(plane: Plane, dice: random.Random, kills: int) -> str:
    """Wishes come, reconcilers turn, and again and again everything is gone."""
    told: Counter[str] = Counter()
    places: set[str] = set()
    reaper = plane.reaper
    for _ in range(kills):
        reaper.arm(dice.randrange(LINES))
        while not reaper.dead:
            told[plane.world.trouble(dice)] += 1
            with contextlib.suppress(Killed, errors.AmasiaError):
                wish(plane, dice)
                plane.turn()
            if not reaper.dead:
                reaper.disarm_for(plane.pass_time)
        plane.end()
        places.add(reaper.place)
        plane.begin()
        plane.pass_time()
    troubles = ", ".join(f"{count} {kind}" for kind, count in sorted(told.items()) if kind != "none")
    return f"at {len(places)} different lines; {troubles}"


def wish(plane: Plane, dice: random.Random) -> None:
    """Sometimes another cluster, sometimes the end of one."""
    alive = [one for one in cluster_verbs.live(plane.db) if one.target == "running"]
    if len(alive) < 3 and dice.random() < 0.6:
        spec = ClusterSpec(n_workers=dice.randrange(3), location=PLACE, idle_timeout=0)
        request = ClusterRequest(environment_hash=ENVIRONMENT.hash, spec=spec)
        cluster_verbs.create(plane.db, plane.settings, plane.who, WORKSPACE, request)
    elif alive and dice.random() < 0.5:
        cluster_verbs.stop(plane.db, plane.who, WORKSPACE, dice.choice(alive).id)


def evening(plane: Plane) -> None:
    """No more trouble, everything is stopped."""
    plane.world.calm()
    for one in cluster_verbs.live(plane.db):
        cluster_verbs.stop(plane.db, plane.who, WORKSPACE, one.id)
    end = time.monotonic() + 120
    while any(one.status is not ClusterStatus.stopped for one in cluster_verbs.live(plane.db)):
        if time.monotonic() > end:
            raise RuntimeError("clusters do not stop")
        plane.turn()
        plane.pass_time()
        time.sleep(0.2)
    time.sleep(1)
    machines.sweep(plane.db, plane.fleet)


def judge(plane: Plane, what: str) -> Iterator[Line]:
    """The records against what the cloud really had."""
    lives = plane.world.lives()
    leaked = [machine_id for machine_id, all_ in lives.items() if any(end is None for _, end in all_)]
    yield Line(2, f"{what}: machines leaked, of {len(lives)}", str(len(leaked)), "0", not leaked and bool(lives),
               "; ".join(leaked[:5]))  # fmt: skip
    twice = [machine_id for machine_id, all_ in lives.items() if len(all_) > 1]
    yield Line(2, f"{what}: started twice", str(len(twice)), "0", not twice, "; ".join(twice[:5]))
    wrong, worst = _wrong(plane, lives)
    yield Line(2, f"{what}: charged wrongly", str(len(wrong)), "0", not wrong,
               "; ".join(wrong[:5]) or f"worst difference {worst:.2f} s")  # fmt: skip


def _wrong(plane: Plane, lives: dict[str, list[tuple[datetime, datetime | None]]]) -> tuple[list[str], float]:
    wrong, worst = [], 0.0
    with plane.db.read() as tx:
        accounts = rows.accounts(tx)
    for machine, account in accounts:
        lived = sum(((end or datetime.now(UTC)) - begin).total_seconds() for begin, end in lives.get(machine.id, []))
        off = abs(lived - account.charged_ms / 1000)
        worst = max(worst, off)
        if off > PRECISION or account.reserved:
            wrong.append(f"{machine.id} lived {lived:.1f} s, paid {account.charged_ms / 1000:.1f} s ({machine.reason})")
    budget = budgets.get(plane.db, WORKSPACE)
    charged = sum(account.charged_amount for _, account in accounts)
    if budget.reserved or budget.spent != charged:
        wrong.append(f"the budget has {budget.reserved} reserved and {budget.spent} spent, charges are {charged}")
    return wrong, worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dose", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--provider", choices=sorted(WORLDS), default="aws")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="amasia-launches-") as folder:
        found = list(lines(arguments.dose, arguments.seed, Path(folder), arguments.provider))
    for line in found:
        print("holds" if line.holds else "FALLS SHORT", line.what, line.figure, f"(goal: {line.goal})", line.detail)
    return 0 if all(line.holds for line in found) else 1


if __name__ == "__main__":
    sys.exit(main())
