"""What every noun shares: frozen models, names, ids and times."""

import re
import secrets
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from amasia.errors import InvalidRequest

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


class Model(BaseModel):
    """A frozen record that ignores fields it does not know, so that old and new versions talk."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Page[T](Model):
    """One page of a list."""

    items: tuple[T, ...]
    next: str = ""
    """Pass as ``?after=`` for the next page; empty on the last."""


def check_name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(
            f"{value!r} is no name here: 1 to 63 characters, a-z, 0-9, '.', '_' and '-', "
            "with a letter or digit at both ends"
        )
    return value


LARGEST = 2**63 - 1
"""That both databases hold."""

Name = Annotated[str, AfterValidator(check_name)]
Cursor = Annotated[int, Field(ge=0, le=LARGEST)]
"""Id of the last row of a page."""
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]
"""That somebody writes."""
Time = AwareDatetime


def new_id(prefix: str) -> str:
    """A random id such as ``cl-3f9a1c0b7d2e4f60``; the prefix tells the noun."""
    return f"{prefix}-{secrets.token_hex(8)}"


def now() -> datetime:
    return datetime.now(UTC)


def split_repository(name: str) -> tuple[str, str]:
    """``demo/reanalysis`` as (workspace, repository)."""
    workspace, slash, repository = str(name).removeprefix("amasia://").strip("/").partition("/")
    if not slash or not NAME.fullmatch(workspace) or not NAME.fullmatch(repository):
        raise InvalidRequest(
            f"{name!r} does not name a repository.", cure="Write workspace/repository, such as demo/reanalysis."
        )
    return workspace, repository
