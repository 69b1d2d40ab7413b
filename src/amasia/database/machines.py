"""Named queries on machines: the wishes, what is, and the money that each one holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
)
from sqlalchemy import update as update_

from amasia.database.rows import add, change, every, one, turn
from amasia.database.tables import clusters, limits, machines, memberships, tokens
from amasia.models.base import Model
from amasia.models.machines import ALIVE, Machine

STARTING = ("starting", "booting", "preparing")
"""Asked of its provider, and of no use yet."""
WARM = "warm"
"""What stands for the cluster of a machine that has none."""
MACHINE = select(
    *(column for column in machines.c if column.name != "cluster_id"),
    func.coalesce(machines.c.cluster_id, "").label("cluster_id"),
    func.coalesce(clusters.c.name, WARM).label("cluster"),
).outerjoin_from(machines, clusters, clusters.c.id == machines.c.cluster_id)


OF_MONEY = ("id", "workspace", "cluster_id", "owner", "location", "tags", "groups", "role", "index", "machine_type",
            "group", "price", "started_at", "lease_until")  # fmt: skip
"""What a machine's leases and charges are made of."""
_HEARD = (*OF_MONEY, "status", "target", "address", "stages", "reserved", "charged_ms", "charged_amount")
_FOR_HEARTBEATS = (
    select(
        *(machines.c[name] for name in _HEARD),
        tokens.c.hash,
        tokens.c.scope,
        tokens.c.expires_at,
        clusters.c.target.label("cluster_target"),
        clusters.c.scheduler_address,
        memberships.c.role.label("owner_role"),
    )
    .join(machines, machines.c.id == tokens.c.machine_id)
    .join(clusters, clusters.c.id == machines.c.cluster_id)
    .outerjoin(
        memberships, and_(memberships.c.workspace == machines.c.workspace, memberships.c.user == machines.c.owner)
    )
    .where(tokens.c.hash.in_(bindparam("hashes", expanding=True)))
    .order_by(machines.c.id)
    .with_for_update(of=machines, skip_locked=True)
)
_HEARD_NOW = (
    update_(machines)
    .where(machines.c.id == bindparam("machine_id"))
    .values(
        last_heartbeat_at=bindparam("at"),
        metrics=bindparam("told"),
        lease_until=bindparam("until"),
        reserved=bindparam("new_reserved"),
        charged_ms=bindparam("new_charged_ms"),
        charged_amount=bindparam("new_charged_amount"),
    )
)


_JOINED_NOW = (
    update_(machines)
    .where(machines.c.id == bindparam("machine_id"))
    .values(
        status=bindparam("new_status"),
        started_at=bindparam("new_start"),
        lease_until=bindparam("until"),
        stages=bindparam("new_stages"),
    )
)
_ARRIVED_NOW = (
    update_(machines)
    .where(machines.c.id == bindparam("machine_id"))
    .values(status=bindparam("new_status"), stages=bindparam("new_stages"), address=bindparam("new_address"))
)


class Account(Model):
    """What a machine has reserved and was charged."""

    reserved: int
    charged_ms: int
    charged_amount: int


def create(tx: Connection, machine: Machine, reserved: int) -> None:
    add(
        tx,
        machines,
        machine,
        cluster_id=machine.cluster_id or None,
        reserved=reserved,
        charged_ms=0,
        charged_amount=0,
        join_hash="",
        tries=0,
    )


def find(tx: Connection, machine_id: str) -> Machine | None:
    return one(tx, MACHINE.where(machines.c.id == machine_id), Machine)


def locked(tx: Connection, machine_id: str) -> tuple[Machine, Account] | None:
    """The machine and its account, held until the end of the transaction."""
    row = tx.execute(MACHINE.where(machines.c.id == machine_id).with_for_update(of=machines)).mappings().first()
    if row is None:
        return None
    return Machine.model_validate(dict(row)), Account.model_validate(dict(row))


@dataclass(frozen=True)
class Waiting:
    """A machine whose agent says that it is here."""

    machine: Machine
    account: Account
    join_hash: str


def waiting(tx: Connection, machine_ids: Iterable[str], *, skip_locked: bool = False) -> dict[str, Waiting]:
    """Machines by id, held until the end of the transaction; with ``skip_locked`` none that somebody else holds."""
    query = MACHINE.where(machines.c.id.in_(list(machine_ids))).order_by(machines.c.id)
    rows = tx.execute(query.with_for_update(of=machines, skip_locked=skip_locked)).mappings()
    return {row["id"]: Waiting(Machine.model_validate(dict(row)), Account.model_validate(dict(row)), row["join_hash"])
            for row in rows}  # fmt: skip


def joined(tx: Connection, found: Iterable[Machine]) -> None:
    """Write down many joins at once."""
    changes = [
        {
            "machine_id": one.id,
            "new_status": one.status.value,
            "new_start": one.started_at,
            "until": one.lease_until,
            "new_stages": one.stages.model_dump(mode="json"),
        }
        for one in found
    ]
    if changes:
        tx.execute(_JOINED_NOW, changes)


def for_heartbeats(tx: Connection, hashes: Iterable[str]) -> Iterable[RowMapping]:
    """Machines by the digests of their tokens, held until the end of the transaction; none that somebody else holds."""
    return tx.execute(_FOR_HEARTBEATS, {"hashes": list(hashes)}).mappings()


def heard(tx: Connection, changes: list[dict[str, Any]]) -> None:
    """Write down many heartbeats at once: ``machine_id``, ``at``, ``told`` metrics, ``until``, ``new_`` account."""
    if changes:
        tx.execute(_HEARD_NOW, changes)


def arrived(tx: Connection, changes: list[dict[str, Any]]) -> None:
    """Write down what many say of themselves: ``machine_id``, ``new_status``, ``new_stages``, ``new_address``."""
    if changes:
        tx.execute(_ARRIVED_NOW, changes)


def of_cluster(tx: Connection, cluster_id: str) -> list[Machine]:
    query = MACHINE.where(machines.c.cluster_id == cluster_id)
    return every(tx, query.order_by(machines.c.role, machines.c.index), Machine)


def of_clusters(tx: Connection, cluster_ids: Iterable[str]) -> list[Machine]:
    query = MACHINE.where(machines.c.cluster_id.in_(list(cluster_ids)))
    return every(tx, query.order_by(machines.c.role, machines.c.index), Machine)


def leaving(tx: Connection, cluster_id: str) -> list[str]:
    """Ids of those of a cluster that their provider has announced to take back."""
    announced = machines.c.stages["leaves"].as_string().is_not(None)
    query = select(machines.c.id).where(machines.c.cluster_id == cluster_id, machines.c.status != "stopped", announced)
    return list(tx.execute(query.order_by(machines.c.id)).scalars())


def alive(tx: Connection) -> list[Machine]:
    """Every machine that a provider may have."""
    return every(tx, MACHINE.where(machines.c.status.in_(ALIVE)), Machine)


def running(tx: Connection, workspace: str, owner: str | None) -> list[Machine]:
    """Of one owner or all: what works and is to go on."""
    query = MACHINE.where(machines.c.status == "running", machines.c.target == "running")
    query = query.where(machines.c.workspace == workspace)
    return every(tx, query if owner is None else query.where(machines.c.owner == owner), Machine)


def rate(tx: Connection, workspace: str, owner: str | None) -> int:
    """Per hour, of all that a provider may have."""
    query = select(func.coalesce(func.sum(machines.c.price), 0)).where(machines.c.status.in_(ALIVE))
    query = query.where(machines.c.workspace == workspace)
    return int(tx.execute(query if owner is None else query.where(machines.c.owner == owner)).scalar_one())


def crowd(tx: Connection) -> int:
    return int(tx.execute(select(func.count()).where(machines.c.status.in_(ALIVE))).scalar_one())


def to_watch(tx: Connection, after: str, limit: int, at: datetime) -> tuple[list[Machine], list[Machine]]:
    """The next ones after an id; and of those before it, all whose lease is over."""
    looked_at = machines.c.status.in_([status for status in ALIVE if status != "starting"])
    some = MACHINE.where(looked_at, machines.c.id > after).order_by(machines.c.id).limit(limit)
    over = MACHINE.where(looked_at, machines.c.id <= after, machines.c.lease_until < at)
    return every(tx, some, Machine), every(tx, over, Machine)


def known(tx: Connection, machine_ids: Iterable[str]) -> set[str]:
    """Of these ids, those that the database has and that have not ended."""
    query = select(machines.c.id).where(machines.c.id.in_(list(machine_ids)), machines.c.status != "stopped")
    return set(tx.execute(query).scalars())


def claim(tx: Connection, at: datetime, until: datetime, limit: int, most_starting: int = 0) -> list[Machine]:
    """Machines that wait for a provider's verb, taken for a while so that no other control plane takes them.

    Workspaces take turns, however many of one wait. New ones of a workspace that starts as many as it may are left.
    """
    waiting = or_(
        machines.c.status.in_(["requested", "starting", "stopping"]),
        (machines.c.target == "stopped") & machines.c.status.in_(["booting", "preparing", "running"]),
    )
    free = or_(machines.c.claimed_until.is_(None), machines.c.claimed_until < at)
    wanted = list(tx.execute(_in_turn(waiting, free, most_starting).limit(limit)).scalars())
    query = select(machines.c.id).where(machines.c.id.in_(wanted), waiting, free)
    ids = list(tx.execute(query.with_for_update(skip_locked=True)).scalars()) if wanted else []
    if not ids:
        return []
    change(tx, machines, machines.c.id.in_(ids), claimed_until=until)
    found = every(tx, MACHINE.where(machines.c.id.in_(ids)), Machine)
    return sorted(found, key=lambda machine: wanted.index(machine.id))


def _in_turn(waiting: Any, free: Any, most_starting: int) -> Select[str]:
    """Ids of those that wait, the first of each workspace before the second of any."""
    of = machines.c.workspace
    new = and_(machines.c.status == "requested", machines.c.target == "running")
    started = and_(machines.c.status.in_(STARTING), machines.c.target == "running")
    busy = select(of, func.count().label("number")).where(started).group_by(of).subquery()
    most = func.nullif(func.coalesce(limits.c.starting, most_starting), 0)
    ranked = (
        select(
            machines.c.id,
            turn(of, machines.c.id).label("turn"),
            new.label("new"),
            func.row_number().over(partition_by=(of, new), order_by=machines.c.id).label("place"),
            (most - func.coalesce(busy.c.number, 0)).label("room"),
        )
        .outerjoin(limits, limits.c.workspace == of)
        .outerjoin(busy, busy.c.workspace == of)
        .where(waiting, free)
        .subquery()
    )
    may = or_(~ranked.c.new, ranked.c.room.is_(None), ranked.c.place <= ranked.c.room)
    return select(ranked.c.id).where(may).order_by(ranked.c.turn, ranked.c.id)


def logged(tx: Connection, machine_id: str) -> int:
    """Bytes of its log that were kept."""
    return tx.execute(select(machines.c.log_bytes).where(machines.c.id == machine_id)).scalar() or 0


def update(tx: Connection, machine_id: str, **columns: Any) -> int:
    return change(tx, machines, machines.c.id == machine_id, **columns)


def begin(tx: Connection, machine_id: str, **columns: Any) -> bool:
    """A provider is about to be asked, again perhaps; False if that is no longer wished."""
    waiting = machines.c.status.in_(["requested", "starting"])
    where = (machines.c.id == machine_id, waiting, machines.c.target == "running")
    return bool(change(tx, machines, *where, status="starting", **columns))


def advance(tx: Connection, machine_id: str, before: str, after: str) -> bool:
    """Change its status only if it is still the one that the decision was made on."""
    return bool(change(tx, machines, machines.c.id == machine_id, machines.c.status == before, status=after))


def set_started(tx: Connection, machine_id: str, at: datetime) -> None:
    """Since when it runs; the first word on this stays."""
    change(tx, machines, machines.c.id == machine_id, machines.c.started_at.is_(None), started_at=at)


def wish_stop(tx: Connection, machine_ids: Iterable[str], reason: str) -> None:
    """Wish their end. A reason that was given before stays."""
    where = (machines.c.id.in_(list(machine_ids)), machines.c.target != "stopped")
    change(tx, machines, *where, machines.c.reason == "", target="stopped", reason=reason)
    change(tx, machines, *where, target="stopped")


def tries(tx: Connection, machine_id: str) -> int:
    """How often its provider said no in a row."""
    return tx.execute(select(machines.c.tries).where(machines.c.id == machine_id)).scalar() or 0


def count(tx: Connection, workspace: str, location: str) -> int:
    """Machines wished for or alive at a location."""
    query = select(func.count()).where(
        machines.c.workspace == workspace, machines.c.location == location, machines.c.status != "stopped"
    )
    return int(tx.execute(query).scalar_one())


def by_location(tx: Connection, workspace: str) -> dict[str, tuple[int, int]]:
    """(how many are wished for or alive, micro-units per hour of those that a provider may have)."""
    rate = func.sum(case((machines.c.status.in_(ALIVE), machines.c.price), else_=0))
    query = select(machines.c.location, func.count(), rate).where(machines.c.workspace == workspace)
    query = query.where(machines.c.status != "stopped").group_by(machines.c.location)
    return {location: (int(number), int(rate)) for location, number, rate in tx.execute(query)}


def at_location(tx: Connection, workspace: str, location: str) -> list[Machine]:
    """Wished for or alive, the dearest first."""
    query = MACHINE.where(machines.c.workspace == workspace, machines.c.location == location)
    query = query.where(machines.c.status != "stopped").order_by(machines.c.price.desc(), machines.c.id)
    return every(tx, query, Machine)


def deaths(tx: Connection, cluster_id: str) -> int:
    """Worker machines of a cluster that ended without anybody's wish."""
    query = select(func.count()).where(
        machines.c.cluster_id == cluster_id,
        machines.c.role == "worker",
        machines.c.status == "stopped",
        machines.c.target == "running",
    )
    return int(tx.execute(query).scalar_one())


def reserving(tx: Connection, workspace: str) -> list[tuple[Machine, Account]]:
    """Those of a workspace that have money reserved."""
    rows = tx.execute(MACHINE.where(machines.c.workspace == workspace, machines.c.reserved > 0)).mappings()
    return [(Machine.model_validate(dict(row)), Account.model_validate(dict(row))) for row in rows]


def accounts(tx: Connection) -> list[tuple[Machine, Account]]:
    """Every machine with its account: for audits of the money."""
    rows = tx.execute(MACHINE).mappings()
    return [(Machine.model_validate(dict(row)), Account.model_validate(dict(row))) for row in rows]
