"""Named queries on locations and buckets."""

from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, select

from amasia.database.rows import add, change, every, mapping, one, plain
from amasia.database.schema import Sealed
from amasia.database.tables import buckets, clusters, locations
from amasia.models.base import now
from amasia.models.locations import Location
from amasia.models.repositories import Bucket, BucketStatus

NEWEST = 0.3
"""How much the newest measurement counts."""


def put_location(tx: Connection, location: Location, sealed: Sealed | None = None) -> None:
    """Make it, or change it; its secrets stay as they are for None, and what was measured does in any case."""
    secrets = {} if sealed is None else {"secrets": sealed}
    where = (locations.c.workspace == location.workspace, locations.c.name == location.name)
    fields = {name: value for name, value in plain(location).items() if name != "boot_seconds"}
    if not change(tx, locations, *where, **fields, **secrets):
        add(tx, locations, location, created_at=now(), **secrets)


def change_location(tx: Connection, workspace: str, name: str, **columns: Any) -> int:
    return change(tx, locations, locations.c.workspace == workspace, locations.c.name == name, **columns)


def measure(tx: Connection, workspace: str, name: str, seconds: float) -> None:
    """A machine there was of use after so many seconds; the newer ones count more."""
    known = locations.c.boot_seconds
    where = (locations.c.workspace == workspace, locations.c.name == name)
    change(tx, locations, *where, boot_seconds=func.coalesce(known + NEWEST * (seconds - known), seconds))


def boot_seconds(tx: Connection, cluster_id: str) -> float:
    """How long a new machine of a cluster will most likely take; 0 where nobody knows."""
    here = (locations.c.workspace == clusters.c.workspace) & (locations.c.name == clusters.c.location)
    query = select(locations.c.boot_seconds).join(clusters, here).where(clusters.c.id == cluster_id)
    return tx.execute(query).scalar() or 0.0


def delete_location(tx: Connection, workspace: str, name: str) -> None:
    tx.execute(delete(locations).where(locations.c.workspace == workspace, locations.c.name == name))


def list_locations(tx: Connection, workspace: str) -> list[Location]:
    """Oldest first: the first is the default. Those from before the column are the oldest."""
    oldest = (locations.c.created_at.is_not(None), locations.c.created_at, locations.c.name)
    return every(tx, select(locations).where(locations.c.workspace == workspace).order_by(*oldest), Location)


def find_location(tx: Connection, workspace: str, name: str) -> Location | None:
    where = (locations.c.workspace == workspace, locations.c.name == name)
    return one(tx, select(locations).where(*where), Location)


def every_location(tx: Connection) -> list[tuple[Location, Sealed]]:
    """With the sealed secrets."""
    rows = tx.execute(select(locations).order_by(locations.c.workspace, locations.c.name)).mappings()
    return [(Location.model_validate(dict(row)), row["secrets"]) for row in rows]


def location_secrets(tx: Connection, workspace: str, name: str) -> Sealed | None:
    query = select(locations.c.secrets).where(locations.c.workspace == workspace, locations.c.name == name)
    return tx.execute(query).scalar()


def add_bucket(tx: Connection, bucket: Bucket, sealed_keys: Sealed) -> None:
    add(tx, buckets, bucket, keys=sealed_keys, created_at=now())


def change_bucket(tx: Connection, bucket: Bucket, sealed_keys: Sealed) -> int:
    where = (buckets.c.workspace == bucket.workspace, buckets.c.name == bucket.name)
    return change(tx, buckets, *where, uri=bucket.uri, endpoint=bucket.endpoint, region=bucket.region, keys=sealed_keys)


def list_buckets(tx: Connection, workspace: str) -> list[Bucket]:
    """Oldest first: the first is the default."""
    query = select(buckets).where(buckets.c.workspace == workspace).order_by(buckets.c.created_at)
    return every(tx, query, Bucket)


def find_bucket(tx: Connection, workspace: str, name: str) -> Bucket | None:
    return one(tx, select(buckets).where(buckets.c.workspace == workspace, buckets.c.name == name), Bucket)


def embedded_buckets(tx: Connection) -> list[Bucket]:
    return every(tx, select(buckets).where(buckets.c.kind == "embedded"), Bucket)


def bucket_row(tx: Connection, workspace: str, name: str) -> RowMapping | None:
    """With the sealed keys."""
    return mapping(tx, select(buckets).where(buckets.c.workspace == workspace, buckets.c.name == name))


def untried_buckets(tx: Connection) -> list[tuple[Bucket, Sealed]]:
    """With the sealed keys."""
    rows = tx.execute(select(buckets).where(buckets.c.status == "requested")).mappings()
    return [(Bucket.model_validate(dict(row)), row["keys"]) for row in rows]


def set_bucket_status(tx: Connection, bucket: Bucket, status: BucketStatus, reason: str) -> int:
    where = (buckets.c.workspace == bucket.workspace, buckets.c.name == bucket.name, buckets.c.status == "requested")
    return change(tx, buckets, *where, status=status, reason=reason)
