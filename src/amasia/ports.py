"""Ports of this computer."""

import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def bound(port: int, host: str = LOOPBACK) -> socket.socket:
    """A socket for a server, also where one has ended a moment ago; `OSError` where another one is. 0 is any port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    try:
        bound(port, host).close()
    except OSError:
        return False
    return True


def free() -> int:
    """One that is free on loopback; it is the caller's only when they listen there."""
    return several(1)[0]


def several(count: int) -> list[int]:
    """So many different ones."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
