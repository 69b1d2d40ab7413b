"""Files that somebody says have landed, to be taken into a repository by whoever watches it."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from amasia.models.base import Model, Name, Time


class Outcome(StrEnum):
    waiting = "waiting"
    """Nobody took it yet."""
    taken = "taken"
    skipped = "skipped"
    """Its content was there already."""
    refused = "refused"


def check_url(value: str) -> str:
    """A path or URL without a login in it: arrivals are read by every reader of the repository."""
    parts = urlsplit(value)
    if "@" in parts.netloc or "\0" in value or not value.strip():
        raise ValueError("a path or URL without user name or password in it is wanted")
    if parts.query and parts.scheme in {"http", "https", "s3"}:
        raise ValueError("a URL with a query may hold a signature; give the plain address")
    return value


Url = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(check_url)]


class Arrival(Model):
    """One file that landed, and what became of it."""

    id: int
    repository: str
    """``workspace/name``."""
    url: str
    by: Name
    at: Time
    outcome: Outcome = Outcome.waiting
    reason: str = ""
    """Why it was refused."""


class ArrivalRequest(Model):
    """What has landed."""

    urls: tuple[Url, ...] = Field(min_length=1, max_length=1000)


class ArrivalDone(Model):
    """What became of a file."""

    outcome: Outcome
    reason: str = Field(default="", max_length=2000)
