"""Requests of the API are counted, and those that are too many answered at once; see `services.rates`."""

import hashlib

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from amasia import errors
from amasia.api import answers
from amasia.models.users import Principal
from amasia.services.rates import Rates


def count(request: Request, who: Principal, workspace: str = "") -> None:
    """Refuse whoever has asked too often; people without an account are counted by `visits`.

    Raises
    ------
    TooOften
        With the seconds to wait, which the answer's head has too.
    """
    if who.anonymous:
        return
    rates: Rates = request.app.state.rates
    try:
        rates.check(who.user, workspace if who.workspace in (None, workspace) else "")
    except errors.TooOften:
        rates.shut(_key(request.scope))
        raise


class Paced:
    """The application, which does not even look at requests of a token that was refused a moment ago."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self.app, self._rates = app, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._rates.is_shut(_key(scope)):
            error = errors.TooOften("Too many requests came with this token.", cure="Ask less often.", retry_after=1)
            return await answers.answer(error)(scope, receive, send)
        return await self.app(scope, receive, send)


def _key(scope: Scope) -> bytes:
    """The token, and how the path begins: what a machine says of itself is not held up by what its owner asks."""
    token = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    begin = "/".join(scope["path"].split("/", 4)[2:4])
    return hashlib.sha256(token + b"\0" + begin.encode(errors="replace")).digest()
