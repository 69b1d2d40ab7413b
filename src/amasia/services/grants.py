"""Who may do what with one repository: asked here by every route, and said here by a repository's admins."""

from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events, groups, secrets, users
from amasia.database import grants as rows
from amasia.database import repositories as repository_rows
from amasia.database.engine import Database
from amasia.models.grants import EVERYONE, PUBLIC, SCOPES, Grant, Level, check_grantee
from amasia.models.repositories import Repository
from amasia.models.users import SERVICE, Principal
from amasia.services.access import deny


def require(
    db: Database, who: Principal, workspace: str, name: str, level: Level, verb: str, *, public: bool = False
) -> Repository:
    """The repository, where somebody has at least this level on it; else an error and an event.

    Whoever may not read it learns nothing, not even that it exists.

    Parameters
    ----------
    verb
        For the event of a denial, such as ``repository.read``.
    public
        Whether what is granted to all the world counts: only for reading, and only on routes that say so.

    Raises
    ------
    NotFound
        There is none, or none that they may see.
    PermissionDenied
        They may see it, and not do this.
    NotSignedIn
        Without a token, whatever there is.
    """
    if SCOPES[who.scope].rank < Level.read.rank:
        deny(db, who, None, verb, f"{workspace}/{name}")
        raise errors.PermissionDenied(
            f"A token of scope {who.scope.value!r} opens no repositories.", cure="Use a token of scope 'everything'."
        )
    with db.read() as tx:
        found = rows.find_repository(tx, who, workspace, name, public=public)
        member = not who.anonymous and users.role(tx, workspace, who.user) is not None
    mine = found[1] if found else Level.none
    if found and mine.rank >= level.rank:
        return found[0]
    if who.anonymous:
        raise errors.NotSignedIn(
            f"{workspace}/{name} is not there without an account.", cure="Sign in with `amasia login`."
        )
    deny(db, who, workspace if member else None, verb, f"{workspace}/{name}")
    if mine is Level.none:
        raise errors.NotFound(
            f"There is no repository {workspace}/{name} that {who.user} may see.",
            cure=f"`amasia repo list` shows what there is; `amasia repo create {workspace}/{name}` makes it.",
        )
    if SCOPES[who.scope].rank < level.rank:
        raise errors.PermissionDenied(
            f"A token of scope {who.scope.value!r} does not allow {verb}.", cure="Use a token of scope 'everything'."
        )
    raise errors.PermissionDenied(
        f"{verb} on {workspace}/{name} needs the level {level.value!r}, and {who.user} has {mine.value!r}.",
        cure=f"Ask an admin of it: `amasia grant list {workspace}/{name}` shows who is.",
    )


def level(db: Database, who: Principal, workspace: str, name: str) -> Level:
    """What somebody may do with a repository; none where there is none."""
    with db.read() as tx:
        found = rows.find_repository(tx, who, workspace, name, public=True)
    return found[1] if found else Level.none


def visible(db: Database, who: Principal, workspace: str) -> list[Repository]:
    """The repositories of a workspace that somebody may read.

    Raises
    ------
    NotFound, NotSignedIn
        They are no member, and none of it is public.
    """
    with db.read() as tx:
        found = repository_rows.every_of(tx, workspace, rows.visible(who))
        member = users.role(tx, workspace, who.user) is not None and who.workspace in (None, workspace)
    if SCOPES[who.scope] is Level.none and not who.anonymous:
        deny(db, who, None, "repository.list", workspace)
        raise errors.PermissionDenied(f"A token of scope {who.scope.value!r} lists no repositories.")
    if found or (member and not who.anonymous):
        return found
    if who.anonymous:
        raise errors.NotSignedIn(
            f"Nothing of {workspace!r} is there without an account.", cure="Sign in with `amasia login`."
        )
    deny(db, who, None, "repository.list", workspace)
    raise errors.NotFound(
        f"There is no workspace {workspace!r} that {who.user} is a member of.",
        cure="`amasia workspace list` shows yours.",
    )


def find(db: Database, repository: Repository) -> list[Grant]:
    """What was said about a repository; owners and admins of its workspace may everything besides."""
    with db.read() as tx:
        return rows.find(tx, repository.id)


def put(db: Database, who: Principal, repository: Repository, grantee: str, level: Level) -> Grant:
    """Say what somebody may do with it; it counts from the next request, and from the next lending of credentials."""
    _check(grantee)
    if grantee == PUBLIC and level not in (Level.none, Level.read):
        raise errors.InvalidRequest(
            f"What is public can be read, and not be of level {level.value!r}.", cure="Grant 'read' to public."
        )
    with db.write() as tx:
        check_there(tx, repository.workspace, grantee)
        rows.put(tx, repository.id, grantee, level, who.user)
        _say(tx, who, "grant.set", repository, grantee=grantee, level=level.value)
        made = rows.find(tx, repository.id)
    return next(grant for grant in made if grant.grantee == grantee)


def remove(db: Database, who: Principal, repository: Repository, grantee: str) -> None:
    with db.write() as tx:
        if not rows.remove(tx, repository.id, grantee):
            raise errors.NotFound(
                f"Nothing is granted to {grantee!r} on {repository.full_name}.",
                cure=f"`amasia grant list {repository.full_name}` shows what is.",
            )
        _say(tx, who, "grant.remove", repository, grantee=grantee)


def forget(tx: Connection, user: str, workspace: str | None = None) -> None:
    """End what a user has by grants and groups, and their secrets, in one workspace or everywhere."""
    secrets.forget(tx, workspace, f"user:{user}", f"account:{user}")
    rows.remove_grantee(tx, workspace, f"user:{user}", f"account:{user}")
    groups.remove_member(tx, user, workspace)


def _check(grantee: str) -> None:
    try:
        check_grantee(grantee)
    except ValueError as error:
        raise errors.InvalidRequest(f"{error}.", cure="For example: --to user:ada") from None


def check_there(tx: Connection, workspace: str, grantee: str) -> None:
    """Refuse whom a workspace does not have."""
    if grantee in (EVERYONE, PUBLIC):
        return
    kind, _, name = grantee.partition(":")
    if kind == "group":
        if groups.find(tx, workspace, name) is None:
            raise errors.NotFound(
                f"There is no group {name!r} in {workspace!r}.", cure=f"Make it: amasia group create {name}"
            )
        return
    user = users.find_user(tx, name)
    fits = user is not None and (user.issuer == SERVICE) == (kind == "account")
    if not fits or users.role(tx, workspace, name) is None:
        raise errors.NotFound(
            f"{grantee} is no member of {workspace!r}.",
            cure=f"`amasia workspace add {name} guest` lets somebody in who then has nothing but grants.",
        )


def _say(tx: Connection, who: Principal, verb: str, repository: Repository, **detail: Any) -> None:
    events.append(tx, actor=who.actor, verb=verb, target=repository.full_name, workspace=repository.workspace,
                  source=who.source, **detail)  # fmt: skip
