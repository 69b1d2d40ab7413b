"""Workspaces and what hangs on them: members, money, buckets."""

from typing import Annotated

from fastapi import APIRouter, Request

from amasia.api.access import Db, Grant, Settings, may, operator, person
from amasia.models.base import Name, Page
from amasia.models.budgets import Budget, BudgetRequest, NewBudget
from amasia.models.money import parse
from amasia.models.permissions import Permission
from amasia.models.repositories import Bucket, BucketRequest
from amasia.models.users import Membership, Principal
from amasia.models.workspaces import MemberRequest, PolicyRequest, Workspace, WorkspaceRequest
from amasia.services import budgets, repositories, workspaces

router = APIRouter(prefix="/workspaces", tags=["workspaces"])

PAGE = 500


@router.get("")
def find(db: Db, who: Annotated[Principal, person(writing=False)]) -> Page[Workspace]:
    return Page(items=tuple(workspaces.find(db, who)))


@router.post("", status_code=201)
def create(
    db: Db, request: Request, who: Annotated[Principal, operator("workspace.create")], body: WorkspaceRequest
) -> Workspace:
    settings = request.app.state.settings
    offers = request.app.state.local_offers
    return workspaces.create(db, who, body, limit=parse(settings.first_budget), offers=offers)


@router.get("/{workspace}/members", dependencies=[may(Permission.people, "member.list")])
def members(db: Db, workspace: str) -> Page[Membership]:
    return Page(items=tuple(workspaces.members(db, workspace)))


@router.put("/{workspace}/members/{user}")
def set_member(
    db: Db,
    workspace: str,
    user: Name,
    grant: Annotated[Grant, may(Permission.manage, "member.set")],
    body: MemberRequest,
) -> Membership:
    member = Membership(workspace=workspace, user=user, role=body.role)
    return workspaces.set_member(db, grant.who, grant.role, member)


@router.delete("/{workspace}/members/{user}", status_code=204)
def remove_member(
    db: Db, workspace: str, user: str, grant: Annotated[Grant, may(Permission.manage, "member.remove")]
) -> None:
    workspaces.remove_member(db, grant.who, grant.role, workspace, user)


@router.put("/{workspace}/policy")
def set_policy(
    db: Db, workspace: str, grant: Annotated[Grant, may(Permission.manage, "workspace.policy")], body: PolicyRequest
) -> Workspace:
    return workspaces.set_policy(db, grant.who, workspace, body)


@router.get("/{workspace}/budget", dependencies=[may(Permission.costs, "budget.get")])
def get_budget(db: Db, workspace: str) -> Budget:
    return budgets.get(db, workspace)


@router.put("/{workspace}/budget")
def set_budget(
    db: Db, workspace: str, grant: Annotated[Grant, may(Permission.budget, "budget.set")], body: BudgetRequest
) -> Budget:
    return budgets.set_limit(db, grant.who, workspace, body)


@router.get("/{workspace}/budgets", dependencies=[may(Permission.costs, "budget.list")])
def find_budgets(db: Db, workspace: str) -> Page[Budget]:
    return Page(items=tuple(budgets.find(db, workspace)))


@router.post("/{workspace}/budgets", status_code=201)
def create_budget(
    db: Db, workspace: str, grant: Annotated[Grant, may(Permission.budget, "budget.create")], body: NewBudget
) -> Budget:
    return budgets.create(db, grant.who, workspace, body)


@router.get("/{workspace}/budgets/{name}", dependencies=[may(Permission.costs, "budget.get")])
def get_named_budget(db: Db, workspace: str, name: str) -> Budget:
    return budgets.get(db, workspace, name)


@router.put("/{workspace}/budgets/{name}")
def set_named_budget(
    db: Db,
    workspace: str,
    name: str,
    grant: Annotated[Grant, may(Permission.budget, "budget.set")],
    body: BudgetRequest,
) -> Budget:
    return budgets.set_limit(db, grant.who, workspace, body, name)


@router.delete("/{workspace}/budgets/{name}", status_code=204)
def delete_budget(
    db: Db, workspace: str, name: str, grant: Annotated[Grant, may(Permission.budget, "budget.delete")]
) -> None:
    budgets.delete(db, grant.who, workspace, name)


@router.get("/{workspace}/buckets", dependencies=[may(Permission.read, "bucket.list")])
def find_buckets(db: Db, workspace: str) -> Page[Bucket]:
    return Page(items=tuple(repositories.find_buckets(db, workspace)))


@router.post("/{workspace}/buckets", status_code=201)
def create_bucket(
    db: Db,
    settings: Settings,
    workspace: str,
    grant: Annotated[Grant, may(Permission.manage, "bucket.create")],
    body: BucketRequest,
) -> Bucket:
    private = settings.private_endpoints
    return repositories.create_bucket(db, grant.who, workspace, body, private_endpoints=private)
