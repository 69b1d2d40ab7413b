"""Where machines come from: a provider, a region, its price list, its limits."""

from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from amasia.models.base import Model, Name, Time

Arch = Literal["x86_64", "aarch64"]
AIMS = ("authority", "endpoint")
"""Options by which a provider says where its secrets are sent."""


class Offer(Model):
    """One machine type at one location."""

    type: Name
    cpus: float
    memory: int
    """Bytes."""
    price: int | None
    """Micro-units per hour; None where no price is known."""
    price_source: str = ""
    """Where the price comes from and when it was read."""
    arch: Arch = "x86_64"
    gpus: int = 0
    gpu: str = ""
    """Model of its GPUs, such as ``a10g``; empty without."""
    spot_price: int | None = None
    """Micro-units per hour of the same type when it may be taken back; None where that cannot be had."""
    zones: tuple[str, ...] = ()
    """Parts of the region that have it; empty where there is no such choice."""


class LocationStatus(StrEnum):
    requested = "requested"
    """To be looked at: its provider was not asked yet, or is to be asked again."""
    ready = "ready"
    failed = "failed"
    """It cannot be used; its findings say why."""


class Finding(Model):
    """One thing that was looked at when a location was checked."""

    subject: str
    """What it is about: a host, a partition, a permission."""
    what: str
    """What was found, as a sentence without its full stop."""
    ok: bool
    cure: str = ""
    """What to do about it, where it is not well."""


class Location(Model):
    workspace: Name
    name: Name
    provider: str
    region: str = "here"
    offers: tuple[Offer, ...] = ()
    max_machines: int = 64
    options: dict[str, Any] = {}
    """What its provider wants to know; its docs page says which keys there are. Never a secret."""
    control_plane: str = ""
    """URL of the control plane as its machines see it; empty for the common one."""
    status: LocationStatus = LocationStatus.ready
    findings: tuple[Finding, ...] = ()
    """Of the last check."""
    checked_at: Time | None = None
    boot_seconds: float | None = None
    """From the wish for a machine until it is of use, as measured lately; None before the first one."""
    private_endpoints: bool = False
    """Whether its hosts and endpoint may be at private or loopback addresses: as an operator registered it, or
    everybody may."""


class Use(Model):
    """What there is at a location now."""

    machines: int = 0
    """Wished for or alive."""
    rate: int = 0
    """Micro-units per hour."""


class LocationRequest(Model):
    name: Name
    provider: Name
    region: str = Field(default="here", max_length=63)
    options: dict[str, Any] = {}
    secrets: dict[str, str] = Field(default={}, repr=False)
    """Kept encrypted, and told to nobody. Without any, the provider works with the control plane's own identity, so
    only operators may ask for that."""
    max_machines: int = Field(default=64, ge=1, le=100_000)
    control_plane: str = Field(default="", max_length=500)


class LocationChange(Model):
    """What becomes different about a location; None for what stays."""

    options: dict[str, Any] | None = None
    """All of them. While it has machines something may be added, and nothing that is there be changed or taken away.
    Another ``endpoint`` or ``authority`` wants the secrets again."""
    secrets: dict[str, str] | None = Field(default=None, repr=False)
    """All of them, in place of those that it has."""
    max_machines: int | None = Field(default=None, ge=1, le=100_000)
    control_plane: str | None = Field(default=None, max_length=500)


class Place(Model):
    """All that a provider is told of its location."""

    workspace: str
    name: str
    region: str
    plane: str
    """Names the control plane: machines carry it in their tag, so that two of them never end each other's."""
    options: dict[str, Any] = {}
    secrets: dict[str, str] = Field(default={}, repr=False)
    control_plane: str = ""
    """Its URL as machines there see it."""
    private_endpoints: bool = False
    """Whether it may be at private or loopback addresses."""
    home: Path
    """A directory of the provider's own for this location, on the control plane's computer; made when needed."""

    @property
    def tag(self) -> str:
        """What every machine of this location is marked with, and no other."""
        return f"amasia/{self.plane}/{self.workspace}/{self.name}"
