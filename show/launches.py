"""Line 2 of the machines: the control plane is killed at random lines of launch and stop, and the provider loses
answers, takes requests twice, and says late or never what it made. What is there in the end, and what was charged?

``python -m show.launches --dose 0.1 --seed 7`` runs it alone.
"""

import argparse
import contextlib
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path

import structlog
from cryptography.fernet import Fernet

from amasia import errors
from amasia.database import machines as rows
from amasia.database import users as user_rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.clusters import ClusterRequest, ClusterSpec, ClusterStatus
from amasia.models.environments import Environment
from amasia.models.locations import LocationStatus
from amasia.models.machines import MachineStatus
from amasia.models.users import Principal, Scope, Token, UserRequest
from amasia.models.workspaces import WorkspaceRequest
from amasia.reconcilers import clusters, locations, machines
from amasia.reconcilers.fleets import Fleet
from amasia.services import access, budgets, environments, users, workspaces
from amasia.services import clusters as cluster_verbs
from amasia.services import locations as location_verbs
from amasia.settings import ServerSettings
from show import planes
from show.lines import Line
from show.reapers import Killed, Reaper
from show.worlds import LACKING, PLACE, WORLDS, Lives, World

KILLS = {"aws": 500, "ssh": 500}
"""Of each provider at full dose."""
PIECE = 250
"""Kills in one process, with a database and a cloud of its own: clouds and hosts remember what was, and grow slow."""
WORKSPACE = "lab"
ENVIRONMENT = Environment(python="3.13.0", pylock="")


@dataclass
class Toll:
    """What came out of some kills on one provider."""

    provider: str
    kills: int = 0
    places: list[str] = field(default_factory=list)
    """Lines at which it was killed."""
    troubles: dict[str, int] = field(default_factory=dict)
    machines: int = 0
    """That were ever made."""
    leaked: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    worst: float = 0.0
    """Seconds by which a charge was off, at most."""
    cpu: float = 0.0
    """Seconds of processor that it took."""

    def add(self, other: "Toll") -> None:
        self.kills += other.kills
        self.places = sorted({*self.places, *other.places})
        self.troubles = dict(Counter(self.troubles) + Counter(other.troubles))
        self.machines += other.machines
        self.leaked += other.leaked
        self.twice += other.twice
        self.wrong += other.wrong
        self.worst = max(self.worst, other.worst)
        self.cpu += other.cpu


# --- all of it --------------------------------------------------------------------------------------------------------


def lines(dose: float, seed: int, base: Path, providers: tuple[str, ...] = tuple(KILLS)) -> Iterator[Line]:
    """As many pieces at once as there are processors, each a process of its own."""
    pieces = [piece for each in zip_longest(*(_pieces(one, dose) for one in providers)) for piece in each if piece]
    tolls = {provider: Toll(provider) for provider in providers}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for toll in pool.map(lambda item: _apart(*item[1], seed + item[0], base / str(item[0])), enumerate(pieces)):
            tolls[toll.provider].add(toll)
    told = ", ".join(f"{toll.kills} on {toll.provider}" for toll in tolls.values())
    least = {provider: max(1, round(KILLS[provider] * dose)) for provider in providers}
    counts = all(toll.kills >= least[toll.provider] for toll in tolls.values())
    yield Line(2, "kills of the control plane at random lines of launch and stop, over all providers",
               f"{sum(toll.kills for toll in tolls.values())}: {told}", f"{sum(least.values())}", counts,
               f"seed {seed}")  # fmt: skip
    for toll in tolls.values():
        yield from _judged(toll)


def _pieces(provider: str, dose: float) -> list[tuple[str, int]]:
    if LACKING[provider]():
        return []
    left = max(1, round(KILLS[provider] * dose))
    return [(provider, min(PIECE, left - done)) for done in range(0, left, PIECE)]


def _apart(provider: str, kills: int, seed: int, base: Path) -> Toll:
    """One piece, in a process of its own."""
    base.mkdir()
    words = ["--provider", provider, "--kills", str(kills), "--seed", str(seed), "--base", str(base)]
    done = subprocess.run(
        [sys.executable, "-m", "show.launches", *words], cwd=planes.ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(planes.show_error(done))
    return Toll(**json.loads(done.stdout.splitlines()[-1]))


def _judged(toll: Toll) -> Iterator[Line]:
    if why := LACKING[toll.provider]():
        yield Line(2, f"{toll.provider}: kills", f"cannot be tried here: {why}", "tried", False)
        return
    troubles = ", ".join(f"{count} {kind}" for kind, count in sorted(toll.troubles.items()) if kind != "none")
    what = f"{toll.provider}: {toll.kills} kills at {len(toll.places)} different lines; {troubles}"
    yield Line(2, f"{what}: machines leaked, of {toll.machines}", str(len(toll.leaked)), "0",
               not toll.leaked and toll.machines > 0,
               "; ".join(toll.leaked[:5]) or f"{toll.cpu:.0f} CPU-s")  # fmt: skip
    yield Line(2, f"{toll.provider}: started twice", str(len(toll.twice)), "0", not toll.twice,
               "; ".join(toll.twice[:5]))  # fmt: skip
    yield Line(2, f"{toll.provider}: charged wrongly", str(len(toll.wrong)), "0", not toll.wrong,
               "; ".join(toll.wrong[:5]) or f"worst difference {toll.worst:.2f} s")  # fmt: skip


# --- one piece --------------------------------------------------------------------------------------------------------


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

    def open(self) -> Database:
        return Database(f"sqlite:///{self.settings.home / 'amasia.db'}", self.key)

    def begin(self) -> None:
        """As after a start of the process."""
        self.db = self.open()
        self.fleet = Fleet(self.db, self.settings.home / "locations", {}, lambda _, place: self.world.open(place))

    def end(self) -> None:
        """All its threads are gone; whatever they were about to do is not done."""
        self.world.die()
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


def piece(provider: str, kills: int, seed: int, base: Path) -> Toll:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory((base / "log").open("w")))
    world = WORLDS[provider](base)
    reaper = Reaper("amasia/reconcilers/", "amasia/services/", "amasia/database/machines", *world.code)
    settings = ServerSettings(home=base / "home", lease_seconds=36_000, join_seconds=36_000)
    plane = Plane(world, settings, Fernet.generate_key(), reaper)
    toll = Toll(provider)
    try:
        settle(plane)
        gc.freeze()  # what is there by now need not be looked through after each kill
        with reaper.watching():
            live_through(plane, random.Random(seed), kills, toll)
        evening(plane)
        judge(plane, toll)
        plane.end()
    finally:
        world.close()
    toll.cpu = sum(os.times()[:4])
    return toll


def settle(plane: Plane) -> None:
    """A workspace with money, somebody in it, and the location."""
    plane.settings.home.mkdir(parents=True, exist_ok=True)
    first = plane.open()
    first.migrate()  # its keys are in the database, and a fleet marks its machines by one
    first.close()
    plane.begin()
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
    assert all(finding.ok for finding in found.findings), found.findings


def live_through(plane: Plane, dice: random.Random, kills: int, toll: Toll) -> None:
    """Wishes come, reconcilers turn, and again and again everything is gone."""
    told: Counter[str] = Counter()
    places: set[str] = set()
    reaper = plane.reaper
    for _ in range(kills):
        reaper.arm(dice.randrange(plane.world.lines))
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
    toll.kills, toll.places, toll.troubles = kills, sorted(places), dict(told)


def wish(plane: Plane, dice: random.Random) -> None:
    """Sometimes another cluster, sometimes the end of one."""
    live = list(cluster_verbs.find(plane.db, WORKSPACE, live=True))
    alive = [one for one in live if one.target == "running"]
    if len(alive) < 3 and len(live) < 6 and dice.random() < 0.6:
        spec = ClusterSpec(n_workers=dice.randrange(3), location=PLACE, idle_timeout=0)
        request = ClusterRequest(environment_hash=ENVIRONMENT.hash, spec=spec)
        cluster_verbs.create(plane.db, plane.settings, plane.who, WORKSPACE, request)
    elif alive and dice.random() < 0.8:
        cluster_verbs.stop(plane.db, plane.who, WORKSPACE, dice.choice(alive).id)


def evening(plane: Plane) -> None:
    """No more trouble, everything is stopped."""
    plane.world.calm()
    for one in cluster_verbs.find(plane.db, WORKSPACE, live=True):
        cluster_verbs.stop(plane.db, plane.who, WORKSPACE, one.id)
    end = time.monotonic() + 120
    while any(one.status is not ClusterStatus.stopped for one in cluster_verbs.find(plane.db, WORKSPACE, live=True)):
        if time.monotonic() > end:
            raise RuntimeError("clusters do not stop")
        plane.turn()
        plane.pass_time()
        time.sleep(0.2)
    time.sleep(1)
    machines.sweep(plane.db, plane.fleet)
    time.sleep(1)


def judge(plane: Plane, toll: Toll) -> None:
    """The records against what there really was."""
    lives = plane.world.lives()
    toll.machines = len(lives)
    toll.leaked = [machine_id for machine_id, all_ in lives.items() if any(end is None for _, end in all_)]
    toll.twice = [machine_id for machine_id, all_ in lives.items() if len(all_) > 1]
    with plane.db.read() as tx:
        accounts = rows.accounts(tx)
    for machine, account in accounts:
        lived = _lived(lives, machine.id)
        off = abs(lived - account.charged_ms / 1000)
        toll.worst = max(toll.worst, off)
        if off > plane.world.precision or account.reserved:
            paid = account.charged_ms / 1000
            toll.wrong.append(f"{machine.id} lived {lived:.1f} s, paid {paid:.1f} s ({machine.reason})")
    budget = budgets.get(plane.db, WORKSPACE)
    charged = sum(account.charged_amount for _, account in accounts)
    if budget.reserved or budget.spent != charged:
        toll.wrong.append(f"the budget has {budget.reserved} reserved and {budget.spent} spent, charges are {charged}")


def _lived(lives: Lives, machine_id: str) -> float:
    return sum(((end or datetime.now(UTC)) - begin).total_seconds() for begin, end in lives.get(machine_id, []))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dose", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--provider", choices=sorted(KILLS), help="this one only")
    parser.add_argument("--kills", type=int, help="so many of them, in this process; what came out as JSON")
    parser.add_argument("--base", type=Path, help="keep everything in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="amasia-launches-") as folder:
        base = arguments.base or Path(folder)
        if arguments.kills:
            print(json.dumps(asdict(piece(arguments.provider or "aws", arguments.kills, arguments.seed, base))))
            return 0
        providers = (arguments.provider,) if arguments.provider else tuple(KILLS)
        found = list(lines(arguments.dose, arguments.seed, base, providers))
    for line in found:
        print("holds" if line.holds else "FALLS SHORT", line.what, line.figure, f"(goal: {line.goal})", line.detail)
    return 0 if all(line.holds for line in found) else 1


if __name__ == "__main__":
    sys.exit(main())
