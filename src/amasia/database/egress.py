"""Named queries on egress: whose a resource is, and what it cost by day, as clouds' bills told it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
)

from amasia.database import costs
from amasia.database.tables import buckets, clusters, egress, egress_costs, locations, machines, repositories
from amasia.database.usage import resource_of
from amasia.models.costs import CostLine, Span
from amasia.models.repositories import BucketKind
from amasia.models.usage import Usage

_CLOUD = (BucketKind.s3, BucketKind.gcs, BucketKind.azure)


class Owner(NamedTuple):
    """Whose the egress of a resource is: a machine's, a repository's, or of neither one for a bucket of several."""

    machine_id: str = ""
    user: str = ""
    cluster_id: str = ""
    repository_id: str = ""


class Left(NamedTuple):
    """What left a resource on a day."""

    amount: int
    owner: Owner


type Day = tuple[str, str]
"""Of a resource: its name, and the day."""


def owners(tx: Connection, workspace: str, since: date) -> dict[str, Owner]:
    """By the name that their cloud has for them: machines that were there on a day or later, and buckets."""
    found = _buckets(tx, workspace)
    query = select(machines.c.id, machines.c.owner, machines.c.cluster_id, machines.c.handle)
    day = datetime.combine(since, datetime.min.time(), UTC) - timedelta(days=1)
    query = query.where(machines.c.workspace == workspace)
    query = query.where(or_(machines.c.stopped_at.is_(None), machines.c.stopped_at >= day))
    for row in tx.execute(query):
        if name := resource_of(row.handle):
            found[name] = Owner(machine_id=row.id, user=row.owner, cluster_id=row.cluster_id or "")
    return found


def known(tx: Connection, workspace: str, days: Collection[Day]) -> dict[Day, Left]:
    """What was told of those before."""
    span = Span(since=date.fromisoformat(min(day for _, day in days)),
                until=date.fromisoformat(max(day for _, day in days)))  # fmt: skip
    rows = tx.execute(select(egress).where(*costs.within(egress, workspace, span)))
    return {
        (row.resource, row.day): Left(row.amount, Owner(row.machine_id, row.user, row.cluster_id, row.repository_id))
        for row in rows
        if (row.resource, row.day) in days
    }


def replace(tx: Connection, workspace: str, before: Mapping[Day, Left], after: Mapping[Day, Left]) -> None:
    """And the sums with it, where anything changed; whoever does holds the workspace's money."""
    old, new = dict(before.items() - after.items()), dict(after.items() - before.items())
    if old:
        this = (egress.c.resource == bindparam("name"), egress.c.day == bindparam("on"))
        gone = delete(egress).where(egress.c.workspace == workspace, *this)
        tx.execute(gone, [{"name": resource, "on": day} for resource, day in old])
    rows = [
        {"workspace": workspace, "resource": resource, "day": day, "amount": left.amount, **left.owner._asdict()}
        for (resource, day), left in new.items()
        if left.amount
    ]
    if rows:
        tx.execute(insert(egress), rows)
    more: Counter[costs.EgressKey] = Counter()
    for days, sign in ((old, -1), (new, 1)):
        for (resource, day), left in days.items():
            owner, bucket = left.owner, "" if left.owner.machine_id else resource
            more[day, owner.user, bucket, owner.repository_id] += sign * left.amount
    costs.add_egress(tx, workspace, more)


def total(tx: Connection, workspace: str, span: Span, user: str | None, visible: ColumnElement[bool]) -> int:
    query = select(func.sum(egress_costs.c.amount))
    where = (*costs.within(egress_costs, workspace, span), *_own(egress_costs, user, visible))
    return int(tx.execute(query.where(*where)).scalar() or 0)


def lines(
    tx: Connection,
    workspace: str,
    span: Span,
    user: str | None,
    visible: ColumnElement[bool],
    limit: int,
    skip: int = 0,
) -> list[CostLine]:
    """Of everybody's machines, of every repository and bucket, the most costly first.

    With a user only of their machines, and of repositories that they may see; others' names are those of buckets.
    """
    keys = (egress_costs.c.user, egress_costs.c.bucket, egress_costs.c.repository_id)
    amount = func.sum(egress_costs.c.amount).label("amount")
    where = (*costs.within(egress_costs, workspace, span), *_own(egress_costs, user, visible))
    sums = select(*keys, amount).where(*where).group_by(*keys).having(amount != 0)
    found = sums.order_by(amount.desc(), *keys).limit(limit).offset(skip).subquery()
    query = (
        select(found, repositories.c.name.label("repository"))
        .outerjoin_from(found, repositories, and_(repositories.c.id == found.c.repository_id, visible))
        .order_by(found.c.amount.desc(), found.c.user, found.c.bucket, found.c.repository_id)
    )
    return [
        CostLine(key=_key(row.user, row.repository, row.bucket), milliseconds=0, amount=int(row.amount))
        for row in tx.execute(query)
    ]


def of_day(
    tx: Connection, workspace: str, currency: str, day: date, user: str | None, visible: ColumnElement[bool]
) -> list[Usage]:
    """Of every resource; the day is the bill's, which is one of UTC."""
    query = (
        select(egress, machines.c.machine_type, machines.c.group, machines.c.location, machines.c.tags,
               machines.c.groups, machines.c.zone, clusters.c.name.label("cluster"),
               repositories.c.name.label("repository"), locations.c.provider, locations.c.region)
        .outerjoin_from(egress, machines, machines.c.id == egress.c.machine_id)
        .outerjoin(clusters, clusters.c.id == egress.c.cluster_id)
        .outerjoin(repositories, and_(repositories.c.id == egress.c.repository_id, visible))
        .outerjoin(locations, (locations.c.workspace == workspace) & (locations.c.name == machines.c.location))
        .where(egress.c.workspace == workspace, egress.c.day == day.isoformat(), *_own(egress, user, visible))
        .order_by(egress.c.resource)
    )  # fmt: skip
    start = datetime.combine(day, datetime.min.time(), UTC)
    return [
        Usage(
            kind="egress", day=day, start=start, end=start + timedelta(days=1), workspace=workspace, currency=currency,
            amount=row["amount"], id=row["machine_id"], name=row["cluster"] or row["repository"] or "",
            user=row["user"], machine_type=row["machine_type"] or "", group=row["group"] or "",
            location=row["location"] or "", provider=row["provider"] or "", region=row["region"] or "",
            zone=row["zone"] or "", resource=row["resource"], tags=row["tags"] or {},
            groups=tuple(row["groups"] or ()),
        )
        for row in tx.execute(query).mappings()
    ]  # fmt: skip


def _buckets(tx: Connection, workspace: str) -> dict[str, Owner]:
    """Whose is that of a bucket with one repository; of one with several nobody knows."""
    query = (
        select(buckets.c.uri, repositories.c.id)
        .outerjoin_from(buckets, repositories, and_(repositories.c.workspace == buckets.c.workspace,
                                                    repositories.c.bucket == buckets.c.name))
        .where(buckets.c.workspace == workspace, buckets.c.kind.in_(_CLOUD))
    )  # fmt: skip
    found: dict[str, list[str]] = defaultdict(list)
    for row in tx.execute(query):
        found[row.uri.partition("://")[2].partition("/")[0]] += [row.id] if row.id else []
    return {name: Owner(repository_id=ids[0] if len(ids) == 1 else "") for name, ids in found.items()}


def _own(table: Table, user: str | None, visible: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    if user is None:
        return []
    seen = select(repositories.c.id).where(visible)
    return [or_(table.c.user == user, table.c.repository_id.in_(seen))]


def _key(user: str, repository: str | None, bucket: str) -> str:
    if not bucket:
        return f"machines of {user}"
    return f"repository {repository}" if repository else f"bucket {bucket}"
