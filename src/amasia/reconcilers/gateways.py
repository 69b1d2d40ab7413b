"""The gateway of this control plane: a process of its own, so that bytes and decisions do not wait for each other."""

import json
import os
import socket
from contextlib import suppress

from amasia import errors, files, ports
from amasia.reconcilers.children import Child
from amasia.settings import ServerSettings

LAST = "gateway.json"
"""File of the home with the port that it had last: agents and clients go on looking for it there."""


class Gateway:
    """Starts it, starts it again when it died, and keeps its socket in the meantime: who dials then waits a moment."""

    def __init__(self, settings: ServerSettings, listener: socket.socket) -> None:
        self._home, self._listener = settings.home, listener
        self._child = Child("amasia.gateway", "gateway", settings.home / "logs", pause=1.0, grace=3.0)

    def look(self) -> None:
        if self._child.due:
            number = self._listener.fileno()
            self._child.start([str(number)], os.environ | {"AMASIA_HOME": str(self._home)}, pass_fds=(number,))

    def stop(self) -> None:
        self._child.stop()


def listen(settings: ServerSettings) -> socket.socket:
    """A socket at the port that was chosen; where none was, at that of the last time, else at any free one."""
    if settings.gateway_port:
        return _bound(settings.host, settings.gateway_port)
    last = settings.home / LAST
    with suppress(OSError, ValueError, KeyError, errors.Conflict):
        return _bound(settings.host, int(json.loads(last.read_text())["port"]))
    listener = _bound(settings.host, 0)
    files.write(last, json.dumps({"port": listener.getsockname()[1]}))
    return listener


def _bound(host: str, port: int) -> socket.socket:
    try:
        listener = ports.bound(port, host)
    except OSError as error:
        raise errors.Conflict(
            f"The gateway cannot listen on {host}:{port} ({error.strerror}).",
            cure="Choose another port with AMASIA_GATEWAY_PORT, or 0 for any free one.",
        ) from error
    listener.listen(1024)
    return listener
