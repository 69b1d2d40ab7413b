"""Budgets: what a workspace, a user, a group, a location or what bears a tag may cost."""

from collections.abc import Mapping
from datetime import date

from amasia.client.inputs import amount, request
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.errors import InvalidRequest
from amasia.models.budgets import MAIN, Budget, BudgetRequest, NewBudget


def get(workspace: str | None = None, *, name: str = MAIN, connection: Connection | None = None) -> Budget:
    """A budget of a workspace; the one for all that it ever costs where none is named.

    Amounts are micro-units of its currency, ``spent`` and ``reserved`` those of the period that it is now.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    return (connection or connect()).get(f"{path(workspace)}/budgets/{name}", Budget)


def find(workspace: str | None = None, *, connection: Connection | None = None) -> list[Budget]:
    """Every budget of a workspace, the one for all that it ever costs first."""
    return list((connection or connect()).items(f"{path(workspace)}/budgets", Budget))


def create(
    name: str,
    limit: str | int,
    workspace: str | None = None,
    *,
    user: str = "",
    group: str = "",
    tag: str = "",
    location: str = "",
    per: str = "total",
    starts: date | None = None,
    ends: date | None = None,
    hard: bool = True,
    confirm: bool = False,
    connection: Connection | None = None,
) -> Budget:
    """Make a budget. Whatever it counts must fit into it and into every other that applies.

    Parameters
    ----------
    limit
        Of one period, in the workspace's currency: 12, or ``"12.50"`` as text, because money is never a float.
    user, group, tag, location
        Whose or which spending it counts, at most one of them; a tag as ``"project=x"``, a group by who was in it when
        a machine was asked for. That of the whole workspace where none is given.
    per
        ``"day"``, ``"month"``, ``"grant"`` or ``"total"``. Days and months are those of the workspace's time zone.
    starts, ends
        First and last day of a grant; it holds no money before and after.
    hard
        Nothing starts or goes on beyond it; False for one that only tells.
    confirm
        You know that it ends what runs: needed where more is spent or promised than its limit.

    Raises
    ------
    Conflict
        There is one of that name.
    InvalidRequest
        It cannot be meant, or is to be confirmed.
    PermissionDenied
        Only admins and owners make budgets.
    """
    kinds = (("user", user), ("group", group), ("tag", tag), ("location", location))
    given = {kind: one for kind, one in kinds if one}
    if len(given) > 1:
        raise InvalidRequest(f"A budget counts one of {' and '.join(given)}.", cure="Make one for each.")
    scope: Mapping[str, str] = {"kind": next(iter(given), "workspace"), "name": next(iter(given.values()), "")}
    body = request(NewBudget, name=name, scope=scope, period=per, starts=starts, ends=ends, hard=hard,
                   limit=amount(limit), confirmed=confirm)  # fmt: skip
    return (connection or connect()).post(f"{path(workspace)}/budgets", body, Budget)


def set(
    limit: str | int,
    workspace: str | None = None,
    *,
    name: str = MAIN,
    confirm: bool = False,
    connection: Connection | None = None,
) -> Budget:
    """Set the limit of a budget.

    Parameters
    ----------
    limit
        In the workspace's currency: 12, or ``"12.50"`` as text, because money is never a float.
    confirm
        You know that it ends what runs: needed where more is spent or promised than the limit.

    Raises
    ------
    InvalidRequest
        The limit is no amount of money, or is to be confirmed.
    PermissionDenied
        Only admins and owners set budgets.
    """
    body = request(BudgetRequest, limit=amount(limit), confirmed=confirm)
    return (connection or connect()).put(f"{path(workspace)}/budgets/{name}", body, Budget)


def delete(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> None:
    """Delete a budget. What was spent stays in the bill and in the other budgets."""
    (connection or connect()).delete(f"{path(workspace)}/budgets/{name}")
