"""Who somebody is, and whether they may. Denied unless granted; denials are events too."""

import hashlib
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import NoReturn

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events, failures, users
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.events import Outcome
from amasia.models.permissions import LOOKING, Permission, Role, may
from amasia.models.users import ANONYMOUS, NewToken, Principal, Scope, Token

PEOPLE = frozenset({Scope.everything, Scope.read})
TASKS = frozenset({Scope.everything, Scope.read, Scope.data})

DENIALS, WHILE = 100, timedelta(minutes=1)
"""Of one caller, so many denials are written down in so long: a flood of them fills no database."""
OF_ADDRESS, ADDRESSES = 20, 100
"""Of somebody whom nobody knows so many, by their address, so that one flood does not hide another's tries. Of so many
addresses, that is; those that are more share one count."""

_TOUCH = timedelta(minutes=1)


def digest(secret: str) -> str:
    """Tokens have 256 random bits, so one round of SHA-256 hides them; passwords need argon2."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """``ama_`` + 256 bits + checksum: secret scanners know it, and a mistyped one is seen without a look-up."""
    body = "ama_" + secrets.token_urlsafe(32)
    return f"{body}{zlib.crc32(body.encode()):08x}"


@dataclass(frozen=True)
class TokenWish:
    """A token that is to be made; ``bound``: the workspace, cluster_id and machine_id that it is for, and a session's
    idle_seconds."""

    user: str
    label: str
    scope: Scope
    bound: Mapping[str, str | int | None] = field(default_factory=dict)


def issue_token(
    tx: Connection, user: str, label: str, scope: Scope, life: timedelta, **bound: str | int | None
) -> NewToken:
    return issue_tokens(tx, [TokenWish(user, label, scope, bound)], life)[0]


def issue_tokens(tx: Connection, wishes: Iterable[TokenWish], life: timedelta) -> list[NewToken]:
    """Many at once, in the order of the wishes."""
    made = [(_new_token(wish, life), wish.bound) for wish in wishes]
    users.add_tokens(tx, ((new.token, digest(new.secret), bound) for new, bound in made))
    return [new for new, _ in made]


def _new_token(wish: TokenWish, life: timedelta) -> NewToken:
    secret, made = new_secret(), now()
    token = Token(
        id=new_id("tk"),
        user=wish.user,
        label=wish.label,
        scope=wish.scope,
        prefix=secret[:10],
        created_at=made,
        expires_at=made + life,
        idle_seconds=_idle(wish),
    )
    return NewToken(token=token, secret=secret)


def _idle(wish: TokenWish) -> int | None:
    found = wish.bound.get("idle_seconds")
    return None if found is None else int(found)


def principal(db: Database, secret: str, source: str) -> Principal:
    """Who holds this token."""
    with db.read() as tx:
        row = users.token_row(tx, digest(secret)) if secret else None
    if row is None:
        if secret:
            deny(db, anonymous(source), None, "token.use", "a token that is not known")
        raise errors.NotSignedIn(
            "No token was sent." if not secret else "This token is not known here.",
            cure="Sign in with `amasia login`.",
        )
    at = now()
    who = Principal.model_validate({**row, "token_id": row["id"], "source": source})
    if row["expires_at"] <= at:
        deny(db, who, None, "token.use", who.token_id)
        raise errors.TokenExpired(
            f"The token {row['label']!r} ({row['prefix']}…) expired at {row['expires_at']:%Y-%m-%d %H:%M} UTC.",
            cure="Sign in again with `amasia login`.",
        )
    idle = row["idle_seconds"]
    if idle is not None and at - (row["last_used_at"] or row["created_at"]) > timedelta(seconds=idle):
        deny(db, who, None, "token.use", who.token_id)
        raise errors.TokenExpired("This session was idle for too long.", cure="Sign in again.")
    if row["last_used_at"] is None or at - row["last_used_at"] > _TOUCH:
        with db.write() as tx:
            users.touch_token(tx, row["id"], at)
    return who


def anonymous(source: str) -> Principal:
    """Whoever sent no token."""
    return Principal(user=ANONYMOUS, operator=False, scope=Scope.public, token_id="", source=source)


def require(
    db: Database,
    who: Principal,
    workspace: str,
    permission: Permission,
    verb: str,
    scopes: frozenset[Scope] = PEOPLE,
) -> Role:
    """The role that lets them, or an error and an event. What is about one repository is asked of `services.grants`."""
    role = require_member(db, who, workspace, verb)
    if who.scope not in scopes or (who.scope is Scope.read and permission not in LOOKING):
        deny(db, who, workspace, verb, workspace)
        raise errors.PermissionDenied(
            f"A token of scope {who.scope.value!r} does not allow {verb}.", cure="Use a token of scope 'everything'."
        )
    if not may(role, permission):
        deny(db, who, workspace, verb, workspace)
        raise errors.PermissionDenied(
            f"{verb} in {workspace!r} needs the permission {permission.value!r}, and {who.user} is {role.value} there.",
            cure="Ask an admin of the workspace.",
        )
    return role


def require_member(db: Database, who: Principal, workspace: str, verb: str) -> Role:
    """Their role. Whoever is no member learns nothing, not even that the workspace exists."""
    with db.read() as tx:
        role = users.role(tx, workspace, who.user)
    bound = who.workspace is None or who.workspace == workspace
    if role is None or not bound:
        deny(db, who, None, verb, workspace)
        raise errors.NotFound(
            f"There is no workspace {workspace!r} that {who.user} is a member of.",
            cure="`amasia workspace list` shows yours.",
        )
    return role


def is_member(db: Database, user: str, workspace: str) -> bool:
    with db.read() as tx:
        return users.role(tx, workspace, user) is not None


def require_operator(db: Database, who: Principal, verb: str) -> None:
    if who.operator and who.scope is Scope.everything:
        return
    deny(db, who, None, verb, "control plane")
    raise errors.PermissionDenied(f"{verb} is for operators of this control plane.", cure="Ask one of them.")


def is_person(who: Principal, *, writing: bool) -> bool:
    """Only people's own tokens, and no read-only one where something changes."""
    return who.scope is Scope.everything or (who.scope is Scope.read and not writing)


def require_person(db: Database, who: Principal, asked: str, *, writing: bool) -> None:
    """``asked`` is for the event, such as ``POST /v1/tokens``."""
    if not is_person(who, writing=writing):
        refuse_person(db, who, asked)


def refuse_person(db: Database, who: Principal, asked: str) -> NoReturn:
    deny(db, who, None, "account.use", asked)
    raise errors.PermissionDenied(
        f"A token of scope {who.scope.value!r} does not allow this.", cure="Use a token of scope 'everything'."
    )


def is_machine(who: Principal, machine_id: str) -> bool:
    return who.scope is Scope.machine and who.machine_id == machine_id


def require_machine(db: Database, who: Principal, machine_id: str) -> None:
    if not is_machine(who, machine_id):
        refuse_machine(db, who, machine_id)


def refuse_machine(db: Database, who: Principal, machine_id: str) -> NoReturn:
    deny(db, who, None, "machine.speak", machine_id)
    raise errors.PermissionDenied(f"Only machine {machine_id} itself may say this.")


def owner_or_manager(db: Database, who: Principal, workspace: str, role: Role, owner: str, verb: str) -> None:
    """For what belongs to somebody: its owner, or whoever manages the workspace."""
    if who.user == owner or may(role, Permission.manage):
        return
    deny(db, who, workspace, verb, owner)
    raise errors.PermissionDenied(f"It belongs to {owner}.", cure=f"Ask {owner}, or an admin of {workspace!r}.")


def deny(db: Database, who: Principal, workspace: str | None, verb: str, target: str) -> None:
    """Write down that somebody may not. ``workspace`` is None where they are no member of it.

    Of what is over `DENIALS`, the first one that is written down again says how many there were. Until then most of it
    does not even reach the database: anybody can be refused, as often as they like.
    """
    at, most = now(), OF_ADDRESS if who.anonymous else DENIALS
    key = f"{failures.UNKNOWN} {_network(who.source)}" if who.anonymous else f"{failures.DENIED}{who.actor}"
    waited = db.denied.add(key, at)
    if waited is None:
        return
    with db.write(quiet=True) as tx:
        row, left = _row(tx, key, at) if who.anonymous else (key, 0)
        before = failures.count(tx, row) + waited
        count = failures.add(tx, row, at - WHILE, waited=waited + left)
        if count > most:
            db.denied.begin(key, at)
            return
        left += max(0, before - most)
        detail = {"left_out": left} if count == 1 and left else {}
        events.append(
            tx,
            actor=who.actor,
            verb=verb,
            target=target[:200],
            workspace=workspace,
            source=who.source,
            outcome=Outcome.denied,
            **detail,
        )


def _row(tx: Connection, key: str, at: datetime) -> tuple[str, int]:
    """Where an address is counted, and how many denials were left out of those that have been quiet for a while."""
    if failures.count(tx, key):
        return key, 0
    left = failures.end(tx, f"{failures.UNKNOWN} ", at - WHILE, OF_ADDRESS)
    return (key if failures.rows(tx, f"{failures.UNKNOWN} ") < ADDRESSES else failures.UNKNOWN), left


def _network(source: str) -> str:
    """Of an address: in IPv6 everybody has more addresses than could be counted."""
    try:
        address = ip_address(source)
    except ValueError:
        return source[:100]
    return str(ip_network((source, 64), strict=False)) if address.version == 6 else source


@contextmanager
def denials(db: Database, who: Principal, workspace: str | None, verb: str, target: str) -> Iterator[None]:
    """Around a transaction: a refusal undoes what it wrote, and is written down after it."""
    try:
        yield
    except (errors.PermissionDenied, errors.NotSignedIn):
        deny(db, who, workspace, verb, target)
        raise
