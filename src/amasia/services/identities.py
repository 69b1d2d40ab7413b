"""Who an issuer vouches for becomes a user here, with the memberships that their claims give."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events, failures, users
from amasia.database import identities as rows
from amasia.database.engine import Database
from amasia.models.base import NAME, new_id, now
from amasia.models.events import Outcome
from amasia.models.identities import Claims, Identity, Invitation, InvitationRequest, NewInvitation
from amasia.models.users import ANONYMOUS, HOUSE, SERVICE, NewToken, Principal, Scope, User
from amasia.services import claims as rules
from amasia.services.access import digest, issue_token, new_secret
from amasia.settings import Issuer, ServerSettings

WINDOW = timedelta(minutes=15)
TRIES = 20
"""Wrong codes from one place within the window."""


def sign_in(
    db: Database, settings: ServerSettings, issuer: Issuer, claims: Claims, source: str, *, code: str = ""
) -> NewToken:
    """A session for whoever the issuer vouched for; ``code`` is of an invitation.

    Raises
    ------
    PermissionDenied
        The sign-up policy does not let them in, or their account was ended.
    """
    with db.write() as tx:
        given = rules.given(tx, issuer.rules, claims.said)
        user = _user(tx, settings, claims, code, welcome=bool(given))
        if isinstance(user, User):
            identity = _identity(claims, user.name)
            rows.put(tx, identity)
            rows.gives(tx, identity, given)
            rules.follow(tx, user.name)
            if not _lives_by_claims(settings, user, claims) or users.memberships_of(tx, user.name):
                _say(tx, user.name, "user.sign-in", claims, source)
                life = timedelta(seconds=settings.session_seconds)
                return issue_token(
                    tx, user.name, "console", Scope.everything, life, idle_seconds=settings.session_idle_seconds
                )
            user = "none of its claims gives a role in a workspace here"
        _say(tx, ANONYMOUS, "user.sign-in", claims, source, outcome=Outcome.denied, reason=user)
    raise errors.PermissionDenied(
        f"{claims.provider} knows you as {claims.email or claims.name or claims.subject}, but {user}.",
        cure="Ask an operator of this control plane to let you in.",
    )


def link(db: Database, who: Principal, claims: Claims) -> Identity:
    """Whoever is signed in may from now on sign in by this identity too.

    Raises
    ------
    Conflict
        It is another user's.
    """
    with db.write() as tx:
        found = rows.find(tx, claims.issuer, claims.subject)
        if found is not None and found.user != who.user:
            raise errors.Conflict(
                f"This identity of {claims.provider} is another user's already.", cure="Sign in with it to be them."
            )
        if found is not None:
            return found  # it is there already, and this no sign-in by it: what its claims gave lapses as it would
        made = _identity(claims, who.user)
        rows.put(tx, made)
        _say(tx, who.user, "identity.link", claims, who.source)
    return made


def find(db: Database, who: Principal) -> list[Identity]:
    """One's own."""
    with db.read() as tx:
        return rows.of_user(tx, who.user)


def invite(db: Database, who: Principal, request: InvitationRequest, url: str) -> NewInvitation:
    """A code that lets somebody sign in as this user by an identity of theirs. The one before ends."""
    code = new_secret()
    invitation = Invitation(
        user=request.name, created_by=who.user, created_at=now(), expires_at=now() + timedelta(days=request.days)
    )
    with db.write() as tx:
        user = users.find_user(tx, request.name)
        if user is None:
            user = _new(tx, request.name, "", "")
        if user.issuer in (SERVICE, HOUSE):
            raise errors.Conflict(f"{user.name!r} is no person.", cure="Choose another name.")
        rows.invite(tx, invitation, digest(code))
        events.append(tx, actor=who.actor, verb="user.invite", target=user.name, workspace=None, source=who.source)
    return NewInvitation(user=user, invitation=invitation, code=code, url=f"{url}/-/invitation")


def invited(db: Database, code: str, source: str) -> Invitation:
    """Whom a code is for.

    Raises
    ------
    NotFound, TooOften
    """
    key, before = f"invitation source:{source}", now() - WINDOW
    with db.write() as tx:
        over = failures.add(tx, key, before) > TRIES
        found = None if over else rows.invited(tx, digest(code.strip()))
        if found is not None:
            failures.take_back(tx, key)
    if over:
        raise errors.TooOften(
            f"There were too many wrong codes from {source or 'there'}.", cure="Wait a quarter of an hour."
        )
    if found is None:
        raise errors.NotFound("There is no such invitation any more.", cure="Ask whoever invited you for a new one.")
    return found


def _user(tx: Connection, settings: ServerSettings, claims: Claims, code: str, *, welcome: bool) -> User | str:
    """Who they are here, made where the policy lets them in; or why not."""
    invitation = rows.invited(tx, digest(code)) if code and settings.sign_up != "closed" else None
    if invitation is not None and (user := users.find_user(tx, invitation.user)):
        rows.end_invitation(tx, user.name)
        return user
    known = rows.find(tx, claims.issuer, claims.subject)
    if known is not None:
        return users.find_user(tx, known.user) or "your account here was ended"
    match settings.sign_up:
        case "closed":
            return "nobody becomes a user here by signing in"
        case "invited":
            return "only who was invited becomes a user here"
        case "claims" if not welcome:
            return "none of its claims gives a role in a workspace here"
    return _new(tx, _free(tx, claims), claims.issuer, claims.subject)


def _lives_by_claims(settings: ServerSettings, user: User, claims: Claims) -> bool:
    """Whether claims alone made the account, so that without any there is no sign-in."""
    return settings.sign_up == "claims" and user.issuer == claims.issuer


def _new(tx: Connection, name: str, issuer: str, subject: str) -> User:
    if users.is_taken(tx, name) or name == ANONYMOUS:
        raise errors.Conflict(f"The name {name!r} is taken already.", cure="Choose another name.")
    made = User(id=new_id("us"), name=name, subject=name, created_at=now())
    if issuer:
        made = made.model_copy(update={"issuer": issuer, "subject": subject})
    users.add_user(tx, made, None)
    return made


def _free(tx: Connection, claims: Claims) -> str:
    """A name that nobody has or had: as the issuer says, as far as that is a name here."""
    said = (claims.name or claims.email).partition("@")[0].lower()
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in said).strip("-")[:40]
    base = plain.strip("-") if NAME.fullmatch(plain.strip("-")) else "user"
    tries = (base, *(f"{base}-{number}" for number in range(2, 20)), new_id(base))
    return next(name for name in tries if name != ANONYMOUS and not users.is_taken(tx, name))


def _identity(claims: Claims, user: str) -> Identity:
    at = now()
    return Identity(
        issuer=claims.issuer,
        subject=claims.subject,
        user=user,
        provider=claims.provider,
        email=claims.email,
        created_at=at,
        last_used_at=at,
    )


def _say(
    tx: Connection,
    user: str,
    verb: str,
    claims: Claims,
    source: str,
    outcome: Outcome = Outcome.done,
    **detail: Any,
) -> None:
    events.append(tx, actor=user, verb=verb, target=user, workspace=None, source=source, outcome=outcome,
                  issuer=claims.issuer, subject=claims.subject, **detail)  # fmt: skip
