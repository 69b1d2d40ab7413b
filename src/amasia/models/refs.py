"""Branches and tags, and the ways to name a snapshot: by its id, a tag, a branch, or a time."""

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import Field

from amasia.models.base import Model

MAIN = "main"


class RefKind(StrEnum):
    branch = "branch"
    tag = "tag"


class Ref(Model):
    kind: RefKind
    name: str
    snapshot: str


class RefVerb(StrEnum):
    create = "create"
    delete = "delete"
    reset = "reset"
    """Only of branches: to any snapshot, whatever comes after it."""


class RefRequest(Model):
    """Told before a branch or tag is changed in the store, so that the audit trail has it whatever happens then."""

    kind: RefKind
    verb: RefVerb
    name: str = Field(min_length=1, max_length=255)
    snapshot: str = ""
    """Where it should point; empty where it goes."""


def moment(ref: str) -> tuple[str, datetime] | None:
    """Branch and time of ``2026-11-22T10:00`` or ``dev@2026-11-22``; None for what is no time.

    Without a zone a time is in UTC, so that it means the same everywhere.
    """
    branch, _, text = ref.rpartition("@")
    # A snapshot's id may look like a compact date; only the form with hyphens is one.
    if text[4:5] != "-" or text[7:8] != "-":
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return branch or MAIN, at if at.tzinfo else at.replace(tzinfo=UTC)
