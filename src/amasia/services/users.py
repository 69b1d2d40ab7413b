"""Users sign in, make tokens; operators make users."""

from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import Connection

from amasia import errors
from amasia.database import budgets, clusters, events, failures, identities
from amasia.database import users as rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.events import Outcome
from amasia.models.permissions import Role
from amasia.models.users import (
    ANONYMOUS,
    HOUSE,
    SERVICE,
    Me,
    Membership,
    NewToken,
    PasswordRequest,
    PasswordReset,
    Principal,
    Scope,
    SignIn,
    Token,
    TokenRequest,
    User,
    UserRequest,
)
from amasia.services import access, grants, removals
from amasia.services.access import issue_token

SESSION = timedelta(days=30)
WINDOW = timedelta(minutes=15)
TRIES = 10
"""Wrong passwords for one name from one place within the window; five times that from one place for all names, ten
times that for one name from all places."""

_hasher = PasswordHasher()
# Verified against when there is no such user, so that the answer takes as long. Of a password that nobody knows; made
# here, it would cost each start of a control plane 0.2 s.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$sukgt6u4EgMA1W4GOVeeew$cZVpEEUD7HIyVWRDXp8rFhUPyEO0ubRZJ9k14D+I6d4"


def create(db: Database, who: Principal | None, request: UserRequest) -> User:
    """Make a local account; ``who`` is None for the first one, made by the control plane itself."""
    user = User(
        id=new_id("us"),
        name=request.name,
        subject=request.name,
        operator=request.operator,
        created_at=now(),
    )
    hashed = _hasher.hash(request.password)
    with db.write() as tx:
        if rows.is_taken(tx, user.name) or user.name == ANONYMOUS:
            raise errors.Conflict(f"There is a user {user.name!r} already.", cure="Choose another name.")
        rows.add_user(tx, user, hashed)
        events.append(
            tx,
            actor=who.actor if who else "amasia",
            verb="user.create",
            target=user.name,
            workspace=None,
            source=who.source if who else "",
        )
    return user


def find(db: Database) -> list[User]:
    with db.read() as tx:
        return rows.list_users(tx)


def sign_in(
    db: Database, request: SignIn, source: str, life: timedelta = SESSION, idle_seconds: int | None = None
) -> NewToken:
    """Whoever is wrong too often, by name or from one place, waits; also with the right password.

    The token ends after its life, or when it was idle for too long where that is said.
    """
    keys = _count(db, request.name, source)
    with db.read() as tx:
        hashed = rows.password_hash(tx, request.name)
    try:
        _hasher.verify(hashed or _NOBODY, request.password)
    except VerificationError:
        hashed = None
    with db.write() as tx:
        if hashed is not None and rows.password_hash(tx, request.name) == hashed:
            for key in keys:
                failures.take_back(tx, key)
            events.append(tx, actor=request.name, verb="user.sign-in", target=request.name, workspace=None,
                          source=source)  # fmt: skip
            return issue_token(tx, request.name, request.label, Scope.everything, life, idle_seconds=idle_seconds)
        events.append(tx, actor=request.name, verb="user.sign-in", target=request.name, workspace=None, source=source,
                      outcome=Outcome.denied)  # fmt: skip
    raise errors.NotSignedIn(
        "Name or password is wrong.", cure="On the computer of the control plane, `amasia console` shows both."
    )


def _count(db: Database, name: str, source: str) -> list[str]:
    """Count a try as failed until it is not, so that many at once are no way around."""
    limits = {f"name:{name} source:{source}": TRIES, f"source:{source}": 5 * TRIES, f"name:{name}": 10 * TRIES}
    before = now() - WINDOW
    with db.write() as tx:
        failures.forget(tx, before, access.DENIALS)
        over = [failures.add(tx, key, before) - limit for key, limit in limits.items()]
        if max(over) == 1:  # later ones are not written down: they would fill the trail
            events.append(tx, actor=name, verb="user.sign-in", target=name, workspace=None, source=source,
                          outcome=Outcome.denied, reason="too often")  # fmt: skip
    if max(over) > 0:
        raise errors.TooOften(
            f"There were too many wrong passwords for {name!r}, or from {source or 'there'}.",
            cure=f"Wait {WINDOW.total_seconds() / 60:.0f} minutes, or ask an operator: `amasia user password {name}`.",
        )
    return list(limits)


def change_password(db: Database, who: Principal, request: PasswordRequest) -> None:
    """One's own. Ends one's other tokens; machines keep theirs."""
    keys = _count(db, who.user, who.source)
    with db.read() as tx:
        hashed = rows.password_hash(tx, who.user)
    try:
        _hasher.verify(hashed or _NOBODY, request.old)
    except VerificationError:
        hashed = None
    if hashed is None:
        access.deny(db, who, None, "user.password", who.user)
        raise errors.PermissionDenied("The old password is wrong.", cure="An operator can set a new one.")
    fresh = _hasher.hash(request.new)
    with db.write() as tx:
        for key in keys:
            failures.take_back(tx, key)
        rows.set_password(tx, who.user, fresh)
        rows.delete_tokens_of_person(tx, who.user, but=who.token_id)
        events.append(tx, actor=who.actor, verb="user.password", target=who.user, workspace=None, source=who.source)


def reset_password(db: Database, who: Principal, name: str, request: PasswordReset) -> None:
    """Another one's, by an operator. Ends their tokens; machines keep theirs."""
    fresh = _hasher.hash(request.new)
    with db.write() as tx:
        _person(tx, name)
        rows.set_password(tx, name, fresh)
        rows.delete_tokens_of_person(tx, name)
        failures.clear(tx, name)
        events.append(tx, actor=who.actor, verb="user.password", target=name, workspace=None, source=who.source)


def remove(db: Database, who: Principal, name: str) -> None:
    """End an account at once: sessions, tokens, memberships, grants. Its clusters stop, its commits keep its name."""
    with db.write() as tx:
        _person(tx, name)
        if name == who.user:
            raise errors.Conflict("Nobody removes themselves.", cure="Ask another operator.")
        for workspace in sorted(one.workspace for one in rows.memberships_of(tx, name)):
            budgets.workspace(tx, workspace, lock=True)  # of two owners who go at once the second counts what is left
        alone = [item.workspace for item in rows.memberships_of(tx, name) if _sole_owner(tx, item)]
        if alone:
            raise errors.Conflict(
                f"{name} is the only owner of {', '.join(alone)}.",
                cure=f"Make another member owner first: amasia workspace add NAME owner -w {alone[0]}",
            )
        retire(tx, name)
        events.append(tx, actor=who.actor, verb="user.remove", target=name, workspace=None, source=who.source)


def retire(tx: Connection, name: str) -> None:
    """What ends with an account. Its identities stay, so that nobody comes back by them unasked."""
    for member in rows.memberships_of(tx, name):
        removals.leave(tx, member.workspace, name)
    grants.forget(tx, name)
    identities.end_invitation(tx, name)
    rows.retire(tx, name)
    for cluster in clusters.live(tx):
        if cluster.owner == name:
            clusters.wish_stop(tx, cluster.id, f"{name} was removed")


def _person(tx: Connection, name: str) -> None:
    found = rows.find_user(tx, name)
    if found is None or found.issuer in (SERVICE, HOUSE):
        raise errors.NotFound(f"There is no user {name!r}.", cure="`amasia user list` shows who there is.")


def _sole_owner(tx: Connection, member: Membership) -> bool:
    owners = [one.user for one in rows.members(tx, member.workspace) if one.role is Role.owner]
    return owners == [member.user]


def me(db: Database, who: Principal, version: str) -> Me:
    with db.read() as tx:
        user = rows.find_user(tx, who.user)
        assert user is not None
        return Me(user=user, memberships=tuple(rows.memberships_of(tx, who.user)), version=version)


def create_token(db: Database, who: Principal, request: TokenRequest) -> NewToken:
    if request.scope is Scope.publish:
        access.require_operator(db, who, "token.create of scope publish")
    with db.write() as tx:
        # Good for no more workspaces than the token that asks.
        life = timedelta(days=request.days)
        made = issue_token(tx, who.user, request.label, request.scope, life, workspace=who.workspace)
        events.append(tx, actor=who.actor, verb="token.create", target=made.token.id, workspace=None,
                      source=who.source, scope=request.scope.value)  # fmt: skip
    return made


def find_tokens(db: Database, who: Principal) -> list[Token]:
    with db.read() as tx:
        return rows.list_tokens(tx, who.user)


def delete_token(db: Database, who: Principal, token_id: str) -> None:
    with db.write() as tx:
        if not rows.delete_token(tx, token_id, who.user):
            raise errors.NotFound(f"You have no token {token_id!r}.", cure="`amasia token list` shows yours.")
        events.append(tx, actor=who.actor, verb="token.delete", target=token_id, workspace=None, source=who.source)
