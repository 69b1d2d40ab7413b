"""Dask's dashboard in the owner's browser: one HTTP request each connection, without the browser's secrets.

What a dashboard shows comes from tasks, so its pages are strangers to the console: they come from another origin
(another port at least), get none of its cookies, and may not be framed. Each request goes down a stream of its own,
and its answer ends with the connection, so that between the two heads nothing has to be understood.
"""

import asyncio
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

import h11

from amasia import errors
from amasia.gateway.arrivals import LONGEST, Arrival, headers
from amasia.gateway.splices import Way

COOKIE = "amasia-dashboard"
DROPPED = frozenset({"cookie", "authorization", "host", "connection", "proxy-authorization", "x-forwarded-for"})
PASSED = frozenset({
    b"accept-ranges", b"cache-control", b"content-encoding", b"content-length", b"content-type", b"date", b"etag",
    b"expires", b"last-modified", b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol",
    b"transfer-encoding", b"upgrade", b"vary",
})  # fmt: skip
"""Of an answer's head: what reaches no further than its page."""
GUARDS = (
    "Content-Security-Policy: default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Opener-Policy: same-origin\r\n"
)
"""Bokeh needs inline scripts and eval; nothing may go to another host."""


def prefix(cluster_id: str) -> str:
    return f"/dashboards/{cluster_id}/"


def ticket(target: str) -> str:
    return parse_qs(urlsplit(target).query).get("ticket", [""])[0]


def cookie(request: h11.Request) -> str:
    try:
        found = SimpleCookie(headers(request).get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def let_in(arrival: Arrival, cluster_id: str, visit: str, *, secure: bool) -> None:
    """Give the browser its cookie, and send it to the first page."""
    kept = f"{COOKIE}={visit}; Path={prefix(cluster_id)}; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
    arrival.answer(303, Location=prefix(cluster_id) + "status", Set_Cookie=kept, Referrer_Policy="no-referrer")


def check(request: h11.Request, *, secure: bool) -> None:
    """Only reading; and a socket only for a page of this very origin."""
    if request.method != b"GET":
        raise errors.PermissionDenied("A dashboard is only looked at.")
    told = headers(request)
    own = f"{'https' if secure else 'http'}://{told.get('host', '')}"
    if "origin" in told and told["origin"] != own:
        raise errors.PermissionDenied(f"{told['origin']} may not look at this dashboard.")


def wants_socket(request: h11.Request) -> bool:
    return headers(request).get("upgrade", "").lower() == "websocket"


def head(request: h11.Request, cluster_id: str) -> bytes:
    """The request as the dashboard gets it."""
    target = "/" + request.target.decode("ascii").removeprefix(prefix(cluster_id))
    kept = [(name, value) for name, value in request.headers if name.decode("ascii") not in DROPPED]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in kept)
    own = (
        f"Host: {headers(request).get('host', '')}\r\nConnection: {'Upgrade' if wants_socket(request) else 'close'}\r\n"
    )
    return f"GET {target} HTTP/1.1\r\n{own}".encode() + lines + b"\r\n"


class Question(Way):
    """The browser's end, where it wants no socket: its one request was heard, and nothing that follows is passed on."""

    def data_received(self, data: bytes) -> None:
        """A browser that was led to send its next request here does not give it, and its cookies, to the tasks."""


class Answer(Way):
    """The dashboard's end: the head of its answer is read and written anew, all after it is passed on."""

    def __init__(self, own: asyncio.Transport, other: asyncio.Transport, *, socket: bool) -> None:
        super().__init__(own, other)
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST)
        asked = [("Host", "dashboard"), *([("Connection", "Upgrade"), ("Upgrade", "websocket")] if socket else [])]
        self._parser.send(h11.Request(method="GET", target="/", headers=asked))
        self._parser.send(h11.EndOfMessage())
        self._passed = False

    def data_received(self, data: bytes) -> None:
        if self._passed:
            super().data_received(data)
            return
        try:
            self._parser.receive_data(data)
            event = self._parser.next_event()
            while isinstance(event, h11.InformationalResponse) and event.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
                event = self._parser.next_event()
        except h11.RemoteProtocolError:
            self._own.close()
            return
        if isinstance(event, h11.Response | h11.InformationalResponse):
            self._passed = True
            super().data_received(guarded(event) + self._parser.trailing_data[0])


def guarded(answer: h11.Response | h11.InformationalResponse) -> bytes:
    """An answer's head, without what would reach beyond this dashboard; a relative way on stays."""
    kept = [b"HTTP/1.1 %d %s" % (answer.status_code, answer.reason)]
    kept += [name + b": " + value for name, value in answer.headers if name in PASSED or _is_way_on(name, value)]
    switched = isinstance(answer, h11.InformationalResponse)
    kept.append(b"Connection: Upgrade" if switched else b"Connection: close")
    return b"\r\n".join(kept) + b"\r\n" + GUARDS.encode() + b"\r\n"


def _is_way_on(name: bytes, value: bytes) -> bool:
    target = value.decode("latin-1").replace("\\", "/")  # as browsers read it
    parts = urlsplit(target)
    return name == b"location" and not (parts.scheme or parts.netloc or parts.path.startswith("/"))
