"""Many heartbeats at once: those of machines that go on as they were, in one transaction.

Most heartbeats are workers', and say nothing new, or only what is the machine's own: that it is up, and where. What
each needs is the time written down, the lease renewed now and then, and the same wishes answered; for a hundred of them
that is five statements. Everything else, and every scheduler, is heard one by one, in `services.heartbeats`, to which
these are an equal short way and no other rule.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

from sqlalchemy import Connection, RowMapping

from amasia.database import locations, machines
from amasia.database.engine import Database
from amasia.database.machines import Account
from amasia.models.base import now
from amasia.models.machines import FINAL, Heartbeat, Machine, MachineRole, MachineStatus, MachineTarget, Stages, Wishes
from amasia.models.permissions import Permission, Role, may
from amasia.models.users import Scope
from amasia.services import leases
from amasia.settings import ServerSettings

PER_SECOND = 100
"""Heartbeats that a control plane wishes for at most: the more machines, the seldomer each one."""


@dataclass(frozen=True)
class Told:
    """One heartbeat, by the holder of a token with this digest."""

    machine_id: str
    digest: str
    beat: Heartbeat


def hear(db: Database, settings: ServerSettings, told: Sequence[Told], crowd: int) -> list[Wishes | None]:
    """The answers in the order of the heartbeats; None for each one that is to be heard by itself.

    Parameters
    ----------
    crowd
        About how many machines there are.
    """
    at = now()
    last = {one.digest: one for one in told}
    found: dict[str, Wishes] = {}
    with db.write(quiet=True) as tx:
        rows = [row for row in machines.for_heartbeats(tx, last) if _is_steady(row, last[row["hash"]], at)]
        until = _renew(tx, settings, [row for row in rows if _is_due(settings, row, last[row["hash"]].beat, at)], last)
        changes, arrivals = [], []
        for row in rows:
            if row["hash"] in until and until[row["hash"]] is None:
                continue  # its lease cannot be renewed here: a matter of its own
            lease_until, account = until.get(row["hash"]) or (row["lease_until"], Account.model_validate(dict(row)))
            metrics = last[row["hash"]].beat.metrics.model_dump()
            changes.append({"machine_id": row["id"], "at": at, "told": metrics, "until": lease_until,
                            **{f"new_{name}": value for name, value in account}})  # fmt: skip
            found[row["hash"]] = _wishes(settings, row, lease_until, crowd)
            arrivals += _arrival(row, last[row["hash"]].beat)
        machines.heard(tx, changes)
        machines.arrived(tx, arrivals)
        told_up = (row for row in rows if row["hash"] in found)
        _measure(tx, (row for row in told_up if "process_up" in _new_stages(row, last[row["hash"]].beat)), at)
    if arrivals:
        db.changes.note()
    return [found.get(one.digest) if last[one.digest] is one else None for one in told]


def pace(settings: ServerSettings, crowd: int) -> float:
    """Seconds between heartbeats of a machine that goes on as it was: more in a crowd, in time for its lease."""
    longest = max(settings.heartbeat_seconds, settings.lease_seconds / 12)
    return min(longest, max(settings.heartbeat_seconds, crowd / PER_SECOND))


def _is_steady(row: RowMapping, told: Told, at: datetime) -> bool:
    """Whether it is the worker itself that speaks, and says nothing that changes more than its own row."""
    beat = told.beat
    return (
        row["id"] == told.machine_id
        and row["role"] == MachineRole.worker
        and row["scope"] == Scope.machine
        and row["expires_at"] > at
        and row["target"] == row["cluster_target"] == MachineTarget.running
        and row["status"] in (MachineStatus.preparing, MachineStatus.running)
        and row["lease_until"] is not None
        and not (beat.deaths or beat.log)
        and beat.process.status not in (*FINAL, "warm")
        and "leaves" not in _new_stages(row, beat)
    )


def _new_stages(row: RowMapping, beat: Heartbeat) -> dict[str, datetime]:
    return {name: at for name, at in beat.stages.items() if name in Stages.model_fields and not row["stages"].get(name)}


def _arrival(row: RowMapping, beat: Heartbeat) -> list[dict[str, Any]]:
    """What is new of the machine itself, if anything is."""
    runs = MachineStatus.running if beat.process.status == MachineStatus.running else row["status"]
    new = {"new_status": str(runs), "new_address": beat.process.address or row["address"]}
    stages = _new_stages(row, beat)
    if not stages and new == {"new_status": row["status"], "new_address": row["address"]}:
        return []
    told = {**row["stages"], **{name: at.isoformat() for name, at in stages.items()}}
    return [{"machine_id": row["id"], "new_stages": told, **new}]


def _measure(tx: Connection, up: Iterable[RowMapping], at: datetime) -> None:
    """What those that are up now tell of their location: one word for all of them."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in up:
        requested = datetime.fromisoformat(row["stages"]["requested"])
        if row["started_at"] is None or row["started_at"] >= requested:  # else it was warm
            found[row["workspace"], row["location"]].append((at - requested).total_seconds())
    for place in sorted(found):
        locations.measure(tx, *place, fmean(found[place]))


def _is_due(settings: ServerSettings, row: RowMapping, beat: Heartbeat, at: datetime) -> bool:
    return leases.is_due(row["lease_until"], min(at, beat.at), settings.lease_seconds)


Renewed = tuple[datetime, Account]


def _renew(
    tx: Connection, settings: ServerSettings, due: Iterable[RowMapping], told: dict[str, Told]
) -> dict[str, Renewed | None]:
    """New leases by digest; None where none can be had this way. Workspaces are locked in one order."""
    at = now()
    found: dict[str, Renewed | None] = {}
    groups: dict[str, list[RowMapping]] = defaultdict(list)
    for row in due:
        found[row["hash"]] = None
        if row["started_at"] is not None and may(row["owner_role"] and Role(row["owner_role"]), Permission.run):
            groups[row["workspace"]].append(row)
    for workspace in sorted(groups):
        rows = groups[workspace]
        held = [(_machine(row), Account.model_validate(dict(row)), min(at, told[row["hash"]].beat.at)) for row in rows]
        renewed = leases.renew_all(tx, workspace, held, settings.lease_seconds)
        found.update({row["hash"]: new for row, new in zip(rows, renewed, strict=True)} if renewed else {})
    return found


def _machine(row: RowMapping) -> Machine:
    """As much of it as its money is about; it was checked when it was written."""
    known: dict[str, Any] = {name: row[name] for name in machines.OF_MONEY}
    return Machine.model_construct(**known)


def _wishes(settings: ServerSettings, row: RowMapping, lease_until: datetime, crowd: int) -> Wishes:
    seconds = pace(settings, crowd) if row["status"] == MachineStatus.running else settings.heartbeat_seconds
    return Wishes(
        target=MachineTarget.running,
        lease_until=lease_until,
        scheduler_address=row["scheduler_address"],
        heartbeat_seconds=seconds,
    )
