"""Publishing: an admin turns it on and off; whoever serves what is published may read that and nothing else."""

from datetime import timedelta

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events, users
from amasia.database import publications as rows
from amasia.database import repositories as repository_rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.publications import Publication, PublicationRequest
from amasia.models.repositories import LeaseRequest, Mode
from amasia.models.users import HOUSE, NewToken, Principal, Scope, User
from amasia.services import grants, repositories
from amasia.services.access import deny, issue_token

PUBLISHER = "amasia.publisher"
"""The account of the publishing process that the control plane starts: in no workspace, with no password."""
LIFE = timedelta(days=366)


def put(db: Database, who: Principal, workspace: str, name: str, request: PublicationRequest) -> Publication:
    """Publish a repository by these protocols and no others."""
    with db.write() as tx:
        repository = repository_rows.find(tx, workspace, name)
        if repository is None:
            raise errors.NotFound(f"There is no repository {workspace}/{name}.", cure="`amasia repo list` shows yours.")
        publication = Publication(
            workspace=workspace,
            repository=name,
            repository_id=repository.id,
            protocols=tuple(dict.fromkeys(request.protocols)),
            public=request.public,
            by=who.user,
            at=now(),
        )
        rows.put(tx, publication)
        events.append(tx, actor=who.actor, verb="publication.set", target=repository.full_name, workspace=workspace,
                      source=who.source, protocols=[each.value for each in publication.protocols],
                      public=request.public)  # fmt: skip
    return publication


def delete(db: Database, who: Principal, workspace: str, name: str) -> None:
    with db.write() as tx:
        publication = _known(tx, workspace, name)
        rows.remove(tx, publication.repository_id)
        events.append(tx, actor=who.actor, verb="publication.delete", target=publication.full_name,
                      workspace=workspace, source=who.source)  # fmt: skip


def get(db: Database, workspace: str, name: str) -> Publication:
    with db.read() as tx:
        return _known(tx, workspace, name)


def look(db: Database, workspace: str, name: str) -> Publication | None:
    """As `get`; None where it is not published."""
    with db.read() as tx:
        return rows.find(tx, workspace, name)


def find(db: Database, who: Principal, workspace: str) -> list[Publication]:
    """What is published of the repositories that somebody may read."""
    seen = {repository.id for repository in grants.visible(db, who, workspace)}
    with db.read() as tx:
        return [one for one in rows.every_of(tx, workspace) if one.repository_id in seen]


def exist(db: Database) -> bool:
    """Whether anything at all is published."""
    with db.read() as tx:
        return rows.count(tx) > 0


def lend(db: Database, who: Principal, workspace: str, name: str) -> repositories.Place:
    """The right to read a published repository, written down in its workspace's audit trail as any lending is."""
    get(db, workspace, name)
    return repositories.lend(db, who, workspace, name, LeaseRequest(mode=Mode.read))


def require_publisher(db: Database, who: Principal, verb: str) -> None:
    if who.scope is Scope.publish:
        return
    deny(db, who, None, verb, "publications")
    raise errors.PermissionDenied(
        "Only the process that serves what is published may ask this.", cure="`amasia publish serve` starts one."
    )


def new_publisher(db: Database) -> NewToken:
    """A token for a publishing process that the control plane starts; the one before it ends."""
    with db.write() as tx:
        if not users.find_user(tx, PUBLISHER):
            user = User(id=new_id("us"), name=PUBLISHER, issuer=HOUSE, subject=PUBLISHER, created_at=now())
            users.add_user(tx, user, None)
        users.delete_tokens_of_person(tx, PUBLISHER)
        made = issue_token(tx, PUBLISHER, "publishing", Scope.publish, LIFE)
        events.append(tx, actor="amasia", verb="token.create", target=made.token.id, workspace=None,
                      scope=Scope.publish.value)  # fmt: skip
    return made


def _known(tx: Connection, workspace: str, name: str) -> Publication:
    found = rows.find(tx, workspace, name)
    if found is None:
        raise errors.NotFound(
            f"No repository {workspace}/{name} is published.",
            cure=f"An admin turns it on: amasia publish on {workspace}/{name} --tiles --edr --opendap",
        )
    return found
