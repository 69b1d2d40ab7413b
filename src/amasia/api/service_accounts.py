"""Service accounts of a workspace, and their tokens."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Grant, may
from amasia.models.base import Page
from amasia.models.grants import Account, AccountRequest
from amasia.models.permissions import Permission
from amasia.models.users import NewToken, Token, TokenRequest
from amasia.services import service_accounts

router = APIRouter(prefix="/workspaces/{workspace}/accounts", tags=["service accounts"])

Manager = Annotated[Grant, may(Permission.manage, "account.change")]


@router.get("", dependencies=[may(Permission.people, "account.list")])
def find(db: Db, workspace: str) -> Page[Account]:
    return Page(items=tuple(service_accounts.find(db, workspace)))


@router.post("", status_code=201)
def create(db: Db, workspace: str, grant: Manager, body: AccountRequest) -> Account:
    return service_accounts.create(db, grant.who, workspace, body)


@router.delete("/{account}", status_code=204)
def delete(db: Db, workspace: str, account: str, grant: Manager) -> None:
    service_accounts.delete(db, grant.who, workspace, account)


@router.get("/{account}/tokens", dependencies=[may(Permission.manage, "account.tokens")])
def find_tokens(db: Db, workspace: str, account: str) -> Page[Token]:
    return Page(items=tuple(service_accounts.find_tokens(db, workspace, account)))


@router.post("/{account}/tokens", status_code=201)
def create_token(db: Db, workspace: str, account: str, grant: Manager, body: TokenRequest) -> NewToken:
    return service_accounts.create_token(db, grant.who, workspace, account, body)


@router.delete("/{account}/tokens/{token_id}", status_code=204)
def delete_token(db: Db, workspace: str, account: str, token_id: str, grant: Manager) -> None:
    service_accounts.delete_token(db, grant.who, workspace, account, token_id)
