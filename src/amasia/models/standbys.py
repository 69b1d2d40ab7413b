"""Machines that a workspace keeps warm, so that the next cluster need not wait for them."""

from pydantic import Field

from amasia.models.base import Model, Name, Time


class StandbyRequest(Model):
    machines: int = Field(ge=0, le=100)
    """How many to keep; 0 for none any more."""
    hours: float | None = Field(default=None, gt=0, le=24 * 365)
    """For how long; None until somebody says otherwise."""


class Standby(Model):
    """So many machines of one type, joined and with the environment of the last cluster ready."""

    workspace: Name
    location: Name
    machine_type: Name
    machines: int
    until: Time | None = None
    created_by: Name
    created_at: Time
    reason: str = ""
    """Why there are fewer than that, where somebody must do something about it."""
    ready: int = 0
    """How many a cluster could take at this moment."""
    rate: int = 0
    """Micro-units per hour of those that there are."""
