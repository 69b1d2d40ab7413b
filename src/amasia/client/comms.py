# mypy: allow-untyped-calls, allow-subclassing-any, disable-error-code="no-untyped-call"
"""Dask's TLS through the gateway: the address ``tunnel://cl-3f9a…``. The certificate checks are Dask's own."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from distributed.comm.core import CommClosedError, FatalCommClosedError
from distributed.comm.registry import backends
from distributed.comm.tcp import MAX_BUFFER_SIZE, TLS, TLSBackend, TLSConnector
from tornado.iostream import IOStream, StreamClosedError

from amasia import errors
from amasia.client import tunnels

SCHEME = "tunnel"
DIRECT = 1.0
"""Seconds that the scheduler's own address has to answer."""


Dial = Callable[[], socket.socket]
_dials: dict[str, Dial] = {}


def address(cluster_id: str, dial: Dial) -> str:
    """An address that Dask in this process can connect to from now on."""
    _dials[cluster_id] = dial
    backends.setdefault(SCHEME, TunnelBackend())
    return f"{SCHEME}://{cluster_id}"


def answers(address: str, context: ssl.SSLContext) -> bool:
    """Whether the scheduler itself answers there: an address of another network may be somebody else's in ours."""
    parts = urlsplit(address)
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 0), DIRECT) as stream,
            context.wrap_socket(stream),
        ):
            return True
    except (OSError, ValueError):
        return False


class TunnelConnector(TLSConnector):
    prefix = f"{SCHEME}://"

    async def connect(self, address: str, deserialize: bool = True, **connection_args: Any) -> TLS:
        self._check_encryption(address, connection_args)
        options = self._get_connect_args(**connection_args)["ssl_options"]
        dialled = await asyncio.to_thread(_dial, address)
        try:
            stream = await IOStream(dialled, max_buffer_size=MAX_BUFFER_SIZE).start_tls(False, options)
        except ssl.SSLError as error:
            raise FatalCommClosedError(f"The scheduler's certificate is not the cluster's: {error}") from error
        except StreamClosedError as error:
            raise CommClosedError(f"The stream to {address} ended: {error}") from error
        return TLS(stream, self.prefix + address, self.prefix + address, deserialize)


class TunnelBackend(TLSBackend):
    _connector_class = TunnelConnector

    def get_address_host(self, loc: str) -> str:
        return loc

    def resolve_address(self, loc: str) -> str:
        return loc


def _dial(cluster_id: str) -> socket.socket:
    try:
        return tunnels.plain(_dials[cluster_id]())
    except errors.Unavailable as error:
        raise CommClosedError(str(error)) from error  # Dask tries again
    except errors.AmasiaError as error:
        raise FatalCommClosedError(str(error)) from error
