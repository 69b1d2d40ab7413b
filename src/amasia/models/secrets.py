"""Secrets that processes on machines find in their environment: set, used and removed, and never shown to anybody."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from amasia.models.base import Model, Name, Time
from amasia.models.grants import PUBLIC, Grantee, check_grantee

SHORTEST = 8
LONGEST = 32 << 10
MOST = 50
"""That one cluster uses."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_TAKEN = re.compile(r"(?i:AMASIA_|DASK_|PYTHON|LD_|DYLD_).*|PATH|HOME|SHELL|USER|LANG|TMPDIR|VIRTUAL_ENV|CONDA_PREFIX")
"""Variables by which processes find their programs, or us."""


def check_secret_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no name of a variable: letters, digits and '_', no digit first, at most 100")
    if _TAKEN.fullmatch(value):
        raise ValueError(f"{value!r} is a variable that means something to programs already: choose another name")
    return value


def check_value(value: str) -> str:
    if "\0" in value:
        raise ValueError("a variable holds no NUL")
    if len(value.encode()) > LONGEST:
        raise ValueError(f"a secret has at most {LONGEST} bytes")
    if any(len(line.strip()) >= SHORTEST for line in value.splitlines()):
        return value
    raise ValueError(f"it has no line of {SHORTEST} characters: less is guessed, and cannot be hidden in logs")


def check_for(value: str) -> str:
    if value == PUBLIC:
        raise ValueError("a secret cannot be public")
    return check_grantee(value)


SecretName = Annotated[str, AfterValidator(check_secret_name)]
"""As a variable is called: ``COPERNICUS_KEY``."""


class Secret(Model):
    """All of it that anybody is shown."""

    workspace: Name
    name: SecretName
    grantee: Grantee
    """Whose clusters may use it: ``user:ada``, ``group:ocean``, ``account:nightly`` or ``everyone``."""
    set_by: str
    set_at: Time
    last_used_at: Time | None = None
    """When a machine was last lent it."""


class Named(Model):
    name: SecretName


class SecretRequest(Model):
    """A secret as it is to be; what it was before is gone."""

    value: Annotated[str, AfterValidator(check_value)] = Field(repr=False)
    grantee: Annotated[str, AfterValidator(check_for)] | None = None
    """None for the caller."""


class Lent(Model):
    """What a machine's processes get, by name; for the machine itself."""

    values: dict[str, str] = Field(default={}, repr=False)
    missing: tuple[str, ...] = ()
    """Names that its cluster was started with, and that are not there any more."""
