"""One's own account: identities, sessions and tokens; and devices that ask to be let in."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from amasia import errors
from amasia.models.devices import Device
from amasia.models.users import NewToken, Scope, TokenRequest
from amasia.services import access, devices, identities, users
from amasia.web import pages
from amasia.web.access import Db, Who

router = APIRouter(prefix="/-")


SCOPES = {Scope.everything: "all that you may", Scope.read: "look, and change nothing"}
"""Those that a page makes, in words."""
DAYS = (7, 30, 90, 366)


@router.get("/account")
def get(request: Request, db: Db, who: Who) -> Response:
    access.require_person(db, who, request.url.path, writing=False)
    return _account(request, db, who)


@router.post("/account/tokens")
def create_token(
    request: Request,
    db: Db,
    who: Who,
    scope: Annotated[Scope, Form()],
    days: Annotated[int, Form(ge=1, le=DAYS[-1])],
    label: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """The page that answers is the only one that ever shows it: neither an address nor a cache holds it."""
    access.require_person(db, who, request.url.path, writing=True)
    if scope not in SCOPES:
        raise errors.InvalidRequest(f"No page makes a token of scope {scope.value!r}.", cure="`amasia token create`")
    wanted = TokenRequest(label=label.strip() or "token", scope=scope, days=days)
    return _account(request, db, who, users.create_token(db, who, wanted))


@router.post("/account/tokens/{token_id}/end")
def end_token(request: Request, db: Db, who: Who, token_id: str) -> Response:
    """A session of one's own, this one too, or a token."""
    access.require_person(db, who, request.url.path, writing=True)
    users.delete_token(db, who, token_id)
    return RedirectResponse("/-/account", status_code=303)


@router.get("/device")
def device(request: Request, db: Db, who: Who, code: str = "") -> Response:
    """Type a code; or see what asks with it, before it is let in."""
    if not code:
        return _page(request, who.user)
    try:
        return _page(request, who.user, code, devices.get(db, who, code))
    except (errors.NotFound, errors.TooOften) as error:
        return _page(request, who.user, code, error=error)


@router.post("/device")
def answer_device(
    request: Request, db: Db, who: Who, code: Annotated[str, Form()] = "", answer: Annotated[str, Form()] = ""
) -> Response:
    access.require_person(db, who, request.url.path, writing=True)
    try:
        found = devices.answer(db, who, code, approve=answer == "approve")
    except (errors.NotFound, errors.TooOften) as error:
        return _page(request, who.user, code, error=error)
    return _page(request, who.user, code, found)


def _account(request: Request, db: Db, who: Who, made: NewToken | None = None) -> Response:
    return pages.render(
        request,
        "account.html",
        who=who,
        identities=identities.find(db, who),
        tokens=users.find_tokens(db, who),
        providers=list(request.app.state.providers.issuers.values()),
        made=made,
        scopes=SCOPES,
        days=DAYS,
    )


def _page(
    request: Request,
    user: str,
    code: str = "",
    found: Device | None = None,
    error: errors.AmasiaError | None = None,
) -> Response:
    status = error.status if error else 200
    return pages.render(request, "device.html", status=status, user=user, code=code, device=found, error=error)
