"""Dask's dashboard in the owner's browser: one HTTP request each connection, without the browser's secrets.

What a dashboard shows comes from tasks, so its pages are strangers to the console: they come from another origin
(another port at least), get none of its cookies, and may not be framed. Each request goes down a stream of its own,
and its answer ends with the connection, so that between the two heads nothing has to be understood.
"""

import asyncio
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

import h11

from amasia import errors
from amasia.gateway.arrivals import LONGEST, Arrival, headers
from amasia.gateway.splices import Way

COOKIE = "amasia-dashboard"
DROPPED = frozenset({"cookie", "authorization", "host", "connection", "proxy-authorization", "x-forwarded-for"})
SILENCED = (b"set-cookie:", b"content-security-policy:", b"access-control-", b"clear-site-data:", b"location:")
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


def head(request: h11.Request, cluster_id: str) -> bytes:
    """The request as the dashboard gets it."""
    target = "/" + request.target.decode("ascii").removeprefix(prefix(cluster_id))
    websocket = headers(request).get("upgrade", "").lower() == "websocket"
    kept = [(name, value) for name, value in request.headers if name.decode("ascii") not in DROPPED]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in kept)
    own = f"Host: {headers(request).get('host', '')}\r\nConnection: {'Upgrade' if websocket else 'close'}\r\n"
    return f"GET {target} HTTP/1.1\r\n{own}".encode() + lines + b"\r\n"


class Answer(Way):
    """The dashboard's end: the head of its answer is guarded, all after it is passed on."""

    def __init__(self, own: asyncio.Transport, other: asyncio.Transport) -> None:
        super().__init__(own, other)
        self._head = b""
        self._passed = False

    def data_received(self, data: bytes) -> None:
        if self._passed:
            super().data_received(data)
            return
        self._head += data
        answer, end, rest = self._head.partition(b"\r\n\r\n")
        if not end and len(self._head) > LONGEST:
            self._own.close()
        if end:
            self._passed = True
            super().data_received(guarded(answer) + rest)


def guarded(answer: bytes) -> bytes:
    """An answer's head, without what would reach beyond this dashboard; a relative way on stays."""
    first, *lines = answer.split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(SILENCED) or _is_relative(line)]
    return b"\r\n".join([first, *kept, b""]) + GUARDS.encode() + b"\r\n"


def _is_relative(line: bytes) -> bool:
    name, _, target = line.partition(b":")
    parts = urlsplit(target.strip().decode("latin-1"))
    return name.lower() == b"location" and not (parts.scheme or parts.netloc or parts.path.startswith("/"))
