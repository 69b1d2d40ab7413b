"""Templates and what they may use. All that goes into a page is escaped, except our own pictures."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from amasia import __version__
from amasia.client import grids, timelines
from amasia.models import costs
from amasia.models.base import NAME, now
from amasia.models.money import plain, show
from amasia.models.repositories import Input
from amasia.models.sizes import memory, volume
from amasia.models.users import Me
from amasia.models.workspaces import NEVER
from amasia.services import users
from amasia.web import pictures, words
from amasia.web.access import Db, Grant

HERE = Path(__file__).parent
STATIC = HERE / "static"


def render(request: Request, template: str, *, status: int = 200, **data: Any) -> HTMLResponse:
    text = _environment.get_template(template).render(request=request, path=request.url.path, **data)
    return HTMLResponse(text, status_code=status)


def place(db: Db, grant: Grant, workspace: str, section: str) -> dict[str, Any]:
    """What the frame of every page of a workspace shows."""
    me: Me = users.me(db, grant.who, __version__)
    mine = sorted(membership.workspace for membership in me.memberships)
    return {"me": me.user, "grant": grant, "workspace": workspace, "workspaces": mine, "section": section}


def address(found: Input) -> str:
    """The page of an input; empty where a client wrote down something that names no repository."""
    workspace, slash, name = found.repository.partition("/")
    if not slash or not NAME.fullmatch(workspace) or not NAME.fullmatch(name):
        return ""
    return f"/{workspace}/repositories/{name}#{quote(found.snapshot, safe='')}"


def static(name: str) -> str:
    """The address of a file of ours; it changes with the content, so browsers may keep it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/-/static/{name}?v={digest}"


def _make() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "money": show,
        "plain": plain,
        "address": address,
        "ago": words.ago,
        "told": words.told,
        "span": words.span,
        "moment": words.moment,
        "size": memory,
        "volume": volume,
        "machine_time": costs.machine_time,
    }
    made.globals |= {
        "budget_bar": lambda budget: Markup(pictures.budget(budget)),  # noqa: S704
        "share_bar": lambda part, whole: Markup(pictures.share(part, whole)),  # noqa: S704
        "days_chart": lambda spent, first, ahead, money: Markup(pictures.days(spent, first, ahead, money)),  # noqa: S704
        "chunk_grids": lambda diff: Markup(grids.svg(diff)),  # noqa: S704
        "timeline": lambda machines: Markup(timelines.svg(machines, now())),  # noqa: S704
        "stages": timelines.WORDS,
        "now": now,
        "why": words.why,
        "never": NEVER,
        "static": {path.name: static(path.name) for path in STATIC.iterdir()},
    }
    return made


_environment = _make()
