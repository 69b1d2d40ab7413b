"""How errors become answers. Nothing but an `AmasiaError` tells anything; the rest gets an id and goes to the log."""

import secrets

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import PydanticSerializationError
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware

from amasia import errors

log = structlog.get_logger()


def install(app: FastAPI) -> None:
    """Call it after the application's other middleware, whose failures are answered too."""
    app.add_exception_handler(errors.AmasiaError, _known)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(UnicodeEncodeError, _half)
    app.add_exception_handler(PydanticSerializationError, _half)
    # As the application's own handler of `Exception`, what it answered would be raised again: the server would log the
    # bug once more and cut the connection, at times before its answer was read.
    app.add_middleware(ExceptionMiddleware, handlers={Exception: _bug})


def answer(error: errors.AmasiaError) -> JSONResponse:
    wait = error.detail.get("retry_after")
    headers = None if wait is None else {"Retry-After": str(wait)}
    return JSONResponse(errors.to_wire(error), status_code=error.status, headers=headers)


async def _known(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.AmasiaError)
    return answer(error)


async def _unreadable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    wrong = [
        {"where": ".".join(str(part) for part in item["loc"]), "what": str(item["msg"]).removeprefix("Value error, ")}
        for item in error.errors()
    ]
    text = "; ".join(f"{item['where']}: {item['what']}" for item in wrong)
    return answer(errors.InvalidRequest(f"The request cannot be read: {text}.", cure="Correct it.", fields=wrong))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return answer(errors.NotFound(f"There is nothing at {request.method} {request.url.path}."))
    problem = errors.InvalidRequest(f"{request.method} {request.url.path}: {error.detail}.")
    return JSONResponse(errors.to_wire(problem), status_code=error.status_code, headers=error.headers)


async def _half(request: Request, error: Exception) -> JSONResponse:
    """JSON can escape half a character (``\\ud800``), which is no text: the database's driver is the first to mind."""
    if "surrogates not allowed" not in str(error):
        return await _bug(request, error)
    return answer(errors.InvalidRequest("The request has half a character in it, which is no text.", cure="Mend it."))


async def _bug(request: Request, error: Exception) -> JSONResponse:
    bug = secrets.token_hex(4)
    log.error("bug", id=bug, method=request.method, path=request.url.path, exc_info=error)
    return answer(
        errors.AmasiaError(
            f"This is a bug in Amasia (id {bug}).", cure="The control plane's log tells more under this id."
        )
    )
