"""How errors become answers: those of the libraries in our form, and a bug as an id in the log."""

import secrets
from collections.abc import Callable

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from xpublish_tiles.lib import UnsupportedGridError

from amasia import errors
from amasia.integrations.publishing.bounds import allowance

log = structlog.get_logger()

UNFIT = (ValueError, KeyError, IndexError, TypeError, NotImplementedError, AttributeError, RuntimeError,
         UnsupportedGridError)  # fmt: skip
"""What libraries raise where a dataset or a question is none that they can deal with."""


def install(app: FastAPI) -> None:
    app.add_exception_handler(errors.AmasiaError, _known)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(MemoryError, _full)
    for kind in UNFIT:
        app.add_exception_handler(kind, _unfit)
    app.add_exception_handler(Exception, _bug)


def answer(error: errors.AmasiaError) -> JSONResponse:
    headers = {"WWW-Authenticate": 'Bearer, Basic realm="amasia"'} if error.status == 401 else {}
    return JSONResponse(errors.to_wire(error), status_code=error.status, headers=headers)


def fitting[T](protocol: str, look: Callable[[], T]) -> T:
    """What a library makes of a dataset's grid; or that it can make nothing of it."""
    try:
        return look()
    except errors.AmasiaError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise errors.DataRejected(
            f"{protocol} cannot serve this grid ({_first_line(error)}).",
            cure="It wants longitudes and latitudes that CF attributes tell. OPeNDAP serves arrays of every shape.",
        ) from error


async def _known(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.AmasiaError)
    return answer(error)


async def _unreadable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in error.errors())
    return answer(errors.InvalidRequest(f"The request cannot be read: {wrong}.", cure="Correct it."))


async def _http(request: Request, error: Exception) -> JSONResponse:
    """What a library refused, in our form. Those that swallow every error are asked what it was."""
    assert isinstance(error, HTTPException)
    refusal = _refusal()
    if refusal:
        return answer(refusal)
    if error.status_code >= 500:
        return await _unfit(request, error)
    kind = errors.NotFound if error.status_code == 404 else errors.InvalidRequest
    return JSONResponse(errors.to_wire(kind(str(error.detail))), status_code=error.status_code, headers=error.headers)


async def _unfit(request: Request, error: Exception) -> JSONResponse:
    refusal = _refusal()
    if refusal:
        return answer(refusal)
    log.warning("unfit", path=request.url.path, exc_info=error)
    return answer(
        errors.DataRejected(
            f"The data and the question do not go together ({_first_line(error) or type(error).__name__}).",
            cure="Is it a question that this data has an answer to? The protocol's own description is at its address.",
        )
    )


async def _full(_: Request, __: Exception) -> JSONResponse:
    return answer(errors.TooLarge("This request needs more memory than there is.", cure="Ask for less."))


async def _bug(request: Request, error: Exception) -> JSONResponse:
    refusal = _refusal()
    if refusal:
        return answer(refusal)
    bug = secrets.token_hex(4)
    log.error("bug", id=bug, path=request.url.path, exc_info=error)
    told = errors.AmasiaError(f"This is a bug in Amasia (id {bug}).", cure="The log of the publishing process tells.")
    return answer(told)


def _refusal() -> errors.AmasiaError | None:
    found = allowance()
    return found.refusal if found else None


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:300]
