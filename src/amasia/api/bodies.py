"""How long a request may be: known before anybody is asked who they are, so that nobody fills the memory."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amasia.services.environments import MAX_ARTIFACT

LONGEST = 8 << 20
"""Bytes of a request that is no artifact."""
SLACK = 1 << 20
"""So that an artifact that is a little too long is refused by its own route, in its own words."""


class Limited:
    """The application with requests that end in 413 as soon as they are seen to be too long."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = MAX_ARTIFACT + SLACK if "/artifacts/" in scope["path"] else LONGEST
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise HTTPException(413, f"the request has more than {limit} bytes")
            return message

        return await self.app(scope, counted, send)
