"""The gateway of this control plane: a process of its own, so that bytes and decisions do not wait for each other."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import structlog

from amasia import errors
from amasia.reconcilers import children
from amasia.settings import ServerSettings

log = structlog.get_logger()

PAUSE = 1.0
"""Seconds between two starts."""
STOP_SECONDS = 3.0
LAST = "gateway.json"
"""File of the home with the port that it had last: agents and clients go on looking for it there."""


class Gateway:
    """Starts it, starts it again when it died, and keeps its socket in the meantime: who dials then waits a moment."""

    def __init__(self, settings: ServerSettings, listener: socket.socket) -> None:
        self._settings, self._listener = settings, listener
        self._process: subprocess.Popen[bytes] | None = None
        self._next = 0.0

    def look(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        if time.monotonic() >= self._next:
            self._start()

    def stop(self) -> None:
        if self._process is None:
            return
        children.end(self._process, STOP_SECONDS)
        self._process = None

    def _start(self) -> None:
        self._next = time.monotonic() + PAUSE
        if self._process is not None:
            log.warning("the gateway ended", status=self._process.returncode)
        logs = self._settings.home / "logs"
        logs.mkdir(exist_ok=True)
        number = self._listener.fileno()
        with (logs / "gateway.log").open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "amasia.gateway", str(number)],
                env=os.environ | {"AMASIA_HOME": str(self._settings.home)},
                stdin=subprocess.PIPE,  # its end is the gateway's
                stdout=file,
                stderr=file,
                pass_fds=(number,),
            )


def listen(settings: ServerSettings) -> socket.socket:
    """A socket at the port that was chosen; where none was, at that of the last time, else at any free one."""
    if settings.gateway_port:
        return _bound(settings.host, settings.gateway_port)
    last = settings.home / LAST
    with suppress(OSError, ValueError, KeyError, errors.Conflict):
        return _bound(settings.host, int(json.loads(last.read_text())["port"]))
    listener = _bound(settings.host, 0)
    _remember(last, listener.getsockname()[1])
    return listener


def _remember(path: Path, port: int) -> None:
    path.write_text(json.dumps({"port": port}))


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise errors.Conflict(
            f"The gateway cannot listen on {host}:{port} ({error.strerror}).",
            cure="Choose another port with AMASIA_GATEWAY_PORT, or 0 for any free one.",
        ) from error
    listener.listen(1024)
    return listener
