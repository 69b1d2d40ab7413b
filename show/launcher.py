"""A control plane's work in one process until it is killed: ``python -m show.launcher URL KEY SEED N``.

Tries N launches, and between them takes machines on: begins them, lets them join, report and end. Each line on stdout
is one thing that is done.
"""

import json
import random
import sys
from datetime import timedelta
from pathlib import Path

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.clusters import ClusterRequest, ClusterSpec
from amasia.models.machines import Heartbeat, Join, Machine, MachineStatus, ProcessReport
from amasia.services import clusters, heartbeats, joins, machines
from amasia.settings import ServerSettings
from show.launching import ENVIRONMENT, LEASE, PEOPLE, WORKSPACE, ended, principal

SETTINGS = ServerSettings(lease_seconds=LEASE)
RUNNING = ProcessReport(status="running", address="tls://127.0.0.1:1")


def launch(db: Database, dice: random.Random) -> str:
    tags = {"project": "x"} if dice.random() < 0.5 else {}
    request = ClusterRequest(environment_hash=ENVIRONMENT.hash, spec=ClusterSpec(n_workers=0, tags=tags))
    try:
        clusters.create(db, SETTINGS, principal(dice.choice(PEOPLE)), WORKSPACE, request)
    except errors.BudgetExceeded:
        return "refused"
    return "launched"


def take_on(db: Database, dice: random.Random) -> str:
    """One step of some machine."""
    waiting = [one for one in machines.claim(db, SETTINGS, 0.0) if one.status is MachineStatus.requested]
    alive = [*waiting, *(one for one in machines.alive(db) if one.status is not MachineStatus.starting)]
    if not alive:
        return "idle"
    machine = dice.choice(alive)
    if machine.status is MachineStatus.requested:
        return begin(db, machine)
    left = machine.lease_until - now() if machine.lease_until else timedelta()
    if dice.random() < 0.4 or left < timedelta(seconds=LEASE / 4):  # it ends itself before its lease does
        machines.gone(db, machine, ended(machine))
        return "ended"
    try:
        heartbeats.hear(db, SETTINGS, machine.id, Heartbeat(at=now(), process=RUNNING))
    except errors.NotFound:  # another process ended it in between
        return "late"
    return "reported"


def begin(db: Database, machine: Machine) -> str:
    boot = machines.begin(db, SETTINGS, machine)
    if boot is None:
        return "not begun"
    machines.accepted(db, machine, {})
    join = Join(machine_id=machine.id, join_token=boot.join_token, agent_version="0", started_at=now())
    try:
        joins.join(db, SETTINGS, join)
    except errors.PermissionDenied:
        return "late"
    return "begun"


def main(url: str, key: str, seed: int, launches: int) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    db, dice = Database(url, Path(key).read_bytes()), random.Random(seed)
    while launches > 0:
        if trying := dice.random() < 0.6:
            launches -= 1
        did = launch(db, dice) if trying else take_on(db, dice)
        print(json.dumps({"did": did}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
