"""Sign in, sign out."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from amasia import errors
from amasia.models.users import SignIn
from amasia.services import users
from amasia.web import pages
from amasia.web.access import HOME, Db, Settings, cookie_name, forget, keep, local, principal, source

router = APIRouter(prefix="/-")


@router.get("/sign-in")
def form(request: Request, next: str = HOME) -> Response:
    return pages.render(request, "sign-in.html", next=local(next), name="", error=None)


@router.post("/sign-in")
def sign_in(
    request: Request,
    db: Db,
    settings: Settings,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = HOME,
) -> Response:
    try:
        made = users.sign_in(db, _read(name, password), source(request))
    except (errors.NotSignedIn, errors.TooOften) as error:
        return pages.render(request, "sign-in.html", status=error.status, next=local(next), name=name, error=error)
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


def _read(name: str, password: str) -> SignIn:
    try:
        return SignIn(name=name.strip(), password=password, label="console")
    except ValidationError:
        # What is no name is nobody's name; the same answer as for a wrong one.
        raise errors.NotSignedIn(
            "Name or password is wrong.", cure="On the computer of the control plane, `amasia console` shows both."
        ) from None
