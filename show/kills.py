"""Line 4: ``kill -9`` of the control plane at random moments of a scientist's day, and what reality says afterwards.

``python -m show.kills --dose 0.1 --seed 7`` runs it alone.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from amasia import errors
from amasia.client.transport import Connection
from amasia.models.budgets import Budget, Charge
from amasia.models.clusters import Cluster, ClusterStatus
from amasia.models.money import parse
from amasia.models.repositories import Commit, Lease, LeaseRequest
from amasia.providers.local import LocalProvider
from amasia.stores import repositories as stores
from show import planes, watcher
from show.lines import Line
from show.planes import Plane
from show.scientist import SHARED

KILLS = 50
WORKSPACE = "/v1/workspaces/demo"
MOMENTS = ("start-up", "any", "any", "creating", "committing", "stopping", "scaling")
"""Kinds of moments, each as likely: a time after the start, or soon after the scientist began something."""


LINKS: dict[str, Connection] = {}
"""By url: what asks for credentials must be picklable, and a connection is not."""


@dataclass
class Day:
    """One run: the plane, the files of scientist and watcher, and what was seen."""

    plane: Plane
    dice: random.Random
    tell: Any
    moments: Counter[str] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)

    @property
    def diary(self) -> Path:
        return self.plane.base / "diary.jsonl"

    @property
    def lives(self) -> Path:
        return self.plane.base / "lives.jsonl"

    def entries(self) -> list[dict[str, Any]]:
        if not self.diary.exists():
            return []
        lines = self.diary.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]


def lines(dose: float, seed: int, base: Path, cache: Path) -> Iterator[Line]:
    """The four figures of line 4."""
    kills = max(1, round(KILLS * dose))
    plane = Plane(base, {"AMASIA_LEASE_SECONDS": "60"})
    plane.share_cache(cache)
    with planes.cleared(plane):
        day = Day(plane, random.Random(seed), Console(stderr=True, highlight=False).print)
        live_through(day, kills, seed)
        yield from judge(day, kills, seed)


def live_through(day: Day, kills: int, seed: int) -> None:
    """The day itself: work, kills, and an orderly evening."""
    plane = day.plane
    plane.up()
    eye = subprocess.Popen([sys.executable, "-m", "show.watcher", plane.home, day.lives], cwd=planes.ROOT)
    with (plane.base / "scientist.log").open("wb") as log:
        scientist = subprocess.Popen(
            [sys.executable, "-m", "show.scientist", day.diary, str(seed)],
            env=plane.client(),
            cwd=planes.ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        for number in range(1, kills + 1):
            moment = strike(day, scientist)
            day.tell(f"[dim]kill {number} of {kills}: {moment}[/dim]")
        plane.up()
        finish(day, scientist)
        planes.end(scientist, 240)
        evening(plane)
    finally:
        planes.end(scientist, 1)
        time.sleep(1)  # the eye writes the last ends down
        planes.end(eye)


def strike(day: Day, scientist: subprocess.Popen[bytes]) -> str:
    """Start it if it is dead, wait for a moment of some kind, kill it."""
    moment = day.dice.choice(MOMENTS)
    day.moments[moment] += 1
    if moment == "start-up":
        if day.plane.process is None or day.plane.process.poll() is not None:
            day.plane.begin()
        wait = day.dice.uniform(0, 4)
        time.sleep(wait)
        day.plane.kill()
        return f"{moment}, {wait:.2f} s after the process began"
    day.starts.append(day.plane.up())
    wait = day.dice.uniform(0, 8) if moment == "any" else day.dice.uniform(0, 1.5)
    seen = len(day.entries())
    end = time.monotonic() + 25
    while moment != "any" and time.monotonic() < end and scientist.poll() is None:
        if any(entry["what"] == moment for entry in day.entries()[seen:]):
            break
        time.sleep(0.05)
    time.sleep(wait)
    day.plane.kill()
    return f"{moment}, {wait:.2f} s later"


def finish(day: Day, scientist: subprocess.Popen[bytes]) -> None:
    """Let a machine commit: few kills may all have come before anything was done, and such a day shows nothing."""
    end = time.monotonic() + 180
    while scientist.poll() is None and time.monotonic() < end:
        if any(entry["what"] == "committed" and entry["repository"] == SHARED for entry in day.entries()):
            return
        time.sleep(0.2)


def evening(plane: Plane) -> None:
    """Stop every cluster and wait until the control plane says that all are over."""
    link = plane.link()
    end = time.monotonic() + 90
    while found := list(link.items(f"{WORKSPACE}/clusters", Cluster, live=True)):
        for cluster in found:
            link.delete(f"{WORKSPACE}/clusters/{cluster.id}")
        if time.monotonic() > end:
            raise RuntimeError(f"clusters do not stop: {[(c.name, c.status) for c in found]}")
        time.sleep(0.5)


def judge(day: Day, kills: int, seed: int) -> Iterator[Line]:
    """What the records say against what the kernel, the store and the diary say."""
    what = f"{kills} kills of the control plane (seed {seed}: {_counts(day.moments)})"
    link = LINKS[day.plane.url] = day.plane.link()
    leaked = _leaked(day.plane)
    yield Line(4, f"{what}: machines leaked", str(len(leaked)), "0", not leaked, "; ".join(leaked))
    told, lost = _commits(day, link)
    yield Line(4, f"acknowledged commits lost, of {told}", str(len(lost)), "0", not lost and told > 0, "; ".join(lost))
    count, off, wrong = _charges(day, link)
    yield Line(
        4,
        f"charges against real lifetimes of {count} machines, worst difference",
        f"{off:.2f} s",
        "1 s",
        not wrong and count > 0,
        "; ".join(wrong),
    )
    yield _budget(link)


def _leaked(plane: Plane) -> list[str]:
    found = [f"process {each.pid}: {' '.join(each.cmdline())[:200]}" for each in plane.machines()]
    provider = LocalProvider(plane.home, parse("0.04"), parse("0.005"))
    found += [f"{machine_id} is alive" for machine_id, seen in provider.find(None).items() if seen.alive]
    listed = plane.link().items(f"{WORKSPACE}/clusters", Cluster, live=False)
    return found + [f"{one.name} is {one.status}" for one in listed if one.status is not ClusterStatus.stopped]


def _commits(day: Day, link: Connection) -> tuple[int, list[str]]:
    """Each snapshot that a writer was told: is it in Icechunk's history, and in the control plane's index?"""
    told = [(entry["repository"], entry["snapshot"]) for entry in day.entries() if entry["what"] == "committed"]
    lost = []
    for name in sorted({name for name, _ in told}):
        where = f"{WORKSPACE}/repositories/{name.removeprefix('demo/')}"

        history = {snapshot.id for snapshot in stores.history(stores.open(partial(_lend, link.url, where)))}
        mine = {snapshot for repository, snapshot in told if repository == name}
        lost += [f"{name}@{snapshot} is not in the history" for snapshot in mine - history]
        missing = _until_indexed(link, where, mine)
        lost += [f"{name}@{snapshot} is not in the index" for snapshot in missing]
    return len(told), lost


def _lend(url: str, where: str) -> Lease:
    return LINKS[url].post(f"{where}/credentials", LeaseRequest(), Lease)


def _until_indexed(link: Connection, where: str, wanted: set[str]) -> set[str]:
    end = time.monotonic() + 20
    while True:
        missing = wanted - {commit.snapshot for commit in link.items(f"{where}/commits", Commit)}
        if not missing or time.monotonic() > end:
            return missing
        time.sleep(0.5)


def _charges(day: Day, link: Connection) -> tuple[int, float, list[str]]:
    lives = watcher.lifetimes(day.lives)
    charged: Counter[str] = Counter()
    for charge in link.items(f"{WORKSPACE}/charges", Charge):
        charged[charge.machine_id] += charge.milliseconds
    worst, wrong = 0.0, []
    for machine_id in sorted(lives.keys() | charged.keys()):
        lived, paid = lives.get(machine_id, 0.0), charged[machine_id] / 1000
        worst = max(worst, abs(lived - paid))
        if lived < 0 or abs(lived - paid) > 1:
            wrong.append(f"{machine_id} lived {lived:.2f} s and was charged {paid:.2f} s")
    return len(lives), worst, wrong


def _budget(link: Connection) -> Line:
    budget = link.get(f"{WORKSPACE}/budget", Budget)
    total = sum(charge.amount for charge in link.items(f"{WORKSPACE}/charges", Charge))
    holds = budget.spent == total and budget.reserved == 0 and budget.spent <= budget.limit
    figure = f"spent {budget.spent}, charges {total}, reserved {budget.reserved}, limit {budget.limit}"
    return Line(4, "the budget's books", figure, "spent = charges, 0 reserved, within the limit", holds)


def _counts(moments: Counter[str]) -> str:
    return ", ".join(f"{count} {moment}" for moment, count in sorted(moments.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dose", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--base", type=Path, default=Path(tempfile.gettempdir()) / "amasia-kills", help="kept")
    parser.add_argument("--cache", type=Path, default=None, help="environments that are built already")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    found = list(lines(arguments.dose, arguments.seed, arguments.base, arguments.cache or arguments.base / "cache"))
    for line in found:
        print("holds" if line.holds else "FALLS SHORT", line.what, line.figure, f"(goal: {line.goal})", line.detail)
    return 0 if all(line.holds for line in found) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except errors.AmasiaError as error:
        sys.exit(f"error: {error}")
