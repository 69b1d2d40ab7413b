"""What one workspace may take of a control plane that others share."""

from typing import Annotated

from pydantic import Field

from amasia.models.base import Model, Name

NONE = 0
"""As a limit: there is none."""
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Bytes = Annotated[int, Field(ge=0, le=2**53)]


class Limits(Model):
    """In force; 0 for no limit."""

    machines: Count = NONE
    """Wished for or there at a time."""
    starting: Count = NONE
    """Being started at a time; more wait for their turn."""
    requests: Count = NONE
    """In a second, and ten times as many at once."""
    repositories: Count = NONE
    secrets: Count = NONE
    """Of all grantees together."""
    log_bytes: Bytes = NONE
    """Kept of one machine's log."""


class LimitsRequest(Model):
    """None to leave a limit as it is."""

    machines: Count | None = None
    starting: Count | None = None
    requests: Count | None = None
    repositories: Count | None = None
    secrets: Count | None = None
    log_bytes: Bytes | None = None


class Allowance(Model):
    """What a workspace may take, and what it takes."""

    workspace: Name
    limits: Limits
    own: tuple[str, ...] = ()
    """Limits that an operator set for it; the others are those of every workspace."""
    machines: int = 0
    """Wished for or there."""
    starting: int = 0
    """Being started: asked of their providers, and of no use yet."""
    waiting: int = 0
    """Not begun with, since it is not their turn."""
    waited_seconds: float = 0.0
    """Since the first of those was wished for."""
    repositories: int = 0
    secrets: int = 0
