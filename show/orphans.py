"""Line 5: the control plane dies for good; machines must be gone when their leases end, and the bill must be right."""

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from amasia.models.budgets import Charge
from show import planes, watcher
from show.kills import WORKSPACE
from show.lines import Line
from show.planes import Plane

LEASE = 20
SCRIPT = """
import amasia
cluster = amasia.Cluster(2, worker_memory="512 MiB", idle_timeout=None, quiet=True)
print(cluster.get_client().submit(pow, 2, 10).result(), flush=True)
"""


def lines(base: Path, cache: Path) -> Iterator[Line]:
    plane = Plane(base, {"AMASIA_LEASE_SECONDS": str(LEASE)})
    plane.share_cache(cache)
    with planes.cleared(plane):
        yield from orphan(plane)


def orphan(plane: Plane) -> Iterator[Line]:
    plane.up()
    lives = plane.base / "lives.jsonl"
    eye = subprocess.Popen([sys.executable, "-m", "show.watcher", plane.home, lives], cwd=planes.ROOT)
    try:
        subprocess.run(
            [sys.executable, "-c", SCRIPT], env=plane.client(), cwd=plane.base, check=True, capture_output=True
        )
        plane.kill()
        ends, reserved, charged = records(plane)
        left, late = _follow(plane, ends)
        time.sleep(1)
    finally:
        planes.end(eye)
    yield Line(
        5,
        f"processes of {len(ends)} machines left when the last lease of a dead control plane ended",
        str(len(left)),
        "0",
        not left and len(ends) == 3,
        "; ".join(left) or f"the last one ended {-late:.1f} s before",
    )
    plane.up()
    yield from _bill(plane, watcher.lifetimes(lives), reserved, charged)


def records(plane: Plane) -> tuple[dict[str, float], int, int]:
    """What the dead control plane had promised: each lease's end, and the money reserved and charged."""
    with closing(sqlite3.connect(plane.home / "amasia.db")) as db:
        rows = db.execute("select id, lease_until from machines where status != 'stopped'").fetchall()
        reserved, spent = db.execute("select reserved, spent from budget_periods").fetchone()
    ends = {key: datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for key, text in rows}
    return ends, reserved, spent


def _follow(plane: Plane, ends: dict[str, float]) -> tuple[list[str], float]:
    """What still runs when the last lease is over; and how long after that (before, if negative) the last one ended."""
    last = max(ends.values())
    while time.time() < last:
        if not plane.machines():
            return [], time.time() - last
        time.sleep(0.2)
    return [f"process {each.pid}: {' '.join(each.cmdline())[:150]}" for each in plane.machines()], 0.0


def _bill(plane: Plane, lives: dict[str, float], reserved: int, spent: int) -> Iterator[Line]:
    link = plane.link()
    end = time.monotonic() + 30
    while link.send("GET", f"{WORKSPACE}/budget").json()["reserved"] and time.monotonic() < end:
        time.sleep(0.3)
    charges = list(link.items(f"{WORKSPACE}/charges", Charge))
    paid: Counter[str] = Counter()
    for charge in charges:
        paid[charge.machine_id] += charge.milliseconds
    total = sum(charge.amount for charge in charges)
    yield Line(
        5,
        "charged at the next start, of what was reserved",
        f"{total - spent} of {reserved}",
        "no more than reserved",
        0 < total - spent <= reserved,
    )
    worst = max((abs(paid[key] / 1000 - lived) for key, lived in lives.items()), default=99.0)
    detail = json.dumps({key: [round(lived, 2), paid[key] / 1000] for key, lived in lives.items()})
    holds = worst <= 1 and paid.keys() == lives.keys()
    yield Line(5, "charges against real lifetimes, worst difference", f"{worst:.2f} s", "1 s", holds, detail)
