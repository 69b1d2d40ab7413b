"""The tenant: its members and its first bucket, budget and location."""

from collections.abc import Sequence

from sqlalchemy import Connection

from amasia import errors
from amasia.database import budgets, events, locations, users
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.budgets import Budget
from amasia.models.locations import Location, Offer
from amasia.models.permissions import Permission, Role, may
from amasia.models.repositories import Bucket, BucketKind
from amasia.models.users import SERVICE, Membership, Principal
from amasia.models.workspaces import PolicyRequest, Workspace, WorkspaceRequest
from amasia.services import removals
from amasia.services.access import denials

EMBEDDED_BUCKET = "embedded"


def create(
    db: Database, who: Principal, request: WorkspaceRequest, *, limit: int, offers: Sequence[Offer] = ()
) -> Workspace:
    """Make a workspace, its maker the owner, with the local location, the embedded bucket and a budget."""
    workspace = Workspace(name=request.name, currency=request.currency, created_at=now())
    with db.write() as tx:
        if users.find_workspace(tx, workspace.name):
            raise errors.Conflict(f"There is a workspace {workspace.name!r} already.", cure="Choose another name.")
        users.add_workspace(tx, workspace)
        users.set_member(tx, Membership(workspace=workspace.name, user=who.user, role=Role.owner))
        budgets.create(tx, new_id("bu"), Budget(workspace=workspace.name, limit=limit, owner=who.user))
        locations.put_location(
            tx, Location(workspace=workspace.name, name="local", provider="local", offers=tuple(offers))
        )
        embedded = Bucket(workspace=workspace.name, name=EMBEDDED_BUCKET, kind=BucketKind.embedded, uri="s3://amasia")
        locations.add_bucket(tx, embedded, db.seal(tx, "{}"))
        events.append(tx, actor=who.actor, verb="workspace.create", target=workspace.name, workspace=workspace.name,
                      source=who.source, limit=limit)  # fmt: skip
    return workspace


def find(db: Database, who: Principal) -> list[Workspace]:
    with db.read() as tx:
        return users.workspaces_of(tx, who.user)


def get(db: Database, name: str) -> Workspace:
    with db.read() as tx:
        found = users.find_workspace(tx, name)
    if found is None:
        raise errors.NotFound(f"There is no workspace {name!r}.", cure="`amasia workspace list` shows yours.")
    return found


def members(db: Database, workspace: str) -> list[Membership]:
    with db.read() as tx:
        return users.members(tx, workspace)


def set_policy(db: Database, who: Principal, workspace: str, request: PolicyRequest) -> Workspace:
    """Say what it allows itself, from now on: what runs is left as it is."""
    with db.write() as tx:
        said = request.model_dump(exclude_none=True)
        if said:
            users.update_workspace(tx, workspace, **said)
            events.append(tx, actor=who.actor, verb="workspace.policy", target=workspace, workspace=workspace,
                          source=who.source, **said)  # fmt: skip
        return users.get_workspace(tx, workspace)


def set_member(db: Database, who: Principal, mine: Role, member: Membership) -> Membership:
    with denials(db, who, member.workspace, "member.set", member.user), db.write() as tx:
        if not users.find_user(tx, member.user):
            raise errors.NotFound(f"There is no user {member.user!r}.", cure="An operator can make one.")
        found = users.find_user(tx, member.user)
        if found and found.issuer == SERVICE and not found.subject.startswith(f"{member.workspace}/"):
            raise errors.Conflict(f"{member.user!r} is a service account of another workspace.")
        before = _locked_role(tx, member.workspace, member.user)
        _check_owners(tx, mine, before, member.role, member.workspace)
        users.set_member(tx, member)
        events.append(tx, actor=who.actor, verb="member.set", target=member.user, workspace=member.workspace,
                      source=who.source, role=member.role.value)  # fmt: skip
    return member


def remove_member(db: Database, who: Principal, mine: Role, workspace: str, user: str) -> None:
    """End a membership, and within seconds all that hung on it; see `services.removals`."""
    with denials(db, who, workspace, "member.remove", user), db.write() as tx:
        before = _locked_role(tx, workspace, user)
        if before is None:
            raise errors.NotFound(f"{user!r} is no member of {workspace!r}.")
        _check_owners(tx, mine, before, None, workspace)
        removals.leave(tx, workspace, user)
        events.append(tx, actor=who.actor, verb="member.remove", target=user, workspace=workspace, source=who.source)


def _locked_role(tx: Connection, workspace: str, user: str) -> Role | None:
    """Somebody's role, which stays what it is: of two owners who unmake each other the second counts what is left."""
    budgets.workspace(tx, workspace, lock=True)
    return users.role(tx, workspace, user)


def _check_owners(tx: Connection, mine: Role, before: Role | None, after: Role | None, workspace: str) -> None:
    if Role.owner not in (before, after):
        return
    if not may(mine, Permission.own):
        raise errors.PermissionDenied("Only an owner makes or unmakes owners.", cure="Ask an owner of the workspace.")
    owners = sum(member.role is Role.owner for member in users.members(tx, workspace))
    if before is Role.owner and after is not Role.owner and owners == 1:
        raise errors.Conflict("A workspace keeps at least one owner.", cure="Make another member owner first.")
