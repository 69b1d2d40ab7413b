"""What each machine, repository and egress cost on each day: what exports and reconciliations are made of."""

from datetime import date
from typing import Literal

from amasia.models.base import Model, Name, Time


class Usage(Model):
    """One machine, or what one repository took up, on one day of the workspace's calendar; or one resource's egress."""

    kind: Literal["machine", "storage", "egress"]
    day: date
    start: Time
    """Of the first charge of the day."""
    end: Time
    workspace: Name
    currency: str
    amount: int
    """Micro-units."""
    id: str
    """Of the machine, or of the repository; empty for a bucket's egress."""
    name: str
    """Of the cluster, or of the repository; empty for a machine that was kept warm."""
    user: str = ""
    """Whose machine; storage and a bucket's egress are nobody's."""
    milliseconds: int = 0
    """That the machine lived."""
    byte_seconds: int = 0
    """That the repository took up."""
    machine_type: str = ""
    group: str = ""
    location: str = ""
    provider: str = ""
    """Of the location, if it still is there."""
    region: str = ""
    zone: str = ""
    resource: str = ""
    """What the provider calls the machine or bucket, such as ``i-0abc``; empty where it gave it no name."""
    price: int | None = None
    """Of the machine, micro-units per hour."""
    spot: bool = False
    tags: dict[str, str] = {}
    groups: tuple[str, ...] = ()
    """Of members, that its user was in."""
