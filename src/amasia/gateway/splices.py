"""Two connections become one: what comes from either goes out at the other."""

import asyncio
from typing import cast

HELD = 4 << 20
"""Bytes of one way that may wait for a slow reader before its writer is asked to wait."""


class Way(asyncio.Protocol):
    """One end of a spliced pair. Bytes are passed on as they come, with the pace of the slower end."""

    def __init__(self, own: asyncio.Transport, other: asyncio.Transport) -> None:
        self._own, self._other = own, other

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def pause_writing(self) -> None:
        """This end does not take more for now: the other one is not read."""
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.is_closing():
            self._other.resume_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._other.close()


def splice(one: asyncio.Transport, first: bytes, other: asyncio.Transport, second: bytes) -> None:
    """Join two connections; ``first`` and ``second`` were read from them already."""
    if one.is_closing() or other.is_closing():
        one.close()
        other.close()
        return
    for transport, peer in ((one, other), (other, one)):
        transport.set_write_buffer_limits(high=HELD)
        transport.set_protocol(Way(transport, peer))
    other.write(first)
    one.write(second)
    for transport in (one, other):
        _read_on(transport)


def _read_on(transport: asyncio.Transport) -> None:
    if not transport.is_closing() and not transport.is_reading():
        transport.resume_reading()


def as_transport(transport: asyncio.BaseTransport) -> asyncio.Transport:
    return cast("asyncio.Transport", transport)
