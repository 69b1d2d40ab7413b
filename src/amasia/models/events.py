"""The audit trail: who, what, when, from where, outcome, denials too."""

from enum import StrEnum
from typing import Any

from amasia.models.base import Model, Time


class Outcome(StrEnum):
    done = "done"
    denied = "denied"
    failed = "failed"


class Event(Model):
    id: int
    at: Time
    workspace: str | None
    actor: str
    """A user's name, ``machine:<id>`` or ``amasia`` for the reconcilers."""
    verb: str
    """Noun and verb, such as ``cluster.create``."""
    target: str
    outcome: Outcome
    source: str = ""
    """Address that the request came from."""
    detail: dict[str, Any] = {}
