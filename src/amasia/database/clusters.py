"""Named queries on clusters, their notices and logs."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, String, and_, case, cast, func, or_, select

from amasia.database.rows import add, change, every, mapping, one, turn
from amasia.database.schema import Sealed
from amasia.database.tables import clusters, logs, machines, notices
from amasia.models.base import now
from amasia.models.clusters import Cluster, Security
from amasia.models.machines import LogLine

NOTICES = 20
"""Of one cluster, that are shown."""


def create(tx: Connection, cluster: Cluster, *, location: str, security: Security, sealed_key: Sealed) -> None:
    add(
        tx,
        clusters,
        cluster,
        location=location,
        tls_ca=security.tls_ca,
        tls_certificate=security.tls_certificate,
        tls_key=sealed_key,
    )


def find(tx: Connection, cluster_id: str) -> Cluster | None:
    return one(tx, select(clusters).where(clusters.c.id == cluster_id), Cluster)


def find_named(tx: Connection, workspace: str, name: str) -> Cluster | None:
    """By id, or the live one of that name, or else the last one that bore it."""
    query = (
        select(clusters)
        .where(clusters.c.workspace == workspace, or_(clusters.c.id == name, clusters.c.name == name))
        .order_by((clusters.c.status == "stopped").asc(), clusters.c.created_at.desc())
        .limit(1)
    )
    return one(tx, query, Cluster)


def security(tx: Connection, cluster_id: str) -> tuple[Security, Sealed]:
    """Certificates without the key, and the sealed key."""
    row = mapping(tx, select(clusters).where(clusters.c.id == cluster_id))
    assert row is not None
    return Security.model_validate({**row, "tls_key": ""}), row["tls_key"]


def location(tx: Connection, cluster_id: str) -> str:
    return str(tx.execute(select(clusters.c.location).where(clusters.c.id == cluster_id)).scalar_one())


def page(
    tx: Connection, workspace: str, limit: int, after: str = "", *, live: bool = False, owner: str = ""
) -> list[Cluster]:
    """Newest first; those that come after a cluster's id in that order."""
    query = select(clusters).where(clusters.c.workspace == workspace)
    if owner:
        query = query.where(clusters.c.owner == owner)
    if live:
        query = query.where(clusters.c.status != "stopped")
    if after:
        made = select(clusters.c.created_at).where(clusters.c.id == after).scalar_subquery()
        same = and_(clusters.c.created_at == made, clusters.c.id < after)
        query = query.where(or_(clusters.c.created_at < made, same))
    return every(tx, query.order_by(clusters.c.created_at.desc(), clusters.c.id.desc()).limit(limit), Cluster)


def live(tx: Connection) -> list[Cluster]:
    return every(tx, select(clusters).where(clusters.c.status != "stopped"), Cluster)


def ending(tx: Connection, cluster_ids: Iterable[str]) -> bool:
    """Whether any of these is to end with the time that was paid for."""
    query = select(clusters.c.id).where(clusters.c.id.in_(list(cluster_ids)), clusters.c.ends_at.is_not(None))
    return tx.execute(query.limit(1)).first() is not None


def go_on(tx: Connection, workspace: str) -> None:
    """Money came: clusters of a workspace that were to end for the lack of it need not."""
    change(tx, clusters, clusters.c.workspace == workspace, clusters.c.ends_at.is_not(None),
           clusters.c.target == "running", ends_at=None, reason="")  # fmt: skip


def unsettled(tx: Connection, max_deaths: int) -> list[str]:
    """Live ones that are to end, lost their scheduler, or may have other workers than they want or too many dead ones.

    Of those with worker groups, or with workers that are taken back, it takes a look to tell. Workspaces take turns.
    """
    ended, worker = machines.c.target == "stopped", machines.c.role == "worker"
    gone = machines.c.status == "stopped"

    def number(*where: Any) -> Any:
        return func.count().filter(*where)

    wanted = clusters.c.wanted_workers
    query = (
        select(clusters.c.id)
        .outerjoin(machines, machines.c.cluster_id == clusters.c.id)
        .where(clusters.c.status != "stopped")
        .group_by(clusters.c.id)
        .having(
            or_(
                clusters.c.target == "stopped",
                clusters.c.ends_at.is_not(None),
                cast(clusters.c.wanted_groups, String) != "{}",
                number(~worker, or_(gone, ended)) > 0,
                number(worker, ~gone, machines.c.stages["leaves"].as_string().is_not(None)) > 0,
                number(worker, ~gone, ~ended) != wanted,
                number(worker, gone, ~ended) > max_deaths * case((wanted > 1, wanted), else_=1),
            )
        )
    )
    in_turn = query.order_by(turn(clusters.c.workspace, clusters.c.id), clusters.c.id)
    return list(tx.execute(in_turn).scalars())


def update(tx: Connection, cluster_id: str, *where: Any, **columns: Any) -> int:
    return change(tx, clusters, clusters.c.id == cluster_id, *where, **columns)


def wish_stop(tx: Connection, cluster_id: str, reason: str) -> bool:
    """Wish its end; False when it was wished before."""
    return bool(
        change(
            tx, clusters, clusters.c.id == cluster_id, clusters.c.target != "stopped", target="stopped", reason=reason
        )
    )


def add_notice(tx: Connection, cluster_id: str, text: str, *, told: bool = False) -> None:
    """``told``: the scheduler knows it already; it is kept for people who look later. A warm machine has nobody to
    tell."""
    if cluster_id:
        add(tx, notices, cluster_id=cluster_id, at=now(), text=text, told=told)


def take_notices(tx: Connection, cluster_id: str) -> list[str]:
    """Those that the scheduler was not told yet; from now on it was."""
    query = select(notices.c.id, notices.c.text).where(notices.c.cluster_id == cluster_id, notices.c.told.is_(False))
    rows = tx.execute(query.order_by(notices.c.id)).all()
    if rows:
        change(tx, notices, notices.c.id.in_([row.id for row in rows]), told=True)
    return [row.text for row in rows]


def last_notices(tx: Connection, cluster_id: str) -> list[str]:
    return last_notices_of(tx, [cluster_id])[cluster_id]


def last_notices_of(tx: Connection, cluster_ids: Iterable[str]) -> dict[str, list[str]]:
    """The last `NOTICES` of each cluster, oldest first."""
    found: dict[str, list[str]] = {one: [] for one in cluster_ids}
    place = func.row_number().over(partition_by=notices.c.cluster_id, order_by=notices.c.id.desc())
    ranked = select(notices, place.label("place")).where(notices.c.cluster_id.in_(list(found))).subquery()
    for row in tx.execute(select(ranked).where(ranked.c.place <= NOTICES).order_by(ranked.c.id)):
        found[row.cluster_id].append(row.text)
    return found


def add_log(tx: Connection, cluster_id: str, machine_id: str, at: datetime, text: str) -> None:
    if cluster_id:
        add(tx, logs, cluster_id=cluster_id, machine_id=machine_id, at=at, text=text)


def log(tx: Connection, cluster_id: str, machine_id: str | None, after: int, limit: int) -> list[LogLine]:
    query = select(logs).where(logs.c.cluster_id == cluster_id, logs.c.id > after)
    if machine_id:
        query = query.where(logs.c.machine_id == machine_id)
    return every(tx, query.order_by(logs.c.id).limit(limit), LogLine)


def last_log(tx: Connection, cluster_id: str, pieces: int) -> list[LogLine]:
    """What its machines shipped last, oldest first."""
    query = select(logs).where(logs.c.cluster_id == cluster_id).order_by(logs.c.id.desc()).limit(pieces)
    return list(reversed(every(tx, query, LogLine)))
