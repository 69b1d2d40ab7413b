"""Sign in, who am I, tokens, users."""

from typing import Annotated

from fastapi import APIRouter, Request

from amasia import __version__
from amasia.api.access import Db, anyone, operator, person, source
from amasia.models.base import Page
from amasia.models.users import (
    Me,
    NewToken,
    PasswordRequest,
    PasswordReset,
    Principal,
    SignIn,
    Token,
    TokenRequest,
    User,
    UserRequest,
)
from amasia.services import users

router = APIRouter(tags=["people"])

Reader = Annotated[Principal, person(writing=False)]
Writer = Annotated[Principal, person(writing=True)]


@router.post("/sign-in", dependencies=[anyone()])
def sign_in(db: Db, request: Request, body: SignIn) -> NewToken:
    return users.sign_in(db, body, source(request))


@router.get("/me")
def me(db: Db, who: Reader) -> Me:
    return users.me(db, who, __version__)


@router.get("/tokens")
def find_tokens(db: Db, who: Reader) -> Page[Token]:
    return Page(items=tuple(users.find_tokens(db, who)))


@router.post("/tokens", status_code=201)
def create_token(db: Db, who: Writer, body: TokenRequest) -> NewToken:
    return users.create_token(db, who, body)


@router.delete("/tokens/{token_id}", status_code=204)
def delete_token(db: Db, who: Writer, token_id: str) -> None:
    users.delete_token(db, who, token_id)


@router.get("/users", dependencies=[operator("user.list")])
def find_users(db: Db) -> Page[User]:
    return Page(items=tuple(users.find(db)))


@router.post("/users", status_code=201)
def create_user(db: Db, who: Annotated[Principal, operator("user.create")], body: UserRequest) -> User:
    return users.create(db, who, body)


@router.put("/me/password", status_code=204)
def change_password(db: Db, who: Writer, body: PasswordRequest) -> None:
    users.change_password(db, who, body)


@router.put("/users/{user}/password", status_code=204)
def reset_password(
    db: Db, who: Annotated[Principal, operator("user.password")], user: str, body: PasswordReset
) -> None:
    users.reset_password(db, who, user, body)


@router.delete("/users/{user}", status_code=204)
def remove_user(db: Db, who: Annotated[Principal, operator("user.remove")], user: str) -> None:
    users.remove(db, who, user)
