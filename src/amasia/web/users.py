"""Sign in, sign out."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from amasia import errors
from amasia.models.identities import Invitation
from amasia.models.users import SignIn
from amasia.services import identities, users
from amasia.settings import Issuer
from amasia.web import pages
from amasia.web.access import HOME, Db, Settings, cookie_name, forget, keep, local, principal, source
from amasia.web.oidc import INVITATION

router = APIRouter(prefix="/-")


@router.get("/sign-in")
def form(request: Request, next: str = HOME) -> Response:
    return _page(request, next=local(next))


@router.post("/sign-in")
def sign_in(
    request: Request,
    db: Db,
    settings: Settings,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = HOME,
) -> Response:
    life = timedelta(seconds=settings.session_seconds)
    try:
        made = users.sign_in(db, _read(name, password), source(request), life, settings.session_idle_seconds)
    except (errors.NotSignedIn, errors.TooOften) as error:
        return _page(request, status=error.status, next=local(next), name=name, error=error)
    answer = RedirectResponse(local(next), status_code=303)
    keep(answer, settings, made.secret)
    return answer


@router.post("/sign-out")
def sign_out(request: Request, db: Db, settings: Settings) -> Response:
    """Delete the token, here and in the browser; repeatable."""
    answer = RedirectResponse("/-/sign-in", status_code=303)
    forget(answer, settings)
    if request.cookies.get(cookie_name(settings)):
        try:
            who = principal(request)
            users.delete_token(db, who, who.token_id)
        except (errors.NotSignedIn, errors.NotFound):
            return answer
    return answer


@router.get("/invitation")
def invitation(request: Request) -> Response:
    return pages.render(request, "invitation.html", error=None)


@router.post("/invitation")
def take_invitation(request: Request, db: Db, code: Annotated[str, Form()] = "") -> Response:
    """Remember the code on the way to an issuer, whose answer says who brought it."""
    try:
        found = identities.invited(db, code, source(request))
    except (errors.NotFound, errors.TooOften) as error:
        return pages.render(request, "invitation.html", status=error.status, error=error)
    request.session[INVITATION] = code.strip()
    return _page(request, next=HOME, invitation=found)


def _page(
    request: Request,
    *,
    next: str,
    status: int = 200,
    name: str = "",
    error: errors.AmasiaError | None = None,
    invitation: Invitation | None = None,
) -> Response:
    known: dict[str, Issuer] = request.app.state.providers.issuers
    data: dict[str, Any] = {"next": next, "name": name, "error": error, "invitation": invitation}
    return pages.render(request, "sign-in.html", status=status, providers=list(known.values()), **data)


def _read(name: str, password: str) -> SignIn:
    try:
        return SignIn(name=name.strip(), password=password, label="console")
    except ValidationError:
        # What is no name is nobody's name; the same answer as for a wrong one.
        raise errors.NotSignedIn(
            "Name or password is wrong.", cure="On the computer of the control plane, `amasia console` shows both."
        ) from None
