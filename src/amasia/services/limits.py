"""What each tenant may take: said by operators, counted in the transaction that takes it."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import budgets, events, users
from amasia.database import limits as rows
from amasia.database.engine import Database
from amasia.models.limits import Allowance, Limits, LimitsRequest
from amasia.models.users import Principal
from amasia.settings import ServerSettings


def of(tx: Connection, settings: ServerSettings, workspace: str) -> Limits:
    """Those in force."""
    return _limits(settings, rows.own(tx, workspace))


def in_force(db: Database, settings: ServerSettings, workspace: str) -> Limits:
    with db.read() as tx:
        return of(tx, settings, workspace)


def requests(db: Database, settings: ServerSettings, workspace: str) -> int:
    """In a second; with no workspace, those of a user by themselves."""
    return in_force(db, settings, workspace).requests if workspace else settings.limit_requests


def find(db: Database, settings: ServerSettings) -> list[Allowance]:
    """Of every workspace, by name."""
    with db.read() as tx:
        owns, used = rows.every_own(tx), rows.used(tx)
    return [_allowance(settings, name, own, used.get(name, {})) for name, own in owns.items()]


def get(db: Database, settings: ServerSettings, workspace: str) -> Allowance:
    with db.read() as tx:
        return _allowance(settings, workspace, rows.own(tx, workspace), rows.used(tx, workspace).get(workspace, {}))


def put(db: Database, who: Principal, settings: ServerSettings, workspace: str, request: LimitsRequest) -> Allowance:
    """From the next launch and request on; what runs goes on. Requests are held to it within seconds."""
    said = request.model_dump(exclude_none=True)
    with db.write() as tx:
        _check(tx, workspace)
        if said:
            rows.put(tx, workspace, said)
            _say(tx, who, workspace, "limit.set", **said)
    return get(db, settings, workspace)


def reset(db: Database, who: Principal, settings: ServerSettings, workspace: str) -> Allowance:
    """To those of every workspace; repeatable."""
    with db.write() as tx:
        _check(tx, workspace)
        if rows.remove(tx, workspace):
            _say(tx, who, workspace, "limit.reset")
    return get(db, settings, workspace)


def check_machines(tx: Connection, settings: ServerSettings, workspace: str, more: int) -> None:
    """Whether it may have so many more. Held with its money, so that of two launches at once the second counts the
    first: see `ledgers.Ledger`, and what is locked before it.

    Raises
    ------
    TooLarge
        It may not; says how many there are, and what to do.
    """
    most = of(tx, settings, workspace).machines
    if not most or more <= 0:
        return
    budgets.workspace(tx, workspace, lock=True)
    have = rows.machines_of(tx, workspace)
    if have + more > most:
        raise errors.TooLarge(
            f"{workspace!r} has {have} of the {most} machines that it may have here, and {more} more were asked for.",
            cure="Stop something (`amasia cluster list`), ask for fewer, or have an operator raise it: "
            f"`amasia limit set {workspace} --machines {have + more}`.",
            limit=most,
            have=have,
        )


def room(tx: Connection, settings: ServerSettings, workspace: str) -> int | None:
    """How many more machines it may have; None for any number."""
    most = of(tx, settings, workspace).machines
    return max(0, most - rows.machines_of(tx, workspace)) if most else None


def may_start(tx: Connection, settings: ServerSettings, workspace: str, machine_id: str) -> bool:
    """Whether it is a machine's turn to be started; its row is held already, and the workspace's money then is."""
    most = of(tx, settings, workspace).starting
    if not most:
        return True
    budgets.workspace(tx, workspace, lock=True)
    return rows.starting(tx, workspace, but=machine_id) < most


def check_repositories(tx: Connection, workspace: str, most: int) -> None:
    """Whether it may have one more.

    Raises
    ------
    TooLarge
    """
    _check_one_more(tx, workspace, most, rows.repositories_of, "repositories")


def check_secrets(tx: Connection, workspace: str, most: int) -> None:
    """Whether it may have one more.

    Raises
    ------
    TooLarge
    """
    _check_one_more(tx, workspace, most, rows.secrets_of, "secrets")


def _check_one_more(
    tx: Connection, workspace: str, most: int, count: Callable[[Connection, str], int], what: str
) -> None:
    if not most:
        return
    budgets.workspace(tx, workspace, lock=True)
    have = count(tx, workspace)
    if have >= most:
        raise errors.TooLarge(
            f"{workspace!r} has {have} of the {most} {what} that it may have here.",
            cure=f"Remove one, or have an operator raise it: `amasia limit set {workspace} --{what} {have + 1}`.",
            limit=most,
            have=have,
        )


def _limits(settings: ServerSettings, own: Mapping[str, int]) -> Limits:
    of_all = {name: getattr(settings, f"limit_{name}") for name in Limits.model_fields}
    return Limits.model_validate(of_all | dict(own))


def _allowance(settings: ServerSettings, workspace: str, own: Mapping[str, int], used: Mapping[str, Any]) -> Allowance:
    return Allowance(workspace=workspace, limits=_limits(settings, own), own=tuple(own), **used)


def _check(tx: Connection, workspace: str) -> None:
    if users.find_workspace(tx, workspace) is None:
        raise errors.NotFound(f"There is no workspace {workspace!r}.", cure="`amasia limit list` shows all.")


def _say(tx: Connection, who: Principal, workspace: str, verb: str, **detail: Any) -> None:
    events.append(tx, actor=who.actor, verb=verb, target=workspace, workspace=workspace, source=who.source, **detail)
