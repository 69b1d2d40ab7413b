"""How errors become pages, and the headers that every answer of the console carries."""

import secrets
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amasia import errors
from amasia.web import pages
from amasia.web.access import cookie_name, forget, settings

log = structlog.get_logger()

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guarded:
    """The application with `HEADERS` on all it answers, its failures too; pages are never kept by a cache."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


def install(app: FastAPI) -> None:
    """Call it after the application's other middleware, whose failures are answered too."""
    app.add_exception_handler(errors.NotSignedIn, _sign_in_first)
    app.add_exception_handler(errors.AmasiaError, _known)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(ExceptionMiddleware, handlers={Exception: _bug})  # not as a handler: see `api.answers`


async def _sign_in_first(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.NotSignedIn)
    reading = request.method in ("GET", "HEAD")
    if reading and request.headers.get("sec-fetch-site") == "cross-site":
        # A link on another site: the browser kept the strict cookie back. It sends it when this page asks again.
        return Response(headers={"Refresh": "0"}, media_type="text/html")
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    to = f"/-/sign-in?next={quote(wanted if reading else '/')}"
    if request.headers.get("hx-request") == "true":
        return Response(headers={"HX-Redirect": to})
    answer = RedirectResponse(to, status_code=303)
    if cookie_name(settings(request)) in request.cookies:
        forget(answer, settings(request))
    return answer


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.AmasiaError)
    return _page(request, error.status, error)


async def _unreadable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = ", ".join(sorted({str(item["loc"][-1]) for item in error.errors()}))
    problem = errors.InvalidRequest(f"The form cannot be read: {fields}.", cure="Go back and fill it in again.")
    return _page(request, 422, problem)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _page(request, 404, errors.NotFound("There is no such page.", cure="Start from the first page."))
    return _page(request, error.status_code, errors.InvalidRequest(f"{error.detail}."))


async def _bug(request: Request, error: Exception) -> Response:
    bug = secrets.token_hex(4)
    log.error("bug", id=bug, method=request.method, path=request.url.path, exc_info=error)
    problem = errors.AmasiaError(
        f"This is a bug in Amasia (id {bug}).", cure="The control plane's log tells more under this id."
    )
    return _page(request, 500, problem)


def _page(request: Request, status: int, error: errors.AmasiaError) -> Response:
    return pages.render(request, "error.html", status=status, code=status, error=error)
