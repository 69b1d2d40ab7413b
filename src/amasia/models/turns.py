"""Turns: who may append to a branch now. They save work; that no data are lost is the store's doing."""

from pydantic import Field

from amasia.models.base import Model, Time

SECONDS = 30
"""A turn that its holder does not renew is over after this."""


class TurnRequest(Model):
    branch: str = Field(default="main", min_length=1, max_length=255)


class Turn(Model):
    id: str
    branch: str
    user: str
    until: Time
    mine: bool = False
    """Whether it is the asker's; if not, it is that of whoever the asker waits for."""
