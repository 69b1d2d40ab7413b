"""A read-only endpoint for language-model tools, at `PATH`. The same tokens and rights as everywhere.

It holds no session: each request carries its token and is judged by it. What may be asked is in `api.tools`, which is
loaded at the first request: its library takes half a second, and most control planes are never asked.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import anyio
from anyio import to_thread
from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from amasia import errors
from amasia.api import answers, rates
from amasia.models.users import Principal
from amasia.services import access

PATH = "/mcp"


def install(app: FastAPI) -> None:
    """Serve it at `PATH`. Its tools live as long as the application does: see `lifespan`."""
    app.router.routes.append(Route(PATH, endpoint=_Signed(app)))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        app.state.mcp = _Tools()
        tasks.start_soon(app.state.mcp.serve, app)
        yield
        tasks.cancel_scope.cancel()


class _Tools:
    """The tools, when they are wanted."""

    inner: ASGIApp

    def __init__(self) -> None:
        self._wanted, self._ready = anyio.Event(), anyio.Event()

    async def serve(self, app: FastAPI) -> None:
        """Load them at the first request, and keep them in this one task, which is where they must end too."""
        await self._wanted.wait()
        tools = await to_thread.run_sync(import_module, "amasia.api.tools")
        async with tools.serving(app, PATH) as self.inner:
            self._ready.set()
            await anyio.sleep_forever()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._wanted.set()
        await self._ready.wait()
        await self.inner(scope, receive, send)


class _Signed:
    """The endpoint behind the API's own way to know who asks."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        source = request.client.host if request.client else ""
        db = self.app.state.db

        def signed() -> Principal:
            who = access.principal(db, secret.strip() if scheme.lower() == "bearer" else "", source)
            rates.count(request, who)
            access.require_person(db, who, PATH, writing=False)
            return who

        try:
            who = await to_thread.run_sync(signed)
        except errors.AmasiaError as error:
            await answers.answer(error)(scope, receive, send)
            return
        scope["amasia.principal"] = who
        await self.app.state.mcp(scope, receive, send)
