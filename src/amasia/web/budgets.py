"""Budgets of a workspace: which there are, their limits, and a form that makes one."""

from datetime import date
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from amasia import errors
from amasia.client.inputs import amount
from amasia.client.inputs import request as read
from amasia.database.engine import Database
from amasia.models.budgets import KINDS, MAIN, BudgetRequest, NewBudget, Period
from amasia.services import budgets, groups, locations, workspaces
from amasia.web import pages
from amasia.web.access import Budgeter, Db, Grant, Payer

router = APIRouter(prefix="/{workspace}/budgets")

Text = Annotated[str, Form()]
PERIODS = {
    Period.total: "in all",
    Period.month: "a month",
    Period.day: "a day",
    Period.grant: "from one day to another",
}

EMPTY = {"name": "", "limit": "", "kind": "user", "of": "", "period": "month", "starts": "", "ends": "", "hard": "yes"}
"""The form, before anything is typed."""


class Again(NamedTuple):
    """A form that sends the same once more, by whoever is sure."""

    action: str
    fields: dict[str, str]
    words: str


@router.get("")
def get(request: Request, db: Db, grant: Payer, workspace: str) -> Response:
    return _page(request, db, grant, workspace)


@router.post("")
def create(
    request: Request,
    db: Db,
    grant: Budgeter,
    workspace: str,
    name: Text = "",
    limit: Text = "",
    kind: Text = "workspace",
    of: Text = "",
    period: Text = Period.total.value,
    starts: Text = "",
    ends: Text = "",
    hard: Text = "",
    sure: Text = "",
) -> Response:
    typed = {"name": name, "limit": limit, "kind": kind, "of": of, "period": period, "starts": starts, "ends": ends,
             "hard": hard}  # fmt: skip
    try:
        scope = {"kind": kind, "name": of.strip()}
        days = {"starts": _day(starts), "ends": _day(ends)} if period == Period.grant else {}
        wish = read(
            NewBudget, name=name.strip(), scope=scope, period=period, hard=bool(hard), limit=amount(limit),
            confirmed=bool(sure), **days,
        )  # fmt: skip
        budgets.create(db, grant.who, workspace, wish)
    except (errors.InvalidRequest, errors.NotFound, errors.Conflict) as error:
        again = Again(f"/{workspace}/budgets", typed, "Make it all the same")
        return _page(request, db, grant, workspace, error=error, typed=typed, again=again)
    return _back(workspace)


@router.post("/{name}")
def change(
    request: Request, db: Db, grant: Budgeter, workspace: str, name: str, limit: Text = "", sure: Text = ""
) -> Response:
    """Another limit; one below what is spent and promised ends machines, and is asked for twice."""
    try:
        wish = read(BudgetRequest, limit=amount(limit), confirmed=bool(sure))
        budgets.set_limit(db, grant.who, workspace, wish, name)
    except errors.InvalidRequest as error:
        again = Again(f"/{workspace}/budgets/{name}", {"limit": limit}, f"Set it to {limit} all the same")
        return _page(request, db, grant, workspace, error=error, again=again)
    return _back(workspace)


@router.post("/{name}/delete")
def delete(db: Db, grant: Budgeter, workspace: str, name: str) -> Response:
    budgets.delete(db, grant.who, workspace, name)
    return _back(workspace)


def _back(workspace: str) -> Response:
    return RedirectResponse(f"/{workspace}/budgets", status_code=303)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise errors.InvalidRequest(f"{text!r} is no day.", cure="Write it as 2026-12-31.") from None


def _page(
    request: Request,
    db: Database,
    grant: Grant,
    workspace: str,
    *,
    error: errors.AmasiaError | None = None,
    typed: dict[str, str] | None = None,
    again: Again | None = None,
) -> Response:
    """With what was typed into the form, and what may be sent once more where all that lacks is to be sure."""
    asks = error is not None and "used" in error.detail
    return pages.render(
        request,
        "budgets.html",
        status=error.status if error else 200,
        **pages.place(db, grant, workspace, "costs"),
        budgets=budgets.find(db, workspace),
        main=MAIN,
        kinds=KINDS,
        periods=PERIODS,
        names=_names(db, grant, workspace),
        error=error,
        typed=EMPTY | (typed or {}),
        again=again if asks else None,
    )  # fmt: skip


def _names(db: Database, grant: Grant, workspace: str) -> list[str]:
    """Whose spending can be counted, for the form to offer."""
    if not grant.may("budget"):
        return []
    return [
        *(one.user for one in workspaces.members(db, workspace)),
        *(one.name for one in groups.find(db, workspace)),
        *(one.name for one in locations.find(db, workspace)),
    ]
