"""Users sign in, make tokens; operators make users."""

from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from amasia import errors
from amasia.database import events
from amasia.database import users as rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.events import Outcome
from amasia.models.users import Me, NewToken, Principal, SignIn, Token, TokenRequest, User, UserRequest
from amasia.services.access import issue_token

SESSION = timedelta(days=30)

_hasher = PasswordHasher()
# Verified against when there is no such user, so that the answer takes as long.
_nobody = _hasher.hash("nobody")


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
        if rows.find_user(tx, user.name):
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


def sign_in(db: Database, request: SignIn, source: str) -> NewToken:
    with db.read() as tx:
        hashed = rows.password_hash(tx, request.name)
    try:
        _hasher.verify(hashed or _nobody, request.password)
    except VerificationError:
        hashed = None
    with db.write() as tx:
        if hashed is not None:
            events.append(tx, actor=request.name, verb="user.sign-in", target=request.name, workspace=None,
                          source=source)  # fmt: skip
            return issue_token(tx, request.name, request.label, TokenRequest().scope, SESSION)
        events.append(tx, actor=request.name, verb="user.sign-in", target=request.name, workspace=None, source=source,
                      outcome=Outcome.denied)  # fmt: skip
    raise errors.NotSignedIn(
        "Name or password is wrong.", cure="On the computer of the control plane, `amasia console` shows both."
    )


def me(db: Database, who: Principal, version: str) -> Me:
    with db.read() as tx:
        user = rows.find_user(tx, who.user)
        assert user is not None
        return Me(user=user, memberships=tuple(rows.memberships_of(tx, who.user)), version=version)


def create_token(db: Database, who: Principal, request: TokenRequest) -> NewToken:
    with db.write() as tx:
        made = issue_token(tx, who.user, request.label, request.scope, timedelta(days=request.days))
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
