"""Streams through the gateway: dialled by agents and by clients, and the carrying of bytes between two sockets."""

import contextlib
import json
import select
import socket
import ssl
from collections import defaultdict
from collections.abc import Callable
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from amasia import errors
from amasia.client import trust
from amasia.models.tunnels import UPGRADE
from amasia.settings import ClientSettings

TIMEOUT = 15.0
"""Seconds for the way to the gateway, and for its answer."""
SIZE = 1 << 20
"""Bytes that one way holds."""
LONGEST = 64 << 10


def dial(url: str, path: str, token: str) -> socket.socket:
    """A stream to what is behind a path of the gateway. Where the way is TLS, so is the socket.

    Raises
    ------
    Unavailable
        The gateway, or what is behind it, does not answer.
    NotSignedIn, PermissionDenied, NotFound, Conflict
        As the gateway says.
    """
    try:
        stream = _connected(url, ClientSettings())
        try:
            stream.sendall(_request(url, path, token))
            head = _head(stream)
            if " 101 " not in head.partition("\r\n")[0]:
                raise _refusal(url, stream, head)
        except BaseException:
            stream.close()
            raise
    except (OSError, ValueError) as error:
        raise errors.Unavailable(
            f"The gateway at {url} did not answer ({type(error).__name__}: {error}).",
            cure="Can this computer reach it? The control plane's AMASIA_GATEWAY_PUBLIC_URL says where it is.",
        ) from error
    stream.settimeout(None)
    return stream


def plain(stream: socket.socket) -> socket.socket:
    """The same stream without the way's TLS: for whoever speaks another TLS inside of it."""
    if not isinstance(stream, ssl.SSLSocket):
        return stream
    near, far = _pair()
    Thread(target=pump, args=(stream, far), name="amasia tunnel", daemon=True).start()
    return near


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either end is done; then close both."""
    with contextlib.closing(one), contextlib.closing(other):
        one.setblocking(False)
        other.setblocking(False)
        ways = (_Way(one, other), _Way(other, one))
        with contextlib.suppress(OSError):
            while not any(way.over for way in ways):
                waits: dict[socket.socket, int] = defaultdict(int)
                moved = [way.move(waits) for way in ways]
                if not any(moved):
                    _wait(waits)


class _Way:
    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.over = False
        self._buffer = memoryview(bytearray(SIZE))
        self._start = self._end = 0

    def move(self, waits: dict[socket.socket, int]) -> bool:
        """Carry what can be carried now, else say what to wait for; whether anything was."""
        moved = self._start == self._end and self._fill(waits)
        if self._start == self._end:
            return moved
        sent = _tried(self.sink, self.sink.send, self._buffer[self._start : self._end], select.POLLOUT, waits)
        self._start += sent or 0
        return moved or bool(sent)

    def _fill(self, waits: dict[socket.socket, int]) -> bool:
        got = _tried(self.source, self.source.recv_into, self._buffer, select.POLLIN, waits)
        if got is None:
            return False
        self._start, self._end, self.over = 0, got, got == 0
        while isinstance(self.source, ssl.SSLSocket) and self.source.pending() and self._end < SIZE:
            more = _tried(self.source, self.source.recv_into, self._buffer[self._end :], select.POLLIN, waits)
            if not more:
                break
            self._end += more
        return True


def _tried(
    stream: socket.socket, call: Callable[[Any], int], data: memoryview, wish: int, waits: dict[socket.socket, int]
) -> int | None:
    """How many bytes; None where it is to be tried again after a wait. TLS may have to read to write, and to write to
    read."""
    try:
        return call(data)
    except BlockingIOError:
        waits[stream] |= wish
    except ssl.SSLWantReadError:
        waits[stream] |= select.POLLIN
    except ssl.SSLWantWriteError:
        waits[stream] |= select.POLLOUT
    return None


def _wait(waits: dict[socket.socket, int]) -> None:
    poll = select.poll()
    for stream, mask in waits.items():
        poll.register(stream, mask)
    poll.poll()


def _connected(url: str, settings: ClientSettings) -> socket.socket:
    parts = urlsplit(url)
    host = parts.hostname or ""
    stream = socket.create_connection((host, parts.port or (443 if parts.scheme == "https" else 80)), TIMEOUT)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if parts.scheme != "https":
        return stream
    try:
        return trust.context(settings.ca).wrap_socket(stream, server_hostname=host)
    except BaseException:
        stream.close()
        raise


def _request(url: str, path: str, token: str) -> bytes:
    parts = urlsplit(url)
    lines = [
        f"GET {parts.path.rstrip('/')}{path} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Authorization: Bearer {token}",
        "Connection: Upgrade",
        f"Upgrade: {UPGRADE}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _head(stream: socket.socket) -> str:
    """Byte by byte: what comes after the head is not ours."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        got = stream.recv(1)
        if not got or len(head) > LONGEST:
            raise ConnectionError("it ended the connection")
        head += got
    return head.decode("latin-1")


def _refusal(url: str, stream: socket.socket, head: str) -> errors.AmasiaError:
    body = b""
    with contextlib.suppress(OSError):
        while len(body) < LONGEST and (piece := stream.recv(LONGEST)):
            body += piece
    with contextlib.suppress(ValueError):
        told = json.loads(body)
        if isinstance(told, dict) and "kind" in told:
            return errors.from_wire(told)
    return errors.Unavailable(
        f"{url} answered {head.partition(chr(13))[0]!r}, as no gateway does.",
        cure="Does a proxy in front of it pass on the header Upgrade?",
    )


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets of TCP, on loopback: Dask sets options that others do not know."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        near = socket.create_connection(server.getsockname())
        while True:
            far, peer = server.accept()
            if peer == near.getsockname():
                break
            far.close()
    for stream in (near, far):  # else a small message waits until the one before it was acknowledged
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far
