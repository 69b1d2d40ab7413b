"""A connection until it is known what it is for: the head of one HTTP/1.1 request."""

import asyncio
import json
from http import HTTPStatus

import h11

from amasia import errors
from amasia.gateway.splices import as_transport

LONGEST = 64 << 10
"""Bytes of a head."""
PATIENCE = 15.0
"""Seconds until it must be whole."""


class Arrival(asyncio.Protocol):
    """Reads a request's head, and then nothing more until somebody else takes the connection over."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.rest = b""
        """What came after the head."""
        self._head: asyncio.Future[h11.Request] = asyncio.get_running_loop().create_future()
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = as_transport(transport)

    def data_received(self, data: bytes) -> None:
        if self._head.done():
            self.rest += data
            return
        try:
            self._parser.receive_data(data)
            event = self._parser.next_event()
        except h11.RemoteProtocolError as error:
            self._head.set_exception(errors.InvalidRequest(f"No HTTP request that can be read: {error}."))
            return
        if isinstance(event, h11.Request):
            self.transport.pause_reading()
            self.rest = self._parser.trailing_data[0]
            self._head.set_result(event)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._head.done():
            self._head.cancel()

    async def head(self) -> h11.Request:
        async with asyncio.timeout(PATIENCE):
            return await self._head

    def switch(self, protocol: str) -> None:
        """Agree to what the request's head asked for."""
        self.transport.write(
            f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n".encode()
        )

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """The whole answer, and the end of the connection."""
        if self.transport.is_closing():
            return
        told = {"Content-Length": str(len(body)), "Connection": "close", "Cache-Control": "no-store"}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self.transport.write(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode() + body)
        self.transport.close()

    def refuse(self, error: errors.AmasiaError) -> None:
        self.answer(error.status, json.dumps(errors.to_wire(error)).encode(), Content_Type="application/json")


def headers(request: h11.Request) -> dict[str, str]:
    """By lower-case name; of repeated ones the last."""
    return {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}


def bearer(request: h11.Request) -> str:
    scheme, _, secret = headers(request).get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def source(arrival: Arrival) -> str:
    peer = arrival.transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
