"""Named queries on single machines' days. They read charges, by the index on their ends, one day after the other."""

import json
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, func, not_, select

from amasia.database import costs
from amasia.database.tables import (
    charges,
    clusters,
    daily_costs,
    locations,
    machines,
    repositories,
    storage_charges,
)
from amasia.models.costs import Span
from amasia.models.usage import Usage


def days(tx: Connection, workspace: str, span: Span, user: str | None, first: str) -> list[str]:
    """Those with any charge, from one on."""
    query = select(daily_costs.c.day).where(
        *costs.within(daily_costs, workspace, span, costs.EVERYBODY if user is None else user)
    )
    besides = [select(table.c.day).where(*costs.within(table, workspace, span)) for table in costs.BESIDES]
    found = {row.day for one, table in zip((query, *besides), (daily_costs, *costs.BESIDES), strict=True)
             for row in tx.execute(one.where(table.c.day >= first).distinct())}  # fmt: skip
    return sorted(found)


def machine_days(
    tx: Connection, workspace: str, currency: str, day: date, begin: datetime, end: datetime, user: str | None
) -> list[Usage]:
    """Of every machine on a day. One that changed hands is in a line for each."""
    keys = (charges.c.machine_id, charges.c.user, charges.c.cluster_id, charges.c.group, charges.c.machine_type,
            charges.c.location, charges.c.tags, charges.c.groups)  # fmt: skip
    lived = select(
        *keys,
        func.min(charges.c.start).label("start"),
        func.max(charges.c.end).label("end"),
        func.sum(charges.c.milliseconds).label("milliseconds"),
        func.sum(charges.c.amount).label("amount"),
    ).where(charges.c.workspace == workspace, charges.c.end > begin, charges.c.end <= end)
    if user is not None:
        lived = lived.where(charges.c.user == user)
    found = lived.group_by(*keys).subquery()
    query = (
        select(found, clusters.c.name, machines.c.price, machines.c.spot, machines.c.zone, machines.c.handle,
               locations.c.provider, locations.c.region)
        .outerjoin_from(found, clusters, clusters.c.id == found.c.cluster_id)
        .outerjoin(machines, machines.c.id == found.c.machine_id)
        .outerjoin(locations, (locations.c.workspace == workspace) & (locations.c.name == found.c.location))
        .order_by(found.c.machine_id, found.c.start)
    )  # fmt: skip
    return [
        Usage(
            kind="machine", day=day, start=row["start"], end=row["end"], workspace=workspace, currency=currency,
            amount=int(row["amount"]), id=row["machine_id"], name=row["name"] or "", user=row["user"],
            milliseconds=int(row["milliseconds"]), machine_type=row["machine_type"], group=row["group"],
            location=row["location"], provider=row["provider"] or "", region=row["region"] or "",
            zone=row["zone"] or "", resource=resource_of(row["handle"] or {}), price=row["price"],
            spot=bool(row["spot"]), tags=json.loads(row["tags"]),
            groups=tuple(json.loads(row["groups"])),
        )
        for row in tx.execute(query).mappings()
    ]  # fmt: skip


def storage_days(
    tx: Connection, workspace: str, currency: str, day: date, begin: datetime, end: datetime,
    visible: ColumnElement[bool],
) -> list[Usage]:  # fmt: skip
    """Of every repository that one may see, on the day on which its charges ended."""
    hidden = select(repositories.c.id).where(not_(visible))
    query = select(storage_charges).where(
        storage_charges.c.workspace == workspace,
        storage_charges.c.end >= begin,
        storage_charges.c.end < end,
        storage_charges.c.repository_id.not_in(hidden),
    )
    found: dict[str, Usage] = {}
    for row in tx.execute(query.order_by(storage_charges.c.id)).mappings():
        before = found.get(row["repository_id"])
        used = row["nbytes"] * int((row["end"] - row["start"]).total_seconds())
        found[row["repository_id"]] = Usage(
            kind="storage", day=day, start=before.start if before else row["start"], end=row["end"],
            workspace=workspace, currency=currency, amount=row["amount"] + (before.amount if before else 0),
            id=row["repository_id"], name=row["repository"],
            byte_seconds=used + (before.byte_seconds if before else 0),
        )  # fmt: skip
    return list(found.values())


def resource_of(handle: dict[str, object]) -> str:
    """Its provider's name, by whichever word that provider has for it."""
    return next((str(handle[word]) for word in ("instance", "name", "vm", "job") if handle.get(word)), "")
