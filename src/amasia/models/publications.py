"""Repositories that other tools read by protocols of theirs, because an admin said so."""

from enum import StrEnum

from pydantic import Field

from amasia.models.base import Model, Name, Time


class Protocol(StrEnum):
    tiles = "tiles"
    """Map tiles as PNG: OGC API Tiles, and TileJSON for web maps."""
    edr = "edr"
    """OGC Environmental Data Retrieval: points, areas and boxes as CoverageJSON, CSV, GeoJSON, NetCDF."""
    opendap = "opendap"
    """DAP 2, which netCDF-C, Xarray, R, MATLAB and Panoply open as if it were a file."""


class PublicationRequest(Model):
    protocols: tuple[Protocol, ...] = Field(min_length=1)
    public: bool = False
    """Whether people without an account may read it, too."""


class Publication(Model):
    workspace: Name
    repository: Name
    repository_id: str
    protocols: tuple[Protocol, ...]
    public: bool
    by: Name
    """Who turned it on as it is now."""
    at: Time
    addresses: dict[Protocol, str] = {}
    """Of its root group, by protocol; other groups have their path before the protocol's word."""

    @property
    def full_name(self) -> str:
        return f"{self.workspace}/{self.repository}"

    def at_base(self, base: str) -> "Publication":
        """The same with its addresses at a server."""
        root = f"{base.rstrip('/')}/{self.full_name}"
        return self.model_copy(update={"addresses": {each: f"{root}/{each.value}" for each in self.protocols}})
